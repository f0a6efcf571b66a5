package login

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-rod/rod"
	"github.com/go-rod/rod/lib/cdp"
	"github.com/go-rod/rod/lib/launcher"
	"github.com/go-rod/rod/lib/launcher/flags"
	"github.com/go-rod/rod/lib/proto"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/wire"
	"github.com/mcpauth/conformance/suites/target"
)

// Browser signs users in with a real Chromium. One process serves a run; every login has its own browser context, without cookies of
// others. All its traffic goes through the guarded client's proxy.
type Browser struct {
	// Path of the browser; if empty, it is searched.
	Path string
	// NoSandbox runs the browser without its sandbox.
	NoSandbox bool
	// Say tells the user that the sandbox is off.
	Say func(string)
	// Client is the guarded client.
	Client *wire.Client
	// Recipe, if set, says what to do on unknown pages.
	Recipe *target.Recipe
	// Picture, if set, receives pictures of login and consent pages, and of the page where a login failed.
	Picture func(reports.Screenshot)

	launch   sync.Once
	failed   error
	browser  *rod.Browser
	process  *exec.Cmd
	exited   chan struct{} // closed when the process has ended
	profile  string
	proxy    *wire.Proxy
	secret   bool       // a secret was typed: no more pictures
	turn     sync.Mutex // one login at a time, because one keeps two cores busy; it guards pictured
	pictured map[string]bool
}

// ErrNoBrowser is the error of a machine without a browser.
var ErrNoBrowser = errors.New("no browser was found; install one (Debian: apt-get install chromium; macOS: brew install --cask " +
	"chromium), or name it with MCPAUTH_BROWSER")

// FindBrowser finds a Chromium: the named one, the one in MCPAUTH_BROWSER, or an installed one. It never downloads anything.
func FindBrowser(named string) (string, error) {
	if named == "" {
		named = os.Getenv("MCPAUTH_BROWSER")
	}
	if named != "" {
		if _, err := os.Stat(named); err != nil {
			return "", fmt.Errorf("the browser cannot be used: %w", err)
		}
		return named, nil
	}
	if path, err := exec.LookPath("chromium-headless-shell"); err == nil {
		return path, nil
	}
	if path, ok := launcher.LookPath(); ok {
		return path, nil
	}
	return "", ErrNoBrowser
}

// inContainer reports whether this process runs in a container.
func inContainer() bool {
	for _, mark := range []string{"/.dockerenv", "/run/.containerenv"} {
		if _, err := os.Stat(mark); err == nil {
			return true
		}
	}
	b, _ := os.ReadFile("/proc/1/cgroup")
	return strings.Contains(string(b), "docker") || strings.Contains(string(b), "kubepods") || os.Getenv("KUBERNETES_SERVICE_HOST") != ""
}

func (b *Browser) start() error {
	b.launch.Do(func() { b.failed = b.open() })
	return b.failed
}

func (b *Browser) open() error {
	path, err := FindBrowser(b.Path)
	if err != nil {
		return err
	}
	noSandbox := b.NoSandbox
	if !noSandbox && os.Geteuid() == 0 {
		if !inContainer() {
			return errors.New("the browser refuses to run as root with its sandbox: run as another user, or allow it with --browser-no-sandbox")
		}
		noSandbox = true
	}
	if noSandbox && b.Say != nil {
		b.Say("the browser runs without its sandbox, as root in a container must")
	}
	if b.proxy, err = b.Client.NewProxy(); err != nil {
		return err
	}
	if b.profile, err = os.MkdirTemp("", "mcpauth-browser-"); err != nil {
		return err
	}
	return b.run(path, noSandbox)
}

