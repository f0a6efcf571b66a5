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

// What a procedure promises to send is known by its technical words: they are sent as they are written.
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
	jwt      = regexp.MustCompile(`[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){2,4}`)
)

// operations are what steps say in words, and what is sent then.
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
	at   string // for the name of an endpoint, where that is
	read bool   // the part of the step reads something: what it names may be in an answer
}

// options are words of the target file, by which steps say what they need: no promise. A test holds that they are such.
var options = []string{"address_block", "fake_idp", "grants_page", "other_resource"}

// promises are the technical words of the numbered steps of a procedure.
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

// traffic is what each check sent and got, of its promises.
type traffic struct {
	mu             sync.Mutex
	wanted         map[string][]promise
	sent, answered map[string]map[string]bool // id -> word
	ran, left      map[string]bool            // what was judged, and what was not decided: that may have ended before it sent all
}

// newTraffic wants all promises of the catalogue.
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

// at tells where the endpoints are that steps call by their names.
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

// note marks the promised words of a check that a text has.
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

// mostOfBody bounds how much of a body is looked at.
const mostOfBody = 64 << 10

// through is a handler that looks at every request, whose User-Agent names the check.
func (x *traffic) through(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, body := ids.FindString(r.UserAgent()), &bytes.Buffer{}
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

// bounded keeps the beginning of what is written.
type bounded struct{ to *bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	b.to.Write(p[:min(len(p), max(0, mostOfBody-b.to.Len()))])
	return len(p), nil
}

// spelled is a request as it is written, with the forms and tokens in it decoded.
func spelled(parts ...string) string {
	text := strings.NewReplacer(`\u0026`, "&", `\u003c`, "<", `\u003e`, ">").Replace(strings.Join(parts, "\n"))
	out := []string{text}
	for part := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == '&' || r == '\n' || r == ' ' }) {
		if decoded, err := url.QueryUnescape(part); err == nil && decoded != part {
			out = append(out, decoded)
		}
	}
	for _, token := range jwt.FindAllString(strings.Join(out, "\n"), -1) {
		for _, part := range strings.Split(token, ".")[:2] {
			if decoded, err := base64.RawURLEncoding.DecodeString(part); err == nil {
				out = append(out, string(decoded))
			}
		}
	}
	return strings.Join(out, "\n")
}

// add looks at what the results of a run rest on: also at what other checks or the survey sent for them.
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
			x.note(x.sent, r.ID, spelled(ex.Request.Method, ex.Request.URL, fmt.Sprint(ex.Request.Header), ex.Request.Body))
			if ex.Response != nil {
				x.note(x.answered, r.ID, spelled(fmt.Sprint(ex.Response.Header), ex.Response.Body))
			}
		}
	}
}

// broken are the promises of checks that ran, and that nothing kept, by id and word. What a step reads need not be in an answer: it
// is in the code of the check, which looks for it.
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

// unsent is the file of what procedures name, and what is not seen in runs of the reference: the reason, and below it ids and words.
const unsent = "testdata/unsent.txt"

// What a procedure promises to send is sent: its technical words are in what its check sends in runs of the reference, or, where the
// step reads, in what it gets. What these runs cannot show is in a file, with the reason.
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
	assert.Empty(t, broken, "procedures name what their checks do not send: correct one of them, or say in %s why no run shows it", unsent)
	for _, line := range known {
		id, word, _ := strings.Cut(line, " ")
		promised := slices.ContainsFunc(x.wanted[id], func(p promise) bool { return p.word == word })
		assert.True(t, promised || word == "*" && !x.ran[id], "%s: %s is no longer promised, or is tried: take it out", unsent, line)
	}
	assert.LessOrEqual(t, len(known), mostUnsent, "lines of %s", unsent)
}

// mostUnsent is how many lines the file has, at most. It only goes down.
const mostUnsent = 116

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

// theTraffic is that of the ideal run, and of runs with a proxy, over https and with a base scope, of what only they have.
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

// metadataOf is the metadata of the reference's authorization server.
func metadataOf(t *testing.T, r *reference.Reference) (metadata map[string]any) {
	t.Helper()
	answer, err := http.Get(r.IDP.Issuer + "/.well-known/oauth-authorization-server")
	require.NoError(t, err)
	defer answer.Body.Close()
	require.NoError(t, json.NewDecoder(answer.Body).Decode(&metadata))
	metadata["mcp_endpoint"] = r.URL
	return metadata
}

// mostWordless is how many numbered steps neither name anything technical nor have rows that are compared. It only goes down.
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

// What passes shows it: a result rests on exchanges, but for these.
func TestWhatPassesRestsOnExchanges(t *testing.T) {
	t.Parallel()
	without := []string{
		"RS-STATIC-ENTROPY",       // looks at the credential itself
		"RS-TRANSPORT-LOCAL-BIND", // no connection opens
	}
	for _, r := range idealRun(t).Results {
		if r.Verdict == reports.Pass && !slices.Contains(without, r.ID) {
			assert.NotEmpty(t, r.Evidence, r.ID)
		}
	}
}
