// Command zitadel-oidc is zitadel's OpenID provider library with its example's storage and login page, before a protected MCP server
// from the Go SDK's parts. Tokens are opaque: the server introspects them. They name clients as their audience, and no resource.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
)

const (
	address     = "127.0.0.1:9420"
	resource    = "http://" + address + "/mcp"
	provider    = "127.0.0.1:9421"
	issuer      = "http://" + provider
	redirectURI = "http://127.0.0.1:8765/callback"
)

// introspecting lets the resource server's client ask about tokens of all clients, where the example has it ask about its own.
type introspecting struct{ *storage.Storage }

func (s introspecting) SetIntrospectionFromToken(ctx context.Context, answer *oidc.IntrospectionResponse, token, subject,
	client string) error {
	if client != "resource-server" {
		return s.Storage.SetIntrospectionFromToken(ctx, answer, token, subject, client)
	}
	var user oidc.UserInfo
	if err := s.SetUserinfoFromToken(ctx, &user, token, subject, ""); err != nil {
		return err
	}
	answer.SetUserInfo(&user)
	answer.Subject, answer.Active = cmp.Or(user.Subject, subject), true
	return nil
}

func main() {
	storage.RegisterClients(storage.NativeClient("notes-app", redirectURI), storage.NativeClient("other-app", redirectURI),
		storage.WebClient("web-app", os.Getenv("CLIENT_SECRET"), redirectURI),
		storage.WebClient("resource-server", os.Getenv("RESOURCE_SECRET"), redirectURI))
	users, err := storage.StoreFromFile(os.Getenv("USERS"))
	if err != nil {
		log.Fatal(err)
	}
	op := exampleop.SetupServer(issuer, introspecting{storage.NewStorage(users)}, slog.New(slog.DiscardHandler), false)
	mux := http.NewServeMux()
	metadata := "http://" + address + "/.well-known/oauth-protected-resource/mcp"
	mux.Handle("/mcp", auth.RequireBearerToken(introspect, &auth.RequireBearerTokenOptions{ResourceMetadataURL: metadata})(
		mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return tools() }, nil)))
	mux.Handle("/.well-known/oauth-protected-resource/mcp", auth.ProtectedResourceMetadataHandler(&oauthex.ProtectedResourceMetadata{
		Resource: resource, AuthorizationServers: []string{issuer}, ScopesSupported: []string{"openid", "offline_access"},
		BearerMethodsSupported: []string{"header"},
	}))
	go serve(provider, op)
	serve(address, mux)
}

func serve(at string, h http.Handler) {
	log.Printf("serving %s", at)
	log.Fatal((&http.Server{Addr: at, Handler: h, ReadHeaderTimeout: 10 * time.Second}).ListenAndServe())
}

func tools() *mcp.Server {
	server := mcp.NewServer(&mcp.Implementation{Name: "notes", Version: "1"}, nil)
	mcp.AddTool(server, &mcp.Tool{Name: "whoami", Description: "Tells who the caller is"},
		func(_ context.Context, r *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: r.Extra.TokenInfo.UserID}}}, nil, nil
		})
	return server
}

// introspect asks the provider about a token (RFC 7662).
func introspect(ctx context.Context, token string, _ *http.Request) (*auth.TokenInfo, error) {
	body := url.Values{"token": {token}}.Encode()
	ask, err := http.NewRequestWithContext(ctx, http.MethodPost, issuer+"/oauth/introspect", strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	ask.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	ask.SetBasicAuth("resource-server", os.Getenv("RESOURCE_SECRET"))
	resp, err := (&http.Client{Timeout: 5 * time.Second}).Do(ask)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var said struct {
		Active bool   `json:"active"`
		Sub    string `json:"sub"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&said); err != nil || !said.Active {
		return nil, fmt.Errorf("%w: the provider does not know it", auth.ErrInvalidToken)
	}
	return &auth.TokenInfo{UserID: said.Sub, Expiration: time.Now().Add(time.Minute)}, nil
}