// run starts the process with a pipe instead of a debugging port, so that no other program on the machine can control it, and it ends with
// this process.
func (b *Browser) run(path string, noSandbox bool) error {
	r1, w1, err := os.Pipe()
	if err != nil {
		return err
	}
	r2, w2, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd := exec.Command(path, b.arguments(path, noSandbox)...)
	cmd.ExtraFiles = []*os.File{r1, w2} // the child's 3 and 4
	cmd.Env = environment(b.profile)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("the browser does not start: %w", err)
	}
	r1.Close()
	w2.Close()
	b.process, b.exited = cmd, make(chan struct{})
	go func() { _ = cmd.Wait(); close(b.exited) }()
	driver := rod.New().Client(cdp.New().Start(&pipe{w: w1, r: bufio.NewReaderSize(r2, 1<<16), files: []*os.File{w1, r2}}))
	if err := b.connect(driver); err != nil {
		_ = cmd.Process.Kill()
		return fmt.Errorf("the browser %s does not start: %w", filepath.Base(path), err)
	}
	b.browser = driver
	return nil
}

// arguments returns the command line: all traffic goes through the proxy.
func (b *Browser) arguments(path string, noSandbox bool) []string {
	l := launcher.New().Bin(path).Leakless(false).NoSandbox(noSandbox).UserDataDir(b.profile)
	l.Delete(flags.RemoteDebuggingPort).Set("remote-debugging-pipe")
	l.Delete("disable-site-isolation-trials")
	l.Set("lang", "en-US").Set("accept-lang", "en-US,en") // pages are parsed in English
	l.Set("disable-features", "AutofillServerCommunication,OptimizationHints,MediaRouter,Translate")
	l.Set("proxy-server", "http://"+b.proxy.Addr).Set("proxy-bypass-list", "<-loopback>")
	l.Set("ignore-certificate-errors-spki-list", b.proxy.PublicKeyHash) // the proxy verifies servers; the browser trusts it by its key
	l.Set("force-webrtc-ip-handling-policy", "disable_non_proxied_udp").Set("webrtc-ip-handling-policy", "disable_non_proxied_udp")
	l.Set("host-resolver-rules", "MAP * ~NOTFOUND , EXCLUDE 127.0.0.1") // the proxy resolves names
	return l.FormatArgs()
}

// connect waits until the browser answers.
func (b *Browser) connect(driver *rod.Browser) error {
	connected := make(chan error, 1)
	go func() { connected <- driver.Connect() }()
	select {
	case err := <-connected:
		return err
	case <-b.exited:
		return errors.New("it ended at once")
	case <-time.After(time.Minute):
		return errors.New("it does not answer")
	}
}

// environment has only the variables that a browser needs: it shows untrusted pages, and the others may contain secrets. Its home is its
// profile.
func environment(home string) []string {
	out := []string{"HOME=" + home}
	for _, name := range []string{
		"PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "FONTCONFIG_PATH", "FONTCONFIG_FILE", "DISPLAY", "WAYLAND_DISPLAY",
		"XDG_RUNTIME_DIR",
		"SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "TEMP", "TMP", "PROGRAMFILES", "PROGRAMFILES(X86)", "LOCALAPPDATA", // Windows
	} {
		if v, ok := os.LookupEnv(name); ok {
			out = append(out, name+"="+v)
		}
	}
	return out
}

// pipe transports the DevTools protocol, whose messages end with NUL.
type pipe struct {
	mu    sync.Mutex
	w     *os.File
	r     *bufio.Reader
	files []*os.File
}

func (p *pipe) Send(message []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, err := p.w.Write(append(message, 0))
	return err
}

// longestMessage is the longest message that is read from a browser: pictures are smaller, but addresses and titles of a page can have any
// size.
const longestMessage = 4 << 20

// Read returns the next message within the limit.
func (p *pipe) Read() ([]byte, error) {
	var message []byte
	for long := false; ; {
		part, err := p.r.ReadSlice(0)
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return nil, err
		}
		if long = long || len(message)+len(part) > longestMessage; long {
			message = nil
		} else {
			message = append(message, part...)
		}
		switch {
		case err != nil: // more follows
		case long:
			long = false
		default:
			return message[:len(message)-1], nil
		}
	}
}

