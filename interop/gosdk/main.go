// Command gosdk is a protected MCP server built from the Go SDK's published parts: its bearer-token
// middleware, its protected-resource handler and its streamable HTTP handler. It trusts one authorization server.
package main

import (
	"context"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
)

const (
	address  = "127.0.0.1:9310"
	resource = "http://" + address + "/mcp"
)

// The authorization server that is trusted; mcpauth serve idp by default.
var (
	issuer = flag.String("issuer", "http://127.0.0.1:9400", "issuer of the access tokens")
	jwks   = flag.String("jwks", "http://127.0.0.1:9400/jwks", "address of the issuer's keys")
	scopes = flag.String("scopes", "notes:read", "scopes to publish, separated by spaces")
)

func main() {
	flag.Parse()
	set := &keySet{}
	verify := func(_ context.Context, token string, _ *http.Request) (*auth.TokenInfo, error) {
		claims := jwt.MapClaims{}
		_, err := jwt.ParseWithClaims(token, claims, set.key,
			jwt.WithValidMethods([]string{"RS256"}), jwt.WithAudience(resource), jwt.WithIssuer(*issuer), jwt.WithExpirationRequired())
		if err != nil {
			return nil, fmt.Errorf("%w: %v", auth.ErrInvalidToken, err)
		}
		expires, _ := claims.GetExpirationTime()
		subject, _ := claims.GetSubject()
		scope, _ := claims["scope"].(string)
		return &auth.TokenInfo{Scopes: strings.Fields(scope), Expiration: expires.Time, UserID: subject}, nil
	}
	server := mcp.NewServer(&mcp.Implementation{Name: "gosdk", Version: "1"}, nil)
	mcp.AddTool(server, &mcp.Tool{Name: "hello", Description: "Greets"}, func(context.Context, *mcp.CallToolRequest,
		struct{}) (*mcp.CallToolResult, any, error) {
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "hello"}}}, nil, nil
	})
	mcp.AddTool(server, &mcp.Tool{Name: "whoami", Description: "Tells who the caller is"},
		func(_ context.Context, r *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: r.Extra.TokenInfo.UserID}}}, nil, nil
		})
	metadata := "http://" + address + "/.well-known/oauth-protected-resource/mcp"
	mux := http.NewServeMux()
	mux.Handle("/mcp", auth.RequireBearerToken(verify, &auth.RequireBearerTokenOptions{ResourceMetadataURL: metadata})(
		mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, nil)))
	mux.Handle("/.well-known/oauth-protected-resource/mcp", auth.ProtectedResourceMetadataHandler(&oauthex.ProtectedResourceMetadata{
		Resource: resource, AuthorizationServers: []string{*issuer}, ScopesSupported: strings.Fields(*scopes),
		BearerMethodsSupported: []string{"header"},
	}))
	log.Printf("MCP endpoint %s", resource)
	log.Fatal((&http.Server{Addr: address, Handler: mux, ReadHeaderTimeout: 10 * time.Second}).ListenAndServe())
}

// keySet holds the issuer's RSA keys by kid. They are fetched when they are a second old.
type keySet struct {
	mu   sync.Mutex
	keys map[string]*rsa.PublicKey
	at   time.Time
}

func (s *keySet) key(token *jwt.Token) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.at) > time.Second {
		s.at = time.Now()
		fresh, err := fetchKeys()
		if err != nil {
			s.keys = nil
			return nil, err
		}
		s.keys = fresh
	}
	kid, _ := token.Header["kid"].(string)
	if key := s.keys[kid]; key != nil {
		return key, nil
	}
	return nil, fmt.Errorf("no key %q", kid)
}

func fetchKeys() (map[string]*rsa.PublicKey, error) {
	client := &http.Client{Timeout: 2 * time.Second}
	resp, err := client.Get(*jwks)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var set struct {
		Keys []struct{ Kty, Kid, Use, N string }
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&set); err != nil || resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("no key set: HTTP %d, %v", resp.StatusCode, err)
	}
	out := map[string]*rsa.PublicKey{}
	for _, k := range set.Keys {
		if n, err := base64.RawURLEncoding.DecodeString(k.N); err == nil && k.Kty == "RSA" && (k.Use == "" || k.Use == "sig") {
			out[k.Kid] = &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: 65537}
		}
	}
	return out, nil
}
