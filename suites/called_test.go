package suites_test

import (
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/fixtures/whole"
	"github.com/mcpauth/conformance/suites"
	"github.com/mcpauth/conformance/suites/tests/against"
)

// calls records by tool which clients called it with a token that permits the call.
type calls struct {
	mu      sync.Mutex
	clients map[string][]string
}

func (c *calls) add(r *http.Request, tool string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if client := r.UserAgent(); !slices.Contains(c.clients[tool], client) {
		c.clients[tool] = append(c.clients[tool], client)
	}
}

// without removes tools from a declaration, and what refers to them.
func without(cfg *suites.Config, gone func(tool string) bool) {
	cfg.Tools = slices.DeleteFunc(slices.Clone(cfg.Tools), func(t suites.Tool) bool { return gone(t.Name) })
	for i := range cfg.Tools {
		t := &cfg.Tools[i]
		if gone(t.Effect) {
			t.Effect = ""
		}
	}
	cfg.Tools = slices.DeleteFunc(cfg.Tools, func(t suites.Tool) bool { return gone(t.HandleFrom) })
	cfg.Objects = slices.Clone(cfg.Objects)
	for i := range cfg.Objects {
		if gone(cfg.Objects[i].ChangedBy) {
			cfg.Objects[i].ChangedBy = ""
		}
	}
}

// No check calls a tool with a token that permits the call if the tool is not declared, or declared to be called with other tokens only.
func TestDeniedOnlyToolsAreNeverCalledWithAGoodToken(t *testing.T) {
	t.Parallel()
	sampled := whole.Sample(t, "all denied-only")
	denyAll, hideAll := func(int) (bool, bool) { return true, false }, func(int) (bool, bool) { return false, true }
	for name, c := range map[string]struct {
		of      func(i int) (denied, undeclared bool)
		declare func(cfg *suites.Config)
	}{
		"all denied-only":                {denyAll, nil},
		"none declared":                  {hideAll, nil},
		"a third of each":                {func(i int) (bool, bool) { return i%3 == 0, i%3 == 1 }, nil},
		"another third":                  {func(i int) (bool, bool) { return i%3 == 1, i%3 == 2 }, nil},
		"the remaining third":            {func(i int) (bool, bool) { return i%3 == 2, i%3 == 0 }, nil},
		"all denied-only, a login alone": {denyAll, byLogin},
		"none declared, a login alone":   {hideAll, byLogin},
		"all denied-only, nobody signs in": {denyAll, func(cfg *suites.Config) {
			byLogin(cfg)
			cfg.Users = nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			sampled(t, name)
			t.Parallel()
			o, seen := reference.Ideal(), &calls{clients: map[string][]string{}}
			o.Policy.Called = seen.add
			cfg := against.Part(t, against.SigningIn(against.Start(t, o)))
			if c.declare != nil {
				c.declare(&cfg)
			}
			cfg.Tools = slices.Clone(cfg.Tools)
			var never, undeclared []string
			for i := range cfg.Tools {
				denied, gone := c.of(i)
				if cfg.Tools[i].DeniedOnly = cfg.Tools[i].DeniedOnly || denied; denied || gone {
					never = append(never, cfg.Tools[i].Name)
				}
				if gone {
					undeclared = append(undeclared, cfg.Tools[i].Name)
				}
			}
			without(&cfg, func(tool string) bool { return slices.Contains(undeclared, tool) })
			_, err := against.Evaluate(t, cfg)
			require.NoError(t, err)
			for _, tool := range never {
				assert.Empty(t, seen.clients[tool], tool)
			}
		})
	}
}