// Close ends the browser and removes its profile.
func (b *Browser) Close() {
	b.launch.Do(func() { b.failed = errors.New("the browser has been closed") })
	if b.process != nil {
		if b.browser != nil {
			_ = b.browser.Timeout(3 * time.Second).Close()
		}
		select {
		case <-b.exited:
		case <-time.After(3 * time.Second):
			_ = b.process.Process.Kill()
			<-b.exited
		}
	}
	if b.proxy != nil {
		b.proxy.Close()
	}
	if b.profile != "" {
		_ = os.RemoveAll(b.profile)
	}
}

// Time limits of a login in the browser.
const (
	wholeLogin = time.Minute
	oneStep    = 8 * time.Second // for a loaded page
	glance     = 12 * time.Millisecond
)

// BrowserFailed begins the reason if the browser itself fails, not the server.
const BrowserFailed = "the browser failed"

// Authorize follows an authorization request through the pages in a new browser context, and leaves the cookies in the agent's jar.
func (b *Browser) Authorize(ctx context.Context, agent *Agent, start string, r Route) *Outcome {
	address, refused := agent.begin(start)
	if refused != nil {
		return refused
	}
	if err := b.start(); err != nil {
		return &Outcome{Stage: Failed, Why: err.Error()}
	}
	b.turn.Lock()
	defer b.turn.Unlock()
	ctx, cancel := context.WithTimeout(ctx, wholeLogin)
	defer cancel()
	d := &drive{Browser: b, agent: agent, route: r, out: &Outcome{}, answer: make(chan arrival, 4), pages: map[proto.TargetTargetID]bool{},
		acted: map[proto.TargetTargetID]string{}, followed: map[*target.RecipePage]int{}, scopes: scopesOf(start), first: map[string]time.Time{}}
	incognito, err := b.browser.Context(ctx).Incognito()
	if err != nil {
		return &Outcome{Stage: Failed, Why: BrowserFailed + ": " + err.Error()}
	}
	defer func() {
		_ = proto.TargetDisposeBrowserContext{BrowserContextID: incognito.BrowserContextID}.Call(b.browser)
	}()
	d.context = incognito
	d.carry(ctx, address)
	d.pictureFailure()
	d.keepCookies()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.over = true // the browser may still be loading
	if d.out.Exchange == nil && len(d.exchanges) > 0 {
		d.out.Exchange = d.exchanges[len(d.exchanges)-1]
	}
	d.out.Hops = d.hops
	return d.out
}

// drive is one login in the browser.
type drive struct {
	*Browser
	agent   *Agent
	route   Route
	out     *Outcome
	context *rod.Browser
	answer  chan arrival
	pages   map[proto.TargetTargetID]bool

	mu        sync.Mutex // guards the fields that the browser's events set
	exchanges []*reports.Exchange
	hops      []Hop
	trail     []string
	over      bool
	typed     int // number of times the password was typed
	named     int
	coded     int
	decided   int
	passed    int
	scopes    []string                        // the requested scopes
	acted     map[proto.TargetTargetID]string // for each page, its state at the last action
	followed  map[*target.RecipePage]int      // number of times
	since     time.Time
	first     map[string]time.Time // when each address was first seen
}

// arrival is the authorization server's answer at the client's redirect URI.
type arrival struct {
	location string
	form     url.Values
}

func (d *drive) carry(ctx context.Context, start string) {
	d.proxy.Take(d.taken)
	defer d.proxy.Take(nil)
	page, err := d.context.Page(proto.TargetCreateTarget{})
	if err != nil {
		d.end(Failed, BrowserFailed+": %v", err)
		return
	}
	d.watch(page)
	d.seedCookies(page, start)
	navigated := make(chan error, 1)
	go func() { navigated <- page.Navigate(start) }()
	d.since = time.Now()
	for {
		select {
		case a := <-d.answer:
			d.arrived(a)
			return
		case err := <-navigated:
			if err != nil && !d.expected(err) {
				d.end(Failed, "the page %s does not load: %v", start, err)
				return
			}
			navigated = nil
		case <-ctx.Done():
			d.end(Failed, "the login took longer than %v; the pages were %s", wholeLogin, d.way())
			return
		case <-time.After(glance):
			if d.look(ctx) {
				return
			}
		}
	}
}

