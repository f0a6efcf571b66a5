package reports

import (
	"regexp"
	"slices"
)

// Identity is what was tested, as far as it can be told from outside.
type Identity struct {
	Origin   string   `json:"origin"`
	Resource string   `json:"resource,omitempty"` // as the protected resource metadata name it
	Issuers  []string `json:"issuers,omitempty"`  // that the metadata name
	// LeafKey is the SHA-256 of the public key in the certificate of the server (SubjectPublicKeyInfo); empty without TLS.
	LeafKey string `json:"tls_leaf_key_sha256,omitempty"`
	// Name and Version are those that the server declares (serverInfo).
	Name    string `json:"declared_name,omitempty"`
	Version string `json:"declared_version,omitempty"`
	// Control shows that whoever made the run controls the origin; nil where nobody asked.
	Control *Control `json:"control,omitempty"`
}

// Control is a nonce that was found where only the owner of an origin can put it.
type Control struct {
	Nonce  string `json:"nonce"`
	Method string `json:"method"` // http or dns
	Where  string `json:"where"`  // the URL, or the name of the TXT record
	// Exchange is the number of the one that shows it, for http, and Record the record, for dns.
	Exchange int    `json:"exchange,omitempty"`
	Record   string `json:"record,omitempty"`
}

// ControlPath is where the owner of an origin puts a nonce, and ControlRecord the name of a TXT record before the host.
const (
	ControlPath   = "/.well-known/mcpauth-challenge/"
	ControlRecord = "_mcpauth-challenge."
)

var nonce = regexp.MustCompile(`^[A-Za-z0-9_-]{16,128}$`)

// ValidNonce reports whether a text can be a nonce which nobody serves by accident, and which is part of a path and of a record.
func ValidNonce(text string) bool { return nonce.MatchString(text) }

func redactIdentity(i *Identity, text func(string) string) *Identity {
	if i == nil {
		return nil
	}
	out := *i
	out.Origin, out.Resource, out.Name, out.Version = text(i.Origin), text(i.Resource), text(i.Name), text(i.Version)
	out.Issuers = make([]string, len(i.Issuers))
	for n := range i.Issuers {
		out.Issuers[n] = text(i.Issuers[n])
	}
	if i.Control != nil {
		c := *i.Control
		c.Record, c.Where = text(c.Record), text(c.Where)
		out.Control = &c
	}
	return &out
}

// Excerpt returns what of a run certain results rest on: without other results and their exchanges, without pictures of pages,
// and without the place of the target file on the machine.
func Excerpt(r Redacted, holds func(id string) bool) Redacted {
	run := r.run
	run.Target.File, run.Target.Line, run.Screenshots = "", 0, nil
	run.Results = slices.DeleteFunc(slices.Clone(run.Results), func(res Result) bool { return !holds(res.ID) })
	cited := map[int]bool{}
	for i := range run.Results {
		for _, n := range run.Results[i].Evidence {
			cited[n] = true
		}
	}
	if run.Identity != nil && run.Identity.Control != nil {
		cited[run.Identity.Control.Exchange] = true
	}
	run.Exchanges = slices.DeleteFunc(slices.Clone(run.Exchanges), func(e Exchange) bool { return !cited[e.Number] })
	named := run.placeholders()
	run.Tokens = slices.DeleteFunc(slices.Clone(run.Tokens), func(t Token) bool { return !named[t.Name] })
	return Redacted{run}
}
