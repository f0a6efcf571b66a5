package suites

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/survey"
	"github.com/mcpauth/conformance/suites/internal/wire"
	"github.com/mcpauth/conformance/suites/target"
)

// Surveyed is what a target's metadata and its first answers show.
type Surveyed struct {
	Revisions []reports.RevisionStatus
	// Protected says that the server refuses anonymous callers.
	Protected bool
	// Issuers are the authorization servers that the server names, including those without metadata.
	Issuers []string
	Scopes  []string // of the challenge, else of the resource
	Tools   []string // where listing is open to the token given, or to everybody
	// Registration and Documents say whether the first authorization server accepts dynamic registration, and client ID metadata
	// documents.
	Registration, Documents bool
	// Skew is how far the target's clock is ahead of this machine's; 0 if its answers have no Date.
	Skew        time.Duration
	Unreachable string // why the target could not be surveyed; empty if it was
}

// Look surveys a target without judging it. It registers no client, and no user signs in. Servers that the target is declared to trust or
// to call need not run.
func Look(ctx context.Context, cfg Config) (Surveyed, error) {
	cfg.alone()
	ctx, s, err := prepare(ctx, cfg)
	if err != nil {
		return Surveyed{}, err
	}
	defer s.close(ctx)
	sv := s.world.Survey
	out := Surveyed{Revisions: sv.Status, Tools: sv.Listed, Unreachable: s.secrets.Remove(s.run.Unreachable)}
	out.readRefusals(sv)
	if d := sv.Resource(); d != nil && out.Scopes == nil {
		out.Scopes, _ = d.Object.Strings("scopes_supported")
	}
	for i := range sv.Servers {
		out.Issuers = append(out.Issuers, sv.Servers[i].Issuer)
	}
	if server, ok := cfg.authorizationServer(sv, ""); ok {
		out.Registration = server.Registration != ""
		for i := range sv.Servers {
			if m := sv.Servers[i].Metadata(); m != nil && sv.Servers[i].Issuer == server.Issuer {
				out.Documents, _ = m.Object.Bool("client_id_metadata_document_supported")
			}
		}
	}
	return out, nil
}

// alone leaves out whoever else takes part in a run: clients, users, and servers that the target trusts.
func (c *Config) alone() {
	no := false
	c.Register, c.Users = &no, nil
	c.FakeIDP, c.SecondIDP, c.EnterpriseIDP, c.UpstreamIDP = nil, nil, target.EnterpriseIDP{}, nil
}

// readRefusals reads the answers to requests without a token.
func (out *Surveyed) readRefusals(sv *survey.Survey) {
	for _, ex := range sv.Refused {
		out.Protected = out.Protected || expect.Status(ex) == 401
		if then, ok := expect.Date(ex); ok {
			out.Skew = then.Sub(ex.Started).Round(time.Second)
		}
		if v, ok := expect.Param(ex, "scope"); ok && out.Scopes == nil {
			out.Scopes = strings.Fields(v)
		}
	}
}

// Silent sends one request for a public document, and reports whether no answer comes within a time. It sends nothing if the
// configuration is not valid.
func Silent(ctx context.Context, cfg Config, within time.Duration) bool {
	reg, err := registry()
	if err != nil || cfg.validate(reg) != nil {
		return false
	}
	u, _ := document.ParseURL(cfg.URL)
	limits := cfg.limits()
	limits.Request = within
	client := cfg.newClient(u, &reports.Secrets{}, limits, nil)
	defer client.Close()
	ex := client.Do(ctx, survey.Check, wire.Request{Method: "GET", URL: document.WellKnown(u, "oauth-protected-resource"),
		Header: []reports.Field{mcp.Field("Accept", "application/json")}})
	return ex.Response == nil
}

// unlisted names declared tools that are misspelled, or hidden from the caller.
func unlisted(declared []target.Tool, listed []string) []reports.Fact {
	var names []string
	for _, tool := range declared {
		if !slices.Contains(listed, tool.Name) {
			names = append(names, tool.Name)
		}
	}
	if names == nil {
		return nil
	}
	return []reports.Fact{{Name: "declared, but not in tools/list", Value: strings.Join(names, ", ")}}
}

func facts(sv *survey.Survey, declared []target.Tool) []reports.Fact {
	facts := []reports.Fact{}
	if d := sv.Resource(); d != nil {
		facts = append(facts, reports.Fact{Name: "protected resource metadata", Value: d.URL + " (" + d.Place + ")"})
	}
	for i := range sv.Servers {
		a := &sv.Servers[i]
		value := a.Issuer + ", no metadata found"
		if m := a.Metadata(); m != nil {
			value = a.Issuer + ", metadata at " + m.URL
		}
		facts = append(facts, reports.Fact{Name: "authorization server", Value: value})
	}
	if len(sv.Listed) > 0 {
		facts = append(facts, reports.Fact{Name: "tools", Value: strings.Join(sv.Listed, ", ")})
		facts = append(facts, unlisted(declared, sv.Listed)...)
	}
	for _, w := range []struct{ kind, words string }{{"stateful", "with"}, {"stateless", "without"}} {
		for k, public := range sv.Public {
			if string(k) == w.kind && len(public) > 0 {
				facts = append(facts, reports.Fact{Name: "public " + w.words + " sessions", Value: strings.Join(public, ", ")})
			}
		}
	}
	return facts
}