// expected reports whether a navigation failed because its redirect went to the client, where nothing listens.
func (d *drive) expected(err error) bool {
	return len(d.answer) > 0 || strings.Contains(err.Error(), "ERR_ABORTED")
}

func (d *drive) end(s Stage, format string, args ...any) {
	d.out.Stage, d.out.Why = s, fmt.Sprintf(format, args...)
}

// taken sees every plain request of the browser: the client's callback goes no further.
func (d *drive) taken(r *http.Request) bool {
	if _, ok := answers(d.route.RedirectURI, r.URL.String()); !ok {
		return false
	}
	a := arrival{location: r.URL.String()}
	if r.Method == http.MethodPost && r.ParseForm() == nil {
		a.form = r.PostForm
	}
	select {
	case d.answer <- a:
	default:
	}
	return true
}

func (d *drive) arrived(a arrival) {
	w := &walk{Agent: d.agent, route: d.route, out: d.out}
	if a.form != nil {
		d.out.Params, d.out.Posted, d.out.Location, d.out.Stage = a.form, true, a.location, Answered
		for name, values := range a.form {
			w.hide(name, values...)
		}
		return
	}
	rest, _ := answers(d.route.RedirectURI, a.location)
	w.answered(a.location, rest)
}

// watch follows the requests of a page: it records redirects and documents as evidence, and notices an answer at a redirect URI that is not
// plain HTTP. It closes dialogs, which would block the page.
func (d *drive) watch(page *rod.Page) {
	d.pages[page.TargetID] = true
	wait := page.EachEvent(
		func(e *proto.NetworkRequestWillBeSent) {
			if e.Type != proto.NetworkResourceTypeDocument {
				return
			}
			if e.RedirectResponse != nil {
				d.record(e.RedirectResponse, e.Request.URL)
			}
			if _, ok := answers(d.route.RedirectURI, e.Request.URL); ok && !strings.HasPrefix(e.Request.URL, "http://") {
				select {
				case d.answer <- arrival{location: e.Request.URL}:
				default:
				}
			}
		},
		func(e *proto.NetworkResponseReceived) {
			if e.Type == proto.NetworkResourceTypeDocument {
				d.record(e.Response, "")
			}
		},
		func(*proto.PageJavascriptDialogOpening) {
			_ = proto.PageHandleJavaScriptDialog{Accept: false}.Call(page)
		},
	)
	go wait()
}

// record records an answer to the browser, without its body.
func (d *drive) record(r *proto.NetworkResponse, to string) {
	ex := &reports.Exchange{Number: d.Client.Number(), Check: "browser", Started: time.Now(),
		Request: reports.Request{Method: "GET", URL: r.URL}, Response: &reports.Response{Status: r.Status, Proto: r.Protocol}}
	for _, name := range slices.Sorted(maps.Keys(r.Headers)) {
		ex.Response.Header = append(ex.Response.Header, reports.Field{Name: http.CanonicalHeaderKey(name), Value: r.Headers[name].String()})
	}
	if u, err := url.Parse(to); err == nil {
		w := &walk{Agent: d.agent}
		for name, values := range u.Query() {
			w.hide(name, values...)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.over {
		return
	}
	d.exchanges = append(d.exchanges, ex)
	d.trail = append(d.trail, bare(r.URL))
	if to != "" {
		d.hops = append(d.hops, Hop{Status: r.Status, Method: "GET", From: r.URL, To: to})
	}
	if d.agent.Record != nil {
		d.agent.Record(ex)
	}
}

// way returns the trail of pages so far, for an error message.
func (d *drive) way() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.trail, " → ")
}

// bare removes the parts of a URL that may be secret.
func bare(address string) string {
	cut, _, _ := strings.Cut(address, "?")
	return cut
}

// sight is what a person can see and use on a page.
type sight struct {
	URL, Title, Text string
	Loaded           bool
	Fields           []seen
}

