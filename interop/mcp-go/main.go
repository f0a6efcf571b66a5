// Command mcp-go is a protected MCP server on github.com/mark3labs/mcp-go: its streamable HTTP transport and its protected-resource
// handler. The library has no guard of its own; the one here verifies JWTs of one issuer with golang-jwt and keyfunc.
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"strings"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
	"golang.org/x/time/rate"
)

const (
	address  = "127.0.0.1:9330"
	resource = "http://" + address + "/mcp"
	issuer   = "http://127.0.0.1:9431" // mcpauth serve idp
)

type caller struct{}

func main() {
	keys, err := publishedKeys()
	if err != nil {
		log.Fatal(err)
	}
	tools := server.NewMCPServer("mcp-go", "1", server.WithToolCapabilities(false))
	tools.AddTool(mcp.NewTool("hello", mcp.WithDescription("Greets"), mcp.WithReadOnlyHintAnnotation(true)),
		func(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return mcp.NewToolResultText("hello"), nil
		})
	tools.AddTool(mcp.NewTool("whoami", mcp.WithDescription("Tells who the caller is"), mcp.WithReadOnlyHintAnnotation(true)),
		func(ctx context.Context, _ mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			subject, _ := ctx.Value(caller{}).(string)
			return mcp.NewToolResultText(subject), nil
		})
	metadata := server.ProtectedResourceMetadataConfig{Resource: resource, AuthorizationServers: []string{issuer},
		ScopesSupported: []string{"notes:read"}, BearerMethodsSupported: []string{"header"}}
	transport := server.NewStreamableHTTPServer(tools, server.WithProtectedResourceMetadata(metadata))
	mux := http.NewServeMux()
	mux.Handle("/mcp", guarded(keys, transport))
	mux.Handle(server.ProtectedResourceMetadataPath(resource), server.NewProtectedResourceMetadataHandler(metadata))
	log.Printf("MCP endpoint %s", resource)
	log.Fatal((&http.Server{Addr: address, Handler: mux, ReadHeaderTimeout: 10 * time.Second}).ListenAndServe())
}

// publishedKeys are those of the issuer. They are fetched again each second, and for an unknown kid, so that a rotation is seen at once.
// By default a request with an unknown kid waits for its turn, up to a minute.
func publishedKeys() (keyfunc.Keyfunc, error) {
	return keyfunc.NewDefaultOverrideCtx(context.Background(), []string{issuer + "/jwks"}, keyfunc.Override{RefreshInterval: time.Second,
		RateLimitWaitMax: time.Second, RefreshUnknownKID: rate.NewLimiter(rate.Every(50*time.Millisecond), 1)})
}

// guarded serves requests with a token of the issuer for this resource.
func guarded(keys keyfunc.Keyfunc, next http.Handler) http.Handler {
	challenge := fmt.Sprintf("Bearer resource_metadata=%q, scope=\"notes:read\"",
		"http://"+address+server.ProtectedResourceMetadataPath(resource))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kind, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if token == "" || !strings.EqualFold(kind, "bearer") {
			w.Header().Set("WWW-Authenticate", challenge)
			http.Error(w, "a token is needed", http.StatusUnauthorized)
			return
		}
		claims := jwt.MapClaims{}
		_, err := jwt.ParseWithClaims(token, claims, keys.Keyfunc, jwt.WithValidMethods([]string{"RS256"}), jwt.WithAudience(resource),
			jwt.WithIssuer(issuer), jwt.WithExpirationRequired())
		if err != nil {
			w.Header().Set("WWW-Authenticate", challenge+`, error="invalid_token"`)
			http.Error(w, "the token is not valid", http.StatusUnauthorized)
			return
		}
		subject, _ := claims.GetSubject()
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), caller{}, subject)))
	})
}
