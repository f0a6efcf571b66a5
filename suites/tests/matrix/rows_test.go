package matrix_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fixtures/requirements"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/tests/against"
)

// withoutFlaw lists the rows that no flaw turns yet: none. A new row comes with its flaw.
var withoutFlaw = filepath.Join("testdata", "rows-without-flaw.txt")

// unturnable are the rows that no flaw can turn, with the reason.
var unturnable = map[string]string{
	"AS-AUTHZ-STATE-EXACT\tstate: 43 characters":                              everyLogin,
	"AS-PKCE-VERIFIER-BOUNDS\ta verifier with 43 characters":                  everyLogin,
	"AS-SCOPE-ADVERTISED-OBTAINABLE\tthe challenge's scope":                   everyLogin,
	"RS-ELICIT-URL-USER-BOUND\tno user who signs in opens the URL of TOOL":    "where it links an account, so does the row before",
	"AS-INTROSPECT-REQUEST-FORM\tno hint":                                     "it is the control",
	"AS-META-OIDC-REQUIRED-FIELDS\t" + metadataOfOAuth:                        "it does not apply to this document",
	"AS-LOGIN-COOKIE-ATTRIBUTES\tas_browser":                                  "it is not a cookie of a session, and needs no attributes",
	"AS-DCR-WILDCARD\t* for a subdomain" + ofPattern + "*.client.example/cb":  itsRegistration,
	"AS-DCR-WILDCARD\t* for the host" + ofPattern + "*/cb":                    itsRegistration,
	"AS-DCR-NO-PRIVILEGED-GRANTS\tclient_credentials alone, registering it":   itsRegistration,
	"AS-DCR-WILDCARD\t* after the host" + ofPattern + "client.example*":       itsRegistration,
	"AS-DCR-WILDCARD\t* for the path" + ofPattern + "client.example/*":        itsRegistration,
	"AS-DCR-WILDCARD\ta regular expression" + ofPattern + "client.example/.*": itsRegistration,
	"RS-AUD-ARRAY\taud: the server first":                                     allowed,
	"RS-AUD-ARRAY\taud: the server last":                                      allowed,
	"RS-AUD-ARRAY\taud: the server and a number":                              allowed,
	"RS-CHALLENGE-401-WWW-AUTHENTICATE\ta token without the scope of TOOL":    "it is answered 403",
	"RS-PASS-UPSTREAM-401-NOT-RELAYED\tTOOL, the API answers 429":             "a 429 may be the server's own limit, and is undecided",
	"RS-RATE-PER-PRINCIPAL\ta new connection":                                 "who counts by connection throttles nobody",
	"RS-TOKEN-CRIT-UNKNOWN\tcrit as an empty list":                            allowed,
	"RS-TOKEN-CRIT-UNKNOWN\tcrit as a string":                                 allowed,
	"RS-TOKEN-CRIT-UNKNOWN\tcrit with a registered parameter":                 allowed,
	"RS-TOKEN-NUMERIC-DATES\texp in milliseconds":                             allowed,
	"RS-TOKEN-NUMERIC-DATES\texp of twenty digits":                            allowed,
	"RS-TOKEN-NUMERIC-DATES\texp 1e400":                                       allowed,
}

const (
	everyLogin      = "each login of a run has it: where it is refused, nobody gets in, and the reason says why"
	allowed         = "the clause leaves it open: a note tells what the server does"
	itsRegistration = "it is the step before, without which the row itself is not tried"
	ofPattern       = ", registering https://"
	metadataOfOAuth = "http://127.0.0.1:PORT/.well-known/oauth-authorization-server"
)

// named collects the rows that findings name during the tests of flaws.
type named struct {
	mu    sync.Mutex
	rows  map[string]map[string]bool // requirement -> row
	tried map[string][]string        // requirement -> rows, in order
	runs  int
}

// atFlaws are the rows of TestEveryFlawIsNoticed.
var atFlaws = newNamed()

func newNamed() *named {
	return &named{rows: map[string]map[string]bool{}, tried: map[string][]string{}}
}

func (n *named) add(run *reports.Run) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.runs++
	for _, res := range run.Results {
		for _, row := range res.Tried {
			if row = against.SteadyRow(row); !slices.Contains(n.tried[res.ID], row) {
				n.tried[res.ID] = append(n.tried[res.ID], row)
			}
		}
		for _, f := range res.Findings {
			if n.rows[res.ID] == nil {
				n.rows[res.ID] = map[string]bool{}
			}
			n.rows[res.ID][against.SteadyRow(f.About)] = true
		}
	}
}

// has reports whether a finding names a row, or a part of it.
func (n *named) has(id, row string) bool {
	for about := range n.rows[id] {
		if about == row || strings.HasPrefix(about, row+", ") {
			return true
		}
	}
	return false
}

// rowsOf returns the rows of the catalogue, which the reference shows; for a check that only applies to proxies, those reported at the
// flaws.
func (n *named) rowsOf(r requirements.Requirement) []string {
	if r.Area == "proxy" {
		return slices.Sorted(slices.Values(n.tried[r.ID]))
	}
	return requirements.Rows(r.ID)
}

// expectEachRow expects that a finding at one of the flaws names each row of each check, except the rows in the file. If -run or the
// machine left out a flaw, it expects nothing, and says so.
func (n *named) expectEachRow(t *testing.T) {
	t.Helper()
	if all := len(rows()); n.runs != all {
		t.Logf("%d of %d flaws were tried: no row is missed", n.runs, all)
		return
	}
	var never []string
	for _, r := range requirements.All() {
		for _, row := range n.rowsOf(r) {
			switch name := r.ID + "\t" + row; {
			case n.has(r.ID, row):
				assert.Empty(t, unturnable[name], "%s is listed as unturnable, but a flaw makes it fail", name)
			case unturnable[name] == "":
				never = append(never, name)
			}
		}
	}
	if os.Getenv("MCPAUTH_GOLDEN") == "write" {
		require.NoError(t, os.MkdirAll(filepath.Dir(withoutFlaw), 0o755))
		require.NoError(t, os.WriteFile(withoutFlaw, []byte(strings.Join(never, "\n")+"\n"), 0o644))
		return
	}
	text, err := os.ReadFile(withoutFlaw)
	require.NoError(t, err)
	known := strings.Split(strings.TrimSpace(string(text)), "\n")
	for _, row := range never {
		assert.Contains(t, known, row, "no flaw makes this row fail: write a flaw with this Row")
	}
	for _, row := range known {
		if !slices.Contains(never, row) {
			t.Logf("a flaw turns this row, or it is gone: take it out of %s: %s", withoutFlaw, row)
		}
	}
}