// seen is a usable element of a page.
type seen struct {
	Mark                                             int
	Form                                             int // -1: in none
	Tag, Type, Name, Complete, Label, Value, Address string
	Checked                                          bool
	Action, Own                                      string // of the form, and of a button with its own
}

// everywhere finds elements in shadow trees too.
const everywhere = `const everywhere = selector => { const out = []; const into = root => { out.push(...root.querySelectorAll(selector));
	for (const e of root.querySelectorAll('*')) if (e.shadowRoot) into(e.shadowRoot); }; into(document); return out; };
	const marked = mark => everywhere('[data-mcpauth="' + mark + '"]')[0];`

// glanceScript marks and describes the usable elements of a page. A text field that people cannot see is a trap, or appears later.
const glanceScript = `() => {
	` + everywhere + `
	let n = 0; const fields = [], forms = everywhere('form'), cut = s => String(s).slice(0, 16384);
	const usable = e => {
		const r = e.getBoundingClientRect(), s = getComputedStyle(e);
		return r.width > 0 && r.height > 0 && s.visibility !== 'hidden' && !e.disabled;
	};
	const writes = e => e.tagName === 'INPUT' && !['submit', 'button', 'image', 'checkbox', 'radio'].includes(e.type);
	const away = e => {
		const r = e.getBoundingClientRect();
		return e.closest('[aria-hidden=true]') || getComputedStyle(e).opacity === '0' ||
			r.right + scrollX <= 0 || r.bottom + scrollY <= 0;
	};
	const get = (e, name) => {
		const v = Element.prototype.getAttribute.call(e, name);
		try { return v ? new URL(v, document.baseURI).href : ''; } catch { return v; }
	};
	for (const e of everywhere('[data-mcpauth]')) delete e.dataset.mcpauth;
	for (const e of everywhere('input, button, select, textarea, a[href], [role=button]')) {
		if (e.type === 'hidden' || !usable(e) || writes(e) && away(e)) continue;
		if (n === 1000) break; // nobody reads on
		e.dataset.mcpauth = ++n;
		const label = [
			e.labels && e.labels[0] && e.labels[0].innerText, e.getAttribute('aria-label'), e.placeholder, e.id, e.innerText,
			['submit', 'button'].includes(e.type) && e.value,
		].filter(Boolean).join(' ');
		fields.push({
			Mark: n, Form: forms.indexOf(e.form), Tag: e.tagName.toLowerCase(), Type: (e.type || '').toLowerCase(),
			Name: cut(e.name || ''), Complete: cut(e.autocomplete || ''), Label: label.slice(0, 200), Address: cut(e.href || ''),
			Checked: !!e.checked, Value: e.type === 'checkbox' ? cut(e.value) : '',
			Action: cut((e.form && get(e.form, 'action')) || location.href), Own: cut(get(e, 'formaction')),
		});
	}
	const said = [document.body ? document.body.innerText : ''];
	for (const e of everywhere('*')) if (e.shadowRoot) for (const c of e.shadowRoot.children) {
		if (c.innerText && c.tagName !== 'STYLE') said.push(c.innerText);
	}
	return JSON.stringify({
		Loaded: document.readyState === 'complete', URL: cut(location.href), Title: cut(document.title),
		Text: said.join(' ').slice(0, 4000), Fields: fields,
	});
}`

