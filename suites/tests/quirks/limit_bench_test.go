package quirks_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/mcpauth/conformance/fakes/quirks"
	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites"
	"github.com/mcpauth/conformance/suites/target"
	"github.com/mcpauth/conformance/suites/tests/against"
)

// A run with a login, and one with a token alone, at a server that allows each token 100 requests a minute, with the defaults. It reports
// what the user is told, and each verdict that differs from those of the same server without the limit. It takes many minutes:
// go test ./suites/tests/quirks -run '^$' -bench LimitOfAToken -benchtime 1x -timeout 1h
func BenchmarkLimitOfAToken(b *testing.B) {
	for name, given := range map[string]func(cfg *suites.Config, r *reference.Reference){
		"login": func(cfg *suites.Config, r *reference.Reference) { cfg.Users = against.SigningIn(r).Users },
		"token": func(cfg *suites.Config, r *reference.Reference) { cfg.Token = r.Token() },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				free, _ := limited(b, func(h http.Handler) http.Handler { return h }, given)
				began := time.Now()
				paced, requests := limited(b, quirks.Limited(quirks.RequestsPerMinute, time.Minute), given)
				b.ReportMetric(time.Since(began).Seconds(), "s/run")
				b.ReportMetric(float64(requests), "requests/run")
				b.ReportMetric(float64(differences(b, free, paced)), "differ/run")
			}
		})
	}
}

// limited runs everything with the defaults against a reference with a wrapped resource server.
func limited(b *testing.B, wrap func(http.Handler) http.Handler, given func(*suites.Config, *reference.Reference)) (
	results map[string]reports.Result, requests int,
) {
	b.Helper()
	o := reference.Ideal()
	o.Wrap = wrap
	r := against.Start(b, o)
	cfg := suites.Config{Target: target.At(r.URL), RootCAs: r.Roots, ConnectTo: r.ConnectTo}
	cfg.OnNotice = func(text string) { b.Log(text) }
	given(&cfg, r)
	return everything(b, cfg)
}
