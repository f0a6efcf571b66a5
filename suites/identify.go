package suites

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/survey"
	"github.com/mcpauth/conformance/suites/internal/wire"
)

// identify records what is tested, and who controls it, if the run asks for that.
func (s *preparation) identify(ctx context.Context, u *url.URL) error {
	if !s.cfg.Identify && s.cfg.ProveControl == "" {
		return nil
	}
	id := identityOf(s.world.Survey, u)
	if u.Scheme == "https" {
		key, err := s.client.LeafKey(ctx, u)
		if err != nil {
			return usage("the certificate of %s cannot be read: %v", id.Origin, err)
		}
		id.LeafKey = key
	}
	s.run.Identity = id
	if s.cfg.ProveControl == "" {
		return nil
	}
	control, why := s.proveControl(ctx, u)
	if id.Control = control; control == nil {
		return usage("control of %s is not shown: put %s, alone, at %s, or into a TXT record of %s (%s)", id.Origin, s.cfg.ProveControl,
			id.Origin+reports.ControlPath+s.cfg.ProveControl, reports.ControlRecord+u.Hostname(), why)
	}
	return nil
}

// identityOf returns what a target says about itself.
func identityOf(sv *survey.Survey, u *url.URL) *reports.Identity {
	id := &reports.Identity{Origin: document.Origin(u)}
	if d := sv.Resource(); d != nil {
		id.Resource = d.Object.String("resource")
	}
	for i := range sv.Servers {
		id.Issuers = append(id.Issuers, sv.Servers[i].Issuer)
	}
	for _, ex := range sv.Exchanges() {
		if info := mcp.Read(ex).Result.Object("serverInfo"); info != nil && id.Version == "" {
			id.Name, id.Version = info.String("name"), info.String("version")
		}
	}
	return id
}

// controlCheck names the exchange that shows control.
const controlCheck = "control"

// proveControl looks for the nonce where only the owner of an origin can put it. If it is missing, why says what is there instead.
func (s *preparation) proveControl(ctx context.Context, u *url.URL) (control *reports.Control, why string) {
	nonce := s.cfg.ProveControl
	at := document.Origin(u) + reports.ControlPath + nonce
	ex := s.client.Do(ctx, controlCheck, wire.Request{Method: "GET", URL: at, Header: []reports.Field{mcp.Field("Accept", "text/plain")}})
	if expect.Status(ex) == 200 && strings.TrimSpace(expect.Body(ex)) == nonce {
		s.run.Exchanges = append(s.run.Exchanges, *ex)
		return &reports.Control{Nonce: nonce, Method: "http", Where: at, Exchange: ex.Number}, ""
	}
	name := reports.ControlRecord + u.Hostname()
	records, err := wire.LookupTXT(ctx, s.cfg.NameServer, name)
	switch {
	case err != nil:
		return nil, fmt.Sprintf("the file: %s; the record: %v", expect.Describe(ex), err)
	case !slices.Contains(records, nonce):
		return nil, fmt.Sprintf("the file: %s; the record: %s, none with the nonce alone", expect.Describe(ex),
			reports.Count(len(records), "text"))
	}
	return &reports.Control{Nonce: nonce, Method: "dns", Where: name, Record: nonce}, ""
}