// look looks at every open page and performs the next action; true means that the login is over.
func (d *drive) look(ctx context.Context) bool {
	pages, err := d.context.Timeout(oneStep).Pages()
	if err != nil {
		if len(d.answer) == 0 && ctx.Err() == nil {
			d.end(Failed, BrowserFailed+": %v", err)
			return true
		}
		return false
	}
	if n := len(pages); n > mostWindows {
		d.end(Failed, "%s opens windows without end: %d are open", d.way(), n)
		return true
	}
	for _, page := range pages {
		page = page.Context(d.context.GetContext()) // it is watched longer
		if !d.pages[page.TargetID] {
			d.watch(page)
		}
		s, ok := d.see(ctx, page)
		if !ok || s.URL == "about:blank" || !s.Loaded {
			d.since = time.Now() // the browser or the server is busy
		}
		if !ok || s.URL == "about:blank" || !s.Loaded && !d.seenFor(s.URL, loading) {
			continue // its scripts may not have loaded yet
		}
		if over := d.act(ctx, page, s); over {
			return true
		}
	}
	if time.Since(d.since) > oneStep {
		for _, page := range pages { // the open pages show why
			if s, ok := d.see(ctx, page); ok && s.URL != "about:blank" {
				d.note(whole(ctx, page, s.page()))
			}
		}
		d.end(Failed, "the login does not continue at %s; %s", d.way(), d.out.Why)
		return true
	}
	return false
}

// mostWindows is the maximum number of open windows in a login; some open a second one for an identity provider.
const mostWindows = 8

// loading is how long a page may load before an action.
const loading = 3 * time.Second

// seenFor reports whether an address was first seen at least that long ago.
func (d *drive) seenFor(address string, long time.Duration) bool {
	if d.first[address].IsZero() {
		d.first[address] = time.Now()
	}
	return time.Since(d.first[address]) > long
}

func (d *drive) see(ctx context.Context, page *rod.Page) (*sight, bool) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	result, err := page.Context(ctx).Eval(glanceScript)
	if err != nil {
		return nil, false
	}
	var s sight
	return &s, json.Unmarshal([]byte(result.Value.Str()), &s) == nil
}

// page turns the visible elements into the forms that the plain walk understands too.
func (s *sight) page() *Page {
	at, err := url.Parse(s.URL)
	if err != nil {
		at = &url.URL{}
	}
	p := &Page{URL: at, Title: s.Title, Text: strings.Join(strings.Fields(s.Text), " "), Rendered: true}
	forms := map[int]int{}
	for _, f := range s.Fields {
		if f.Tag == "a" {
			p.Links = append(p.Links, Link{f.Address, f.Label})
			continue
		}
		i, ok := forms[f.Form]
		if !ok {
			i = len(p.Forms)
			forms[f.Form] = i
			action := f.Action
			if strings.HasPrefix(action, "javascript:") {
				action = s.URL // its script sends it
			}
			p.Forms = append(p.Forms, Form{Method: "POST", Action: action, loose: f.Form < 0})
		}
		in := Input{Name: f.Name, Type: f.Type, Label: f.Label, Complete: f.Complete, Value: f.Value, Action: f.Own, Checked: f.Checked,
			mark: f.Mark}
		p.Forms[i].add(in, f.Tag == "button" || f.Type == "submit" || f.Type == "button" || f.Type == "image" || f.Tag == "div" ||
			f.Tag == "span")
	}
	return p
}

// state distinguishes states of a page.
func (s *sight) state() string { return fmt.Sprint(s.URL, s.Text, len(s.Fields)) }

// act performs the next action on a page, once for each state of the page, and then waits for the effect.
func (d *drive) act(ctx context.Context, page *rod.Page, s *sight) bool {
	p := s.page()
	state := s.state()
	if state == d.acted[page.TargetID] {
		return false
	}
	acting := func(what string) {
		d.acted[page.TargetID] = state
		d.note(whole(ctx, page, p))
		if what != "" {
			d.picture(ctx, page, what, s)
		}
	}
	if known := pageOf(d.Recipe, p.URL, p.Text); known != nil {
		acting("a page of the login")
		return d.follow(ctx, page, p, known)
	}
	if b, ok := d.between(p); ok {
		acting("")
		return d.pass(ctx, page, p, b)
	}
	if f := p.Login(); f != nil {
		acting("the login page")
		return d.signIn(ctx, page, p, f)
	}
	if f, button, ok := p.Consent(); ok {
		acting("the consent page")
		return d.decide(ctx, page, p, f, button)
	}
	if opener, ok := d.opener(p); ok {
		acting("")
		d.click(ctx, page, opener.mark)
		return false
	}
	return d.unasked(p, s)
}

