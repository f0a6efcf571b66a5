package session

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"
	"github.com/mcpauth/conformance/suites/internal/listener"
	"github.com/mcpauth/conformance/suites/internal/login"
	"github.com/mcpauth/conformance/suites/internal/oauth"
	"github.com/mcpauth/conformance/suites/internal/wire"
)

// handTime is how long a person has to sign in.
const handTime = 5 * time.Minute

// longestAddress is the longest address for a person to open, in bytes: browsers and servers accept no longer ones.
const longestAddress = 16 << 10

// ByHand lets a person complete one flow in their own browser, and returns the tokens. show displays the address. The error says what to
// do.
func (s *Session) ByHand(ctx context.Context, show func(address string)) (*oauth.Tokens, error) {
	c, err := s.clientByHand(ctx)
	if err != nil {
		return nil, err
	}
	l, err := receiver(c)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	pair := oauth.NewPKCE(43)
	s.secrets.Add("code_verifier", pair.Verifier)
	s.SendResource = s.Resource != ""
	request := s.Request(c, pair)
	answers := answersAt(l, request.Get("state"))
	address := oauth.AtQuery(s.Server.Authorization, request)
	if push := s.Pushing(c, func(r wire.Request) *reports.Exchange { return s.send(ctx, r) }); push != nil {
		var ex *reports.Exchange
		if address, ex = push(address); address == "" {
			return nil, errors.New(login.Unpushed(ex))
		}
	}
	if len(address) > longestAddress {
		return nil, fmt.Errorf("the address at which to sign in has %d bytes, more than %d: it cannot be opened", len(address), longestAddress)
	}
	show(address)
	ctx, cancel := context.WithTimeout(ctx, handTime)
	defer cancel()
	select {
	case got := <-answers:
		return s.redeemByHand(ctx, c, pair, got)
	case <-ctx.Done():
		return nil, fmt.Errorf("no user signed in within %v", handTime)
	}
}

// clientByHand returns a client for a login by hand.
func (s *Session) clientByHand(ctx context.Context) (*oauth.Client, error) {
	c, why := s.Client(ctx, Public)
	if c == nil {
		if c, _ = s.Client(ctx, Confidential); c == nil {
			return nil, fmt.Errorf("there is no client to sign in with: %s", why)
		}
	}
	if _, err := document.ParseURL(s.Server.Authorization); err != nil { // a person would be asked to open it
		return nil, fmt.Errorf("the authorization endpoint %q is not a URL to open in a browser: %w", s.Server.Authorization, err)
	}
	return c, nil
}

// receiver listens at the redirect URI for the person's browser.
func receiver(c *oauth.Client) (*listener.Listener, error) {
	at, err := document.ParseURL(c.RedirectURI)
	if err != nil || at.Scheme != "http" || !document.LoopbackHost(at.Hostname()) {
		return nil, fmt.Errorf("a login by hand comes back to this machine: give a client whose redirect URI is http on loopback, not %s",
			c.RedirectURI)
	}
	l, err := listener.OpenAt(net.JoinHostPort("127.0.0.1", cmp.Or(at.Port(), "80")))
	if err != nil {
		return nil, fmt.Errorf("the answer cannot be received at %s: %w; end what listens there", c.RedirectURI, err)
	}
	return l, nil
}

// answersAt receives the answer for a state.
func answersAt(l *listener.Listener, state string) <-chan url.Values {
	answers := make(chan url.Values, 1)
	l.Answer(func(r listener.Request) listener.Answer {
		got := parameters(r)
		if got.Get("state") != state {
			return listener.Answer{Status: http.StatusNotFound}
		}
		select {
		case answers <- got:
		default: // one is enough
		}
		return listener.Answer{Status: http.StatusOK,
			Header: map[string]string{"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": "default-src 'none'"},
			Body:   "<!doctype html><title>mcpauth</title><p>The answer has arrived. You can close this window.</p>"}
	})
	return answers
}

// redeemByHand redeems the answer of the person's browser.
func (s *Session) redeemByHand(ctx context.Context, c *oauth.Client, pair oauth.PKCE, got url.Values) (*oauth.Tokens, error) {
	s.secrets.Add("code", got.Get("code"))
	if why := s.ofAnother(got); why != "" {
		return nil, errors.New(why)
	}
	if got.Get("code") == "" {
		return nil, fmt.Errorf("the authorization server answered with the error %q %s", reports.OneLine(got.Get("error"), 100),
			reports.OneLine(got.Get("error_description"), 500))
	}
	form := s.Redemption(c, got.Get("code"), pair)
	fields := c.Authenticate(&form)
	ex := s.send(ctx, oauth.Request(s.Server.Token, form, fields...))
	t := oauth.ReadTokens(ex)
	if t == nil {
		return nil, fmt.Errorf("the code could not be redeemed: %s", expect.Describe(ex))
	}
	t.Client = c
	s.Remember(t)
	return t, nil
}

// ofAnother says why an answer does not come from the requested authorization server; empty if it does. The person may have been redirected
// to another server, whose code must not go to the first (mix-up: RFC 9207 section 2.4).
func (s *Session) ofAnother(answer url.Values) string {
	expected := s.Server.Issuer
	promised := false
	if m := s.Server.Metadata; m != nil {
		promised, _ = m.Bool("authorization_response_iss_parameter_supported")
		if named := m.String("issuer"); strings.TrimSuffix(named, "/") == strings.TrimSuffix(expected, "/") {
			expected = named
		}
	}
	switch got := answer["iss"]; {
	case len(got) == 0 && promised && answer.Get("code") != "":
		return fmt.Sprintf("the answer has no iss, which the metadata of %s promise, so that it may be of another authorization server "+
			"(RFC 9207 section 2.4): its code was not sent to the token endpoint", expected)
	case len(got) > 1 || len(got) == 1 && got[0] != expected:
		return fmt.Sprintf("the answer is of the authorization server %q, not of %s, which was asked (RFC 9207 section 2.4): its code was "+
			"not sent to the token endpoint", reports.OneLine(strings.Join(got, " and "), 300), expected)
	}
	return ""
}

// parameters returns the parameters of an answer, from the query or from a posted form.
func parameters(r listener.Request) url.Values {
	if r.Method == http.MethodPost {
		v, _ := url.ParseQuery(r.Body) // as far as it can be parsed
		return v
	}
	u, err := url.Parse(r.URL)
	if err != nil {
		return nil
	}
	return u.Query()
}
