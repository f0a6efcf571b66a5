package suites_test

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/suites"
	"github.com/mcpauth/conformance/suites/tests/against"
)

func targetFile(t *testing.T, text string) string {
	path := filepath.Join(t.TempDir(), "target.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// FromFile tests the file's URL. The servers that the file declares run until the test ends.
func TestFromFile(t *testing.T) {
	r := against.Start(t, reference.Ideal())
	path := targetFile(t, "version: 1\ntarget:\n  url: "+r.URL+"\nintrospection: {listen: \"127.0.0.1:0\"}\n")
	var called *suites.Introspection
	t.Run("a test of the target", func(t *testing.T) {
		cfg := suites.FromFile(t, path)
		called = cfg.Introspection
		require.NotNil(t, called, "the declared tool is missing")
		cfg.Token, cfg.Only = r.Token(), []string{"RS-CHALLENGE-401-STATUS"}
		run := suites.Test(t, cfg).Run()
		assert.NotEmpty(t, run.Results)
		assert.Equal(t, r.URL, run.Target.URL)
		against.Clean(t, run)
	})
	u, err := url.Parse(called.URL())
	require.NoError(t, err)
	l, err := net.Listen("tcp", u.Host)
	require.NoError(t, err, "the server still runs after the test")
	require.NoError(t, l.Close())
}

func TestFromFileWithAMistake(t *testing.T) {
	const good = "version: 1\ntarget:\n  url: http://127.0.0.1/mcp\n"
	for want, path := range map[string]string{
		"target.yaml:3:3: unknown key": targetFile(t, "version: 1\ntarget:\n  uri: http://127.0.0.1/mcp\n"),
		"introspection.listen: ":       targetFile(t, good+"introspection: {listen: \"127.0.0.1:none\"}\n"),
		"none.yaml":                    filepath.Join(t.TempDir(), "none.yaml"),
	} {
		ended := &fatal{TB: t}
		done := make(chan struct{})
		go func() {
			defer close(done)
			suites.FromFile(ended, path)
		}()
		<-done
		assert.Contains(t, ended.said, want)
	}
}

// fatal is a test that an error may end.
type fatal struct {
	testing.TB
	said string
}

func (f *fatal) Fatal(args ...any) {
	f.said = fmt.Sprint(args...)
	runtime.Goexit()
}