// between returns the button that skips a question between login and consent; false if there is no such question.
func (d *drive) between(p *Page) (Input, bool) {
	if d.agent.User != nil && !d.route.StopAtLogin {
		if _, b, ok := p.Account(d.agent.User.Name); ok {
			return b, true
		}
	}
	login := p.Login()
	if login != nil && login.named() {
		return Input{}, false
	}
	_, b, ok := p.Aside()
	return b, ok
}

// pass presses a button that does not affect the request.
func (d *drive) pass(ctx context.Context, page *rod.Page, p *Page, b Input) bool {
	if d.passed++; d.passed > 5 {
		d.end(Lost, "the page %q comes again and again: %s", p.Title, Shorten(p.Text))
		return true
	}
	d.click(ctx, page, b.mark)
	return false
}

// settled is how long a page must stay unchanged before it is judged: scripts continue after a page has loaded.
const settled = 1500 * time.Millisecond

// unasked handles a page without a question. It ends the login if the page shows an error permanently.
func (d *drive) unasked(p *Page, s *sight) bool {
	if p.Text == "" {
		return false
	}
	d.out.Why = "the page says: " + Shorten(p.Text)
	status := d.statusOf(s.URL)
	if !s.Loaded || status < 400 && !p.Faulty() || time.Since(d.since) < settled {
		return false
	}
	d.note(p)
	d.end(ErrorPage, "HTTP %d, with the text: %s", status, Shorten(p.Text))
	return true
}

// statusOf returns the HTTP status of a page; 0 if it is unknown.
func (d *drive) statusOf(address string) int {
	bareAddress, _, _ := strings.Cut(address, "#")
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := len(d.exchanges) - 1; i >= 0; i-- {
		if d.exchanges[i].Request.URL == bareAddress {
			return d.exchanges[i].Response.Status
		}
	}
	return 0
}

// mostSource bounds the source of a page from the browser, in characters: as much as an answer without a browser may have.
const mostSource = 1 << 20

// whole returns the current page in the browser, with the destinations of its forms, which a glance does not show.
func whole(ctx context.Context, page *rod.Page, seen *Page) *Page {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	source, err := page.Context(ctx).Eval(`most => document.documentElement.outerHTML.slice(0, most)`, mostSource)
	if err != nil {
		return seen
	}
	p := ParsePage(seen.URL, source.Value.Str())
	p.Title, p.Text, p.Rendered = seen.Title, seen.Text, true
	return p
}

func (d *drive) note(p *Page) {
	p.secretFields(d.agent.Secrets)
	d.since = time.Now()
	d.out.Pages = append(d.out.Pages, p)
	d.mu.Lock()
	if n := len(d.exchanges); n > 0 {
		d.out.PageExchanges = append(d.out.PageExchanges, d.exchanges[n-1])
	} else {
		d.out.PageExchanges = append(d.out.PageExchanges, &reports.Exchange{Check: "browser"})
	}
	d.mu.Unlock()
}

// opener returns a button that opens the login in another window.
func (d *drive) opener(p *Page) (Input, bool) {
	for i := range p.Forms {
		if b, ok := p.Forms[i].button([]string{"sign", "login", "log"}); ok {
			return b, true
		}
	}
	return Input{}, false
}

