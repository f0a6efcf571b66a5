// Package presets makes the fake authorization server behave in the style of well-known ones. A preset is a simplification, made from
// public documentation and public reports of November 2026. Vendors were not involved, and a preset is not a statement about their product.
// Each setting names its source. If a vendor has changed since, the vendor is right.
package presets

import (
	"slices"
	"strings"

	"github.com/mcpauth/conformance/fakes/idp"
	"github.com/mcpauth/conformance/fakes/mcpserver"
	"github.com/mcpauth/conformance/fakes/reference"
)

// Preset is the behaviour of one product.
type Preset struct {
	Name string
	// Says describes the unusual features in a sentence.
	Says string
	// Path is the path of the issuer; "/" is an issuer with a trailing slash.
	Path string
	// ByHand says that clients are registered by hand.
	ByHand bool
	// Confidential says that every client has a secret.
	Confidential bool

	behaviour func(b *idp.Behaviour)
	// resource configures an MCP server that accepts this issuer's tokens correctly.
	resource func(p *mcpserver.Policy)
}

// All are the presets.
var All = []Preset{ideal, evil, auth0, firebase, entraV1, entraV2, google, github, okta, keycloak, cognito, workos}

// Named finds a preset by its name.
func Named(name string) (Preset, bool) {
	i := slices.IndexFunc(All, func(p Preset) bool { return p.Name == name })
	if i < 0 {
		return Preset{}, false
	}
	return All[i], true
}

// Names lists the presets, for messages.
func Names() string {
	var names []string
	for _, p := range All {
		names = append(names, p.Name)
	}
	return strings.Join(names, ", ")
}

// Behaviour returns the configuration of the authorization server.
func (p Preset) Behaviour() idp.Behaviour {
	b := idp.Ideal()
	if p.behaviour != nil {
		p.behaviour(&b)
	}
	return b
}

// Options returns the authorization server with an MCP server that accepts its tokens correctly.
func (p Preset) Options() reference.Options {
	o := reference.Options{Policy: mcpserver.Strict(), Behaviour: p.Behaviour(), Static: []mcpserver.Static{}, Apart: true, IssuerPath: p.Path}
	if p.resource != nil {
		p.resource(&o.Policy)
	}
	return o
}

// Clients registers two clients by hand, and returns their ids and secrets.
func (p Preset) Clients(s *idp.Server, redirectURI string) [][2]string {
	if !p.ByHand {
		return nil
	}
	clients := [][2]string{{"client-by-hand-1", ""}, {"client-by-hand-2", ""}}
	for i := range clients {
		if p.Confidential {
			clients[i][1] = mcpserver.RandomID()
		}
		s.AddClient(clients[i][0], clients[i][1], redirectURI)
	}
	return clients
}

// Prepare configures the server beyond its behaviour.
func (p Preset) Prepare(s *idp.Server) {
	if p.Name != ideal.Name {
		s.Enterprise = nil
	}
}

// without removes members from the metadata.
func without(names ...string) func(string, map[string]any) {
	return func(_ string, doc map[string]any) {
		for _, name := range names {
			delete(doc, name)
		}
	}
}

// closed removes registration, and the features that few servers have.
func closed(b *idp.Behaviour) {
	b.Registration = "closed"
	b.Lacks = append(b.Lacks, idp.SignMetadata)
	b.Missing = []string{"/register", "/par", "/device", "/device_authorization"}
	b.Metadata = without(rare...)
	b.Lacks = append(b.Lacks, idp.DPoPOffered)
}

// rare are the members of the metadata that few servers have.
var rare = []string{"registration_endpoint", "pushed_authorization_request_endpoint", "device_authorization_endpoint",
	"protected_resources", "client_id_metadata_document_supported", "dpop_signing_alg_values_supported"}

// drop deletes claims.
func drop(claims map[string]any, names ...string) {
	for _, name := range names {
		delete(claims, name)
	}
}

var ideal = Preset{Name: "ideal", Says: "It does everything right."}
