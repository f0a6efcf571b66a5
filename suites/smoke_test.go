package suites_test

import (
	"context"
	"os"
	"testing"

	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/reports/console"
	"github.com/mcpauth/conformance/suites"
)

func TestSmoke(t *testing.T) {
	r, err := reference.Start(reference.Ideal())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, tok := range []string{"", r.Token()} {
		red, err := suites.Run(context.Background(), suites.Config{URL: r.URL, Token: tok})
		if err != nil {
			t.Fatal(err)
		}
		console.Write(os.Stdout, red, console.Options{Verbose: true})
	}
}
