package suites_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/fixtures/requirements"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/tests/against"
)

// The technical words of a procedure show what it promises to send: they appear literally in requests.
var (
	numbered  = regexp.MustCompile(`^\d+\. `)
	ids       = regexp.MustCompile(`\b(RS|AS)-[A-Z0-9]+(-[A-Z0-9]+)+\b`)
	technical = regexp.MustCompile(strings.Join([]string{
		`https?://[^\s,;)'"\]]+`,                        // addresses
		`\b[A-Z][A-Za-z]*(?:-[A-Z][A-Za-z]*)+\b`,        // header fields
		`\b[a-z]+/[a-z_]+\b(?:/[a-z]+)?`,                // JSON-RPC methods and media types
		`\b[a-z]+(?:_[a-z0-9]+)+\b`,                     // parameters, members, claims
		`\b[a-z]+[A-Z][A-Za-z]+\b`,                      // members of MCP
		`\b(?:GET|HEAD|PUT|PATCH|DELETE|TRACE|QUERY)\b`, // HTTP methods; POST is ordinary
		`\b(?:[EHPR]S(?:256|384|512)|EdDSA|A(?:128|256)[A-Z0-9]+|PBES2[A-Z0-9-]*)\b`,
		`(^| )/[a-z_.][\w./-]*`, // paths
		`\b(?:aud|iss|exp|nbf|iat|jti|kid|alg|typ|jku|x5u|jwk|x5c|crit|cty|zip|azp|sub|nonce|ath|htm|htu|cnf|openid)\b`,
		`"[^" ]+"`,
	}, "|"))
	reads = regexp.MustCompile(`(?i)\b(read|look|compare|search|collect|count|verify|unquote|take|find|declared|where|whose|lists?|names?|` +
		`has|have|issues|accepts|uses|advertised|answered)\b`)
	sentence = regexp.MustCompile(`[.:;]\s+`)
)

// operations are the words in steps for requests, with what those requests contain.
var operations = []struct {
	says *regexp.Regexp
	sent string
}{
	{regexp.MustCompile(`\b[Rr]edeem(s|ed)?\b`), "grant_type=authorization_code"},
	{regexp.MustCompile(`\b([Rr]efresh (once|twice|with|the|it)|a refresh with)`), "grant_type=refresh_token"},
	{regexp.MustCompile(`(^|[.:;,] |and )[Rr]evoke\b`), "revocation_endpoint"},
	{regexp.MustCompile(`\b([Ss]ign in|authorization request|[Cc]omplete (a|an|another) .*flow|flows?\b)`), "authorization_endpoint"},
	{regexp.MustCompile(`\b([Pp]rotected request|served at the MCP endpoint|smallest MCP request)\b`), "mcp_endpoint"},
	{regexp.MustCompile(`(^|[.:;,] )[Cc]all (the|each|it|one|a) (declared )?tool`), "tools/call"},
	{regexp.MustCompile(`\b[Oo]pen (a|six|two|one) sessions?\b`), "initialize"},
	{regexp.MustCompile(`\btoken request\b`), "token_endpoint"},
	{regexp.MustCompile(`\bPOST batches\b`), "[{"},
	{regexp.MustCompile(`\bsigns each token\b`), `"alg"`},
}

// promise is a technical word of a numbered step.
type promise struct {
	word string
	at   string // the path of the endpoint with this name
	read bool   // this part of the step reads an answer, which may contain the word
}

// options are words of the target file that steps use for their conditions; they are not promises. A test checks them.
var options = []string{"address_block", "fake_idp", "grants_page", "other_resource", "second_idp"}

// promises returns the technical words of the numbered steps of a procedure.
func promises(procedure []string) (out []promise) {
	for _, step := range procedure {
		if !numbered.MatchString(step) {
			continue
		}
		step = ids.ReplaceAllString(strings.ReplaceAll(step, "POST to the MCP endpoint", ""), "")
		for _, part := range sentence.Split(step, -1) {
			for _, word := range technical.FindAllString(part, -1) {
				if word = strings.Trim(word, ` .:"`); !slices.Contains(options, word) {
					out = append(out, promise{word: word, read: reads.MatchString(part)})
				}
			}
			for _, o := range operations {
				if o.says.MatchString(part) {
					out = append(out, promise{word: o.sent})
				}
			}
		}
	}
	return out
}

// traffic records which promises of each check were sent and received.
type traffic struct {
	mu             sync.Mutex
	wanted         map[string][]promise
	sent, answered map[string]map[string]bool // id -> word
	ran, left      map[string]bool            // judged checks, and undecided ones, which may have ended before they sent everything
}

// newTraffic expects all promises of the catalogue.
func newTraffic() *traffic {
	x := noTraffic()
	for _, r := range requirements.All() {
		x.want(r.ID, promises(r.Procedure))
	}
	return x
}

func noTraffic() *traffic {
	return &traffic{wanted: map[string][]promise{}, sent: map[string]map[string]bool{}, answered: map[string]map[string]bool{},
		ran: map[string]bool{}, left: map[string]bool{}}
}

