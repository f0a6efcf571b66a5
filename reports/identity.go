package reports

import (
	"regexp"
	"slices"
)

// Identity is what was tested, as far as it is visible from outside.
type Identity struct {
	Origin   string   `json:"origin"`
	Resource string   `json:"resource,omitempty"` // in the protected resource metadata
	Issuers  []string `json:"issuers,omitempty"`  // in the metadata
	// LeafKey is the SHA-256 of the public key in the certificate of the server (SubjectPublicKeyInfo); empty without TLS.
	LeafKey string `json:"tls_leaf_key_sha256,omitempty"`
	// Name and Version are declared by the server (serverInfo).
	Name    string `json:"declared_name,omitempty"`
	Version string `json:"declared_version,omitempty"`
	// Control proves that the author of the run controls the origin; nil if that was not requested.
	Control *Control `json:"control,omitempty"`
}

// Control is a nonce in a place that only the owner of an origin can write.
type Control struct {
	Nonce  string `json:"nonce"`
	Method string `json:"method"` // http or dns
	Where  string `json:"where"`  // the URL, or the name of the TXT record
	// Exchange is the number of the exchange with the nonce, for http, and Record the record, for dns.
	Exchange int    `json:"exchange,omitempty"`
	Record   string `json:"record,omitempty"`
}

// ControlPath is the path of the nonce, and ControlRecord the prefix of the TXT record's name.
const (
	ControlPath   = "/.well-known/mcpauth-challenge/"
	ControlRecord = "_mcpauth-challenge."
)

var nonce = regexp.MustCompile(`^[A-Za-z0-9_-]{16,128}$`)

// ValidNonce reports whether a text can be a nonce: it is unlikely to be there by accident, and fits into a path and a record.
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

// Excerpt returns the part of a run on which certain results rest: without other results and their exchanges, without pictures of pages,
// and without the path of the target file.
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