func (d *drive) signIn(ctx context.Context, page *rod.Page, p *Page, f *Form) bool {
	u := d.agent.User
	if d.route.StopAtLogin || d.route.StopAtPassword && f.Password() != nil || u == nil {
		d.end(AtLogin, "the page %q asks for a user", p.Title)
		return true
	}
	if why := d.agent.careless(p, f); why != "" {
		d.end(Lost, "%s", why)
		return true
	}
	d.secret = true
	again := false
	if in := f.User(); in != nil {
		again = again || d.named > 1
		d.named++
		d.out.Named = true
		d.fill(ctx, page, in.mark, u.Name)
	}
	if in := f.Password(); in != nil {
		again = again || d.typed > 0
		d.typed++
		d.out.Typed = true
		d.fill(ctx, page, in.mark, u.Password)
	}
	if in := f.OneTime(); in != nil && f.Password() == nil {
		again = again || d.coded > 0
		d.coded++
		code, err := oneTimeCode(u.OneTime, time.Now())
		if u.OneTime == "" || err != nil {
			d.end(Refused, "the page %q asks for a second factor, and the user has none here", p.Title)
			return true
		}
		d.fill(ctx, page, in.mark, code)
	}
	if again {
		d.end(Refused, "the login page came again: %q", Shorten(p.Text))
		return true
	}
	d.out.SignedIn = true
	if b := f.Submitter(); b.mark != 0 {
		d.click(ctx, page, b.mark)
		return false
	}
	d.eval(ctx, page, `() => { `+everywhere+`
		const e = document.activeElement && document.activeElement.form, f = e || everywhere('form')[0];
		if (f) f.requestSubmit();
	}`)
	return false
}

func (d *drive) decide(ctx context.Context, page *rod.Page, p *Page, f *Form, button Input) bool {
	switch d.route.Decision {
	case Leave:
		d.end(AtConsent, "")
		return true
	case Deny:
		_, deny, _, ok := p.Denial()
		if !ok || deny.mark == 0 {
			d.end(AtConsent, "the consent page has no button to deny")
			return true
		}
		button = deny
	}
	if d.decided++; d.decided > 3 {
		d.end(Lost, "the consent page came again: %s", Shorten(p.Text))
		return true
	}
	if d.route.Decision == Approve {
		for _, in := range f.Tick(d.scopes) {
			d.click(ctx, page, in.mark)
		}
	}
	d.out.Consented = true
	d.click(ctx, page, button.mark)
	return false
}

// fill types so that the page's own script notices it.
func (d *drive) fill(ctx context.Context, page *rod.Page, mark int, value string) {
	d.eval(ctx, page, `(mark, value) => {
		`+everywhere+` const e = marked(mark); if (!e) return;
		e.focus(); Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set.call(e, value);
		e.dispatchEvent(new Event('input', {bubbles: true, composed: true}));
		e.dispatchEvent(new Event('change', {bubbles: true, composed: true}));
	}`, mark, value)
}

func (d *drive) click(ctx context.Context, page *rod.Page, mark int) {
	d.eval(ctx, page, `(mark) => { `+everywhere+` const e = marked(mark); if (e) e.click(); }`, mark)
}

// eval runs a script as if the user had touched the page, because popups open only then.
func (d *drive) eval(ctx context.Context, page *rod.Page, script string, args ...any) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	// An error here means that the page went away during the script; the next look notices that.
	_, _ = page.Context(ctx).Evaluate(rod.Eval(script, args...).ByUser())
}

func (d *drive) seedCookies(page *rod.Page, start string) {
	u, err := url.Parse(start)
	if err != nil {
		return
	}
	for _, c := range d.agent.Jar.Cookies(u) {
		_, _ = proto.NetworkSetCookie{Name: c.Name, Value: c.Value, URL: u.Scheme + "://" + u.Host + "/"}.Call(page)
	}
}

// keepCookies copies the cookies of the browser into the agent's jar.
func (d *drive) keepCookies() {
	cookies, err := proto.StorageGetCookies{BrowserContextID: d.context.BrowserContextID}.Call(d.browser)
	if err != nil {
		return
	}
	for _, c := range cookies.Cookies {
		scheme := "http"
		if c.Secure {
			scheme = "https"
		}
		host := strings.TrimPrefix(c.Domain, ".")
		cookie := &http.Cookie{Name: c.Name, Value: c.Value, Path: c.Path, Secure: c.Secure, HttpOnly: c.HTTPOnly}
		if strings.HasPrefix(c.Domain, ".") {
			cookie.Domain = host
		}
		d.agent.Jar.Set(&url.URL{Scheme: scheme, Host: host, Path: "/"}, cookie)
	}
}
