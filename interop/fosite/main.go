// Command fosite is an authorization server on github.com/ory/fosite with its memory store, before a protected MCP server from the Go SDK's
// parts, which looks tokens up by the library. The handlers follow the library's documentation. Tokens are for the one resource here.
package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/go-jose/go-jose/v3"
	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
	"github.com/ory/fosite"
	"github.com/ory/fosite/compose"
	"github.com/ory/fosite/storage"
	"github.com/ory/fosite/token/jwt"
	"golang.org/x/crypto/bcrypt"
)

const (
	address     = "127.0.0.1:9440"
	resource    = "http://" + address + "/mcp"
	provider    = "127.0.0.1:9441"
	issuer      = "http://" + provider
	redirectURI = "http://127.0.0.1:8765/callback"
	keyID       = "k1"
)

var scopes = []string{"openid", "notes:read", "offline_access"}

func main() {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		log.Fatal(err)
	}
	s := &server{OAuth2Provider: composed(key), pages: newPages(), key: key,
		waiting: map[string]fosite.AuthorizeRequester{}}
	go serve(provider, s.endpoints())
	serve(address, protected(s.verify))
}

func serve(at string, h http.Handler) {
	log.Printf("serving %s", at)
	log.Fatal((&http.Server{Addr: at, Handler: h, ReadHeaderTimeout: 10 * time.Second}).ListenAndServe())
}

// composed is the library with authorization codes, refresh tokens, OpenID Connect, PKCE for everybody, revocation, introspection and
// pushed requests.
func composed(key *rsa.PrivateKey) fosite.OAuth2Provider {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret)
	config := &fosite.Config{GlobalSecret: secret, EnforcePKCE: true, ScopeStrategy: fosite.ExactScopeStrategy, IDTokenIssuer: issuer,
		AccessTokenIssuer: issuer, AccessTokenLifespan: 30 * time.Minute, AuthorizeCodeLifespan: time.Minute, TokenURL: issuer + "/token"}
	signing := func(context.Context) (any, error) { return key, nil }
	return compose.Compose(config, clients(), &compose.CommonStrategy{
		CoreStrategy:               compose.NewOAuth2HMACStrategy(config),
		OpenIDConnectTokenStrategy: compose.NewOpenIDConnectStrategy(signing, config),
		Signer:                     &jwt.DefaultSigner{GetPrivateKey: signing},
	}, compose.OAuth2AuthorizeExplicitFactory, compose.OAuth2RefreshTokenGrantFactory, compose.OpenIDConnectExplicitFactory,
		compose.OpenIDConnectRefreshFactory, compose.OAuth2TokenIntrospectionFactory, compose.OAuth2TokenRevocationFactory,
		compose.OAuth2PKCEFactory, compose.PushedAuthorizeHandlerFactory)
}

// queryClient is a client that may name the response modes of this server.
type queryClient struct {
	*fosite.DefaultOpenIDConnectClient
}

func (queryClient) GetResponseModes() []fosite.ResponseModeType {
	return []fosite.ResponseModeType{fosite.ResponseModeDefault, fosite.ResponseModeQuery, fosite.ResponseModeFormPost}
}

func clients() *storage.MemoryStore {
	store := storage.NewMemoryStore()
	for id, secret := range map[string]string{"notes-app": "", "other-app": "", "web-app": os.Getenv("CLIENT_SECRET"),
		"resource-server": os.Getenv("RESOURCE_SECRET")} {
		var hashed []byte
		if secret != "" {
			hashed, _ = bcrypt.GenerateFromPassword([]byte(secret), bcrypt.MinCost)
		}
		method := map[bool]string{true: "none", false: "client_secret_basic"}[secret == ""]
		store.Clients[id] = queryClient{&fosite.DefaultOpenIDConnectClient{TokenEndpointAuthMethod: method,
			DefaultClient: &fosite.DefaultClient{ID: id, Secret: hashed, Public: secret == "", RedirectURIs: []string{redirectURI},
				ResponseTypes: []string{"code"}, GrantTypes: []string{"authorization_code", "refresh_token"}, Scopes: scopes,
				Audience: []string{resource}}}}
	}
	return store
}

func published(w http.ResponseWriter, _ *http.Request) {
	basic := []string{"client_secret_basic"}
	say(w, map[string]any{
		"issuer": issuer, "authorization_endpoint": issuer + "/authorize", "token_endpoint": issuer + "/token", "jwks_uri": issuer + "/jwks",
		"revocation_endpoint": issuer + "/revoke", "introspection_endpoint": issuer + "/introspect",
		"pushed_authorization_request_endpoint": issuer + "/par", "scopes_supported": scopes, "response_types_supported": []string{"code"},
		"response_modes_supported": []string{"query", "form_post"}, "grant_types_supported": []string{"authorization_code", "refresh_token"},
		"code_challenge_methods_supported": []string{"S256"}, "token_endpoint_auth_methods_supported": append(basic, "none"),
		"revocation_endpoint_auth_methods_supported": append(basic, "none"), "introspection_endpoint_auth_methods_supported": basic,
		"subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": []string{"RS256"},
	})
}

func (s *server) keys(w http.ResponseWriter, _ *http.Request) {
	say(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: s.key.Public(), KeyID: keyID, Use: "sig", Algorithm: "RS256"}}})
}

func say(w http.ResponseWriter, document any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Access-Control-Allow-Origin", "*")
	_ = json.NewEncoder(w).Encode(document)
}

// verify looks a token up, as the library has it for a resource server beside the provider.
func (s *server) verify(ctx context.Context, token string, _ *http.Request) (*auth.TokenInfo, error) {
	use, ar, err := s.IntrospectToken(ctx, token, fosite.AccessToken, session(""))
	if err != nil || use != fosite.AccessToken || !ar.GetGrantedAudience().Has(resource) {
		return nil, fmt.Errorf("%w: no access token for this resource", auth.ErrInvalidToken)
	}
	return &auth.TokenInfo{UserID: ar.GetSession().GetSubject(), Scopes: ar.GetGrantedScopes(),
		Expiration: ar.GetSession().GetExpiresAt(fosite.AccessToken)}, nil
}

func protected(verify auth.TokenVerifier) http.Handler {
	const metadata = "http://" + address + "/.well-known/oauth-protected-resource/mcp"
	guard := auth.RequireBearerToken(verify, &auth.RequireBearerTokenOptions{ResourceMetadataURL: metadata, Scopes: []string{"notes:read"}})
	notes := mcp.NewServer(&mcp.Implementation{Name: "notes", Version: "1"}, nil)
	mcp.AddTool(notes, &mcp.Tool{Name: "whoami", Description: "Tells who the caller is"},
		func(_ context.Context, r *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: r.Extra.TokenInfo.UserID}}}, nil, nil
		})
	mux := http.NewServeMux()
	mux.Handle("/mcp", guard(mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return notes }, nil)))
	mux.Handle("/.well-known/oauth-protected-resource/mcp", auth.ProtectedResourceMetadataHandler(&oauthex.ProtectedResourceMetadata{
		Resource: resource, AuthorizationServers: []string{issuer}, ScopesSupported: []string{"notes:read"},
		BearerMethodsSupported: []string{"header"},
	}))
	return mux
}