func (x *traffic) want(id string, all []promise) {
	x.wanted[id], x.sent[id], x.answered[id] = all, map[string]bool{}, map[string]bool{}
}

// at adds the addresses of the endpoints that steps name.
func (x *traffic) at(metadata map[string]any) {
	for id := range x.wanted {
		for i, p := range x.wanted[id] {
			if address, _ := metadata[p.word].(string); address != "" {
				u, _ := url.Parse(address)
				x.wanted[id][i].at = u.Path
			}
		}
	}
}

// note marks the promised words of a check that a text contains.
func (x *traffic) note(in map[string]map[string]bool, id, text string) {
	text = strings.ToLower(text)
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, p := range x.wanted[id] {
		if !in[id][p.word] && (strings.Contains(text, strings.ToLower(p.word)) || p.at != "" && strings.Contains(text, p.at)) {
			in[id][p.word] = true
		}
	}
}

// complete reports whether each promised word of a check is marked.
func (x *traffic) complete(in map[string]map[string]bool, id string) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return !slices.ContainsFunc(x.wanted[id], func(p promise) bool { return !in[id][p.word] })
}

// mostOfBody bounds the part of a body that is searched.
const mostOfBody = 64 << 10

// through returns a handler that records every request; its User-Agent names the check.
func (x *traffic) through(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, body := ids.FindString(r.UserAgent()), &bytes.Buffer{}
		if x.complete(x.sent, id) {
			h.ServeHTTP(w, r)
			return
		}
		r.Body = struct {
			io.Reader
			io.Closer
		}{io.TeeReader(r.Body, &bounded{body}), r.Body}
		defer func() {
			x.note(x.sent, id, spelled(r.Method, r.RequestURI, r.Host, fmt.Sprint(r.Header), body.String()))
		}()
		h.ServeHTTP(w, r)
	})
}

// bounded keeps the beginning of the written text.
type bounded struct{ to *bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	b.to.Write(p[:min(len(p), max(0, mostOfBody-b.to.Len()))])
	return len(p), nil
}

// notOfTokens reports whether a character cannot be in a JWT.
func notOfTokens(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-' || r == '.')
}

var unescaped = strings.NewReplacer(`\u0026`, "&", `\u003c`, "<", `\u003e`, ">")

// spelled returns a request as sent, and with its forms and tokens decoded.
func spelled(parts ...string) string {
	text := unescaped.Replace(strings.Join(parts, "\n"))
	out := []string{text}
	for part := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == '&' || r == '\n' || r == ' ' }) {
		if decoded, err := url.QueryUnescape(part); err == nil && decoded != part {
			out = append(out, decoded)
		}
	}
	for token := range strings.FieldsFuncSeq(strings.Join(out, "\n"), notOfTokens) {
		parts := strings.Split(token, ".")
		if len(parts) < 3 || len(parts[0]) < 8 {
			continue
		}
		for _, part := range parts[:2] {
			if decoded, err := base64.RawURLEncoding.DecodeString(part); err == nil {
				out = append(out, string(decoded))
			}
		}
	}
	return strings.Join(out, "\n")
}

// add records the exchanges on which the results of a run rest, also those that other checks or the survey sent.
func (x *traffic) add(run *reports.Run) {
	exchanges := map[int]*reports.Exchange{}
	for i := range run.Exchanges {
		exchanges[run.Exchanges[i].Number] = &run.Exchanges[i]
	}
	for i := range run.Results {
		r := &run.Results[i]
		x.ran[r.ID] = x.ran[r.ID] || r.Verdict == reports.Pass || r.Verdict == reports.Warn || r.Verdict == reports.Review
		x.left[r.ID] = x.left[r.ID] || r.Verdict == reports.Inconclusive
		x.note(x.sent, r.ID, strings.Join(r.Tried, "\n"))
		for _, n := range r.Evidence {
			ex := exchanges[n]
			if ex == nil {
				continue
			}
			if !x.complete(x.sent, r.ID) {
				x.note(x.sent, r.ID, spelled(ex.Request.Method, ex.Request.URL, fmt.Sprint(ex.Request.Header), ex.Request.Body))
			}
			if ex.Response != nil && !x.complete(x.answered, r.ID) {
				x.note(x.answered, r.ID, spelled(fmt.Sprint(ex.Response.Header), ex.Response.Body))
			}
		}
	}
}

// broken returns the promises that a check broke, by id and word. A word that a step reads need not be in an answer if the code of the
// check looks for it.
func (x *traffic) broken(c *code) (out []string) {
	for id, all := range x.wanted {
		for _, p := range all {
			kept := x.sent[id][p.word] || p.read && (x.answered[id][p.word] || c.names(id, p.word))
			if line := id + " " + p.word; x.ran[id] && !x.left[id] && !kept && !slices.Contains(out, line) {
				out = append(out, line)
			}
		}
	}
	slices.Sort(out)
	return out
}

// unsent lists the words of procedures that runs of the reference do not show, below the reasons.
const unsent = "testdata/unsent.txt"

// A procedure sends what it promises: its technical words are in the requests of its check in runs of the reference, or, where the step
// reads, in the answers. A file lists the words that these runs cannot show, with the reason.
func TestWhatProceduresPromiseIsSent(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("the race detector makes the runs too slow")
	}
	x := theTraffic(t)
	broken := x.broken(readCode(t))
	for id := range x.wanted {
		if !x.ran[id] && !x.left[id] {
			broken = append(broken, id+" *")
		}
	}
	known := readUnsent(t)
	broken = slices.DeleteFunc(broken, func(line string) bool { return slices.Contains(known, line) })
	slices.Sort(broken)
	assert.Empty(t, broken, "a procedure names what its check does not send: correct one of the two, or say in %s why no run shows it", unsent)
	for _, line := range known {
		id, word, _ := strings.Cut(line, " ")
		promised := slices.ContainsFunc(x.wanted[id], func(p promise) bool { return p.word == word })
		assert.True(t, promised || word == "*" && !x.ran[id], "%s: %s is no longer promised, or a check sends it: delete the line", unsent, line)
	}
	assert.LessOrEqual(t, len(known), mostUnsent, "%s has too many lines", unsent)
}

// mostUnsent is the maximum number of lines in the file. It only goes down.
const mostUnsent = 117

func readUnsent(t *testing.T) (known []string) {
	text, err := os.ReadFile(filepath.FromSlash(unsent))
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			known = append(known, line)
		}
	}
	return known
}

// theTraffic returns the traffic of the ideal run, and of runs with a proxy, over https and with a base scope for what the ideal run lacks.
func theTraffic(t *testing.T) *traffic {
	idealRun(t)
	x := ideal.traffic
	for _, v := range []struct {
		bend func(o *reference.Options)
		only []string
	}{
		{func(o *reference.Options) { o.Proxy = true }, []string{"AS-PROXY-*", "RS-PASS-*"}},
		{func(o *reference.Options) { o.Host = "mcp.example.com" }, []string{"*-TLS-*", "RS-MTLS-*", "RS-DISC-URLS-*", "RS-TRANSPORT-COOKIES"}},
		{func(o *reference.Options) { o.Policy.ScopeAtTheDoor = "notes:read" }, []string{"RS-SCOPE-EVERY-TOOL"}},
	} {
		o := reference.Ideal()
		v.bend(&o)
		o.Wrap = x.through
		cfg := against.SigningIn(against.Start(t, o))
		cfg.Only = v.only
		if scope := o.Policy.ScopeAtTheDoor; scope != "" {
			cfg.Base = []string{scope}
		}
		x.add(against.Run(t, cfg))
	}
	return x
}

func TestAPromiseThatIsNotKeptIsSeen(t *testing.T) {
	x := noTraffic()
	x.want("RS-X", promises([]string{
		"1. POST tools/list with X-Never: 1, and DELETE the session. Read sampled_member of the answer.", "PASS: 401.",
	}))
	x.ran["RS-X"] = true
	x.note(x.sent, "RS-X", "POST /mcp tools/list")
	x.note(x.answered, "RS-X", `{"sampled_member": "DELETE"}`)
	assert.Equal(t, []string{"RS-X DELETE", "RS-X X-Never"}, x.broken(&code{known: map[string]string{}}))
}

func TestOptionsAreOfTheTargetFile(t *testing.T) {
	schema, err := os.ReadFile(filepath.FromSlash("target/target.schema.json"))
	require.NoError(t, err)
	for _, o := range options {
		assert.Contains(t, string(schema), `"`+o+`"`)
	}
}

// metadataOf returns the metadata of the reference's authorization server.
func metadataOf(t *testing.T, r *reference.Reference) (metadata map[string]any) {
	t.Helper()
	answer, err := http.Get(r.IDP.Issuer + "/.well-known/oauth-authorization-server")
	require.NoError(t, err)
	defer answer.Body.Close()
	require.NoError(t, json.NewDecoder(answer.Body).Decode(&metadata))
	metadata["mcp_endpoint"] = r.URL
	return metadata
}

// mostWordless is the maximum number of numbered steps with neither a technical word nor compared rows. It only goes down.
const mostWordless = 12

func TestStepsSayWhatIsSent(t *testing.T) {
	var wordless []string
	for _, r := range requirements.All() {
		for _, step := range r.Procedure {
			if numbered.MatchString(step) && len(promises([]string{step})) == 0 && len(requirements.Rows(r.ID)) == 0 {
				wordless = append(wordless, r.ID+" "+step)
			}
		}
	}
	assert.LessOrEqual(t, len(wordless), mostWordless, strings.Join(wordless, "\n"))
}

// A passed result rests on exchanges, with these exceptions.
func TestWhatPassesRestsOnExchanges(t *testing.T) {
	t.Parallel()
	without := []string{
		"RS-STATIC-ENTROPY",       // judges the credential itself
		"RS-TRANSPORT-LOCAL-BIND", // no connection opens
	}
	for _, r := range idealRun(t).Results {
		if r.Verdict == reports.Pass && !slices.Contains(without, r.ID) {
			assert.NotEmpty(t, r.Evidence, r.ID)
		}
	}
}
