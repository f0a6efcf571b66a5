package suites

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mcpauth/conformance/fixtures/requirements"
	"github.com/mcpauth/conformance/fixtures/seeded"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/check"
	"github.com/mcpauth/conformance/suites/internal/deadline"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/introspector"
	"github.com/mcpauth/conformance/suites/internal/mcp"
	"github.com/mcpauth/conformance/suites/internal/mint"
	"github.com/mcpauth/conformance/suites/internal/session"
	"github.com/mcpauth/conformance/suites/internal/survey"
	"github.com/mcpauth/conformance/suites/internal/wire"
	"github.com/mcpauth/conformance/suites/target"
)

// preparation is one run being prepared and carried out.
type preparation struct {
	cfg     Config
	reg     *check.Registry
	world   *check.World
	engines []*check.Engine // one, but where Ginkgo chooses which checks run
	run     reports.Run
	started time.Time
	cancel  context.CancelFunc
	endless context.Context // the run without the limit of its time
	client  *wire.Client
	opened  *mcp.Opened // the sessions at the target
	reach   wire.Reach  // of the target
	secrets *reports.Secrets
	session *session.Session
	closers []func()
	clock   *clock
	noLogin string // why the login by hand failed

	telling sync.Mutex
	told    map[string]bool // origins that get secrets

	picturing sync.Mutex
	pictures  []reports.Screenshot
}

// prepare validates the configuration, surveys the target and makes the engine.
func prepare(ctx context.Context, cfg Config) (context.Context, *preparation, error) {
	reg, err := registry()
	if err != nil {
		return ctx, nil, err
	}
	cfg.Complete()
	if err := cfg.validate(reg); err != nil {
		return ctx, nil, err
	}
	u, _ := document.ParseURL(cfg.URL)
	s := &preparation{cfg: cfg, reg: reg, started: time.Now(), opened: &mcp.Opened{}}
	s.occupy()
	cfg.part("the beginning")
	ctx = s.limit(ctx)
	if cfg.Token == "" && len(cfg.Users) == 0 && cfg.Driver != "manual" && !cfg.Passive {
		cfg.Token = cfg.ownToken()
	}
	s.secrets = cfg.secrets()
	s.client = cfg.newClient(u, s.secrets, cfg.limits(), s.opened.Seen)
	err = s.begin(ctx, &cfg, u)
	if s.world == nil {
		s.abandon()
		return ctx, nil, err
	}
	return s.atItsPace(ctx), s, err
}

// begin surveys the target and makes the state that checks share. On an error the run does not begin.
func (s *preparation) begin(ctx context.Context, cfg *Config, u *url.URL) error {
	if err := s.leave(ctx, u); err != nil {
		return err
	}
	if cfg.OnStart != nil {
		cfg.OnStart()
	}
	fetches, standby := s.publishStandby()
	sv, wrong, err := s.look(ctx, cfg)
	if wrong != nil {
		return wrong
	}
	s.world = s.makeWorld(sv, s.secrets, s.mayStrain(ctx))
	s.world.KeyFetchesBefore, s.world.StandbyKeys = fetches, standby
	s.beginReport(sv)
	return s.settle(ctx, u, err)
}

// limit ends the run after its timeout, and watches the clock.
func (s *preparation) limit(ctx context.Context) context.Context {
	s.endless, s.cancel = context.WithCancel(ctx)
	s.clock = watchClock(s.endless, *timeOfDay.Load())
	return s.within(cmp.Or(s.cfg.Timeout, ordinaryTime))
}

// within limits the time of the run, from now on.
func (s *preparation) within(limit time.Duration) context.Context {
	with := context.WithTimeout
	if s.cfg.Shared != nil {
		with = deadline.With // what the run waits for others is not its own time
	}
	ctx, end := with(s.endless, limit)
	before := s.cancel
	s.cancel = func() { end(); before() }
	return ctx
}

// ordinaryTime is the time limit of a run without Timeout.
const ordinaryTime = 10 * time.Minute

// answers is the number of answers, one after another, that a run may wait for beyond its ordinary time.
const answers = 2400

// mostMore bounds that time, whatever a target does.
const mostMore = 2 * time.Hour

// beyond returns how much more time than the ordinary a run gets at a target that usually answers after a time.
func beyond(usually time.Duration) time.Duration { return min(answers*usually, mostMore) }

// atItsPace gives the run more time at a slow target, and says so, unless the user has limited it. It judges by the answers so far: those
// of the survey and of the login, which come one after another.
func (s *preparation) atItsPace(ctx context.Context) context.Context {
	usually := s.client.Usually()
	more := beyond(usually)
	if s.cfg.Timeout != 0 || more < ordinaryTime/2 || ctx.Err() != nil {
		return ctx
	}
	limit := (ordinaryTime + more).Round(time.Minute)
	s.say(fmt.Sprintf("your server takes %v for an answer on average: the run may take up to %.0f minutes; limit it with --timeout",
		usually.Round(100*time.Millisecond), limit.Minutes()))
	return s.within(limit - time.Since(s.started))
}

// abandon frees the resources of a run that does not begin.
func (s *preparation) abandon() {
	s.client.Close()
	s.release()
}

// look surveys the target and signs in there. wrong says that the user chose an issuer that the target does not name; err says that
// the target cannot be reached, or rejects the credentials of the user.
func (s *preparation) look(ctx context.Context, cfg *Config) (sv *survey.Survey, wrong, err error) {
	in := survey.Input{Endpoint: cfg.URL, Revisions: cfg.Revisions, Token: cfg.Token, Tools: cfg.guarded(), InTurn: cfg.Seed != nil}
	if sv, err = s.survey(ctx, in); err != nil {
		return sv, nil, err
	}
	sv = s.onceConnected(ctx, sv, in)
	if wrong = cfg.signInAt(sv); wrong != nil {
		return sv, wrong, nil
	}
	if why := s.rejected(sv); why != "" {
		return sv, nil, &survey.Unreachable{Why: why}
	}
	if sv = s.login(ctx, sv, s.secrets); s.session != nil {
		if why := s.session.Rejected(); why != "" {
			return sv, nil, &survey.Unreachable{Why: why}
		}
	}
	return sv, nil, nil
}

// onceConnected surveys a target without metadata again where mcpauth runs what verifies its tokens: some targets connect to that, and
// publish it, when the first token comes.
func (s *preparation) onceConnected(ctx context.Context, sv *survey.Survey, in survey.Input) *survey.Survey {
	if in.Token == "" || sv.Resource() != nil || s.cfg.Issuer == nil && s.cfg.Introspection == nil && s.cfg.Verification == nil {
		return sv
	}
	again, err := survey.Take(ctx, s.client, in)
	if err != nil || again.Resource() == nil {
		return sv
	}
	again.Earlier = sv
	return again
}

// survey surveys the target, and again if it fails requests that overlap: from then on they are sent one at a time.
func (s *preparation) survey(ctx context.Context, in survey.Input) (*survey.Survey, error) {
	sv, err := survey.Take(ctx, s.client, in)
	if in.InTurn || sv == nil || !s.failOverlapping(ctx, sv) {
		return sv, err
	}
	in.InTurn = true
	s.say("your server fails requests while others are in progress, or so it seems: it is surveyed again, with one request at a time")
	return survey.Take(ctx, s.client, in)
}

// settle ends the preparation: a target that cannot be reached is a result, too.
func (s *preparation) settle(ctx context.Context, u *url.URL, err error) error {
	var unreachable *survey.Unreachable
	if errors.As(err, &unreachable) {
		s.run.Unreachable, s.run.Instead = unreachable.Why, unreachable.Instead
		s.run.Discovered = slices.DeleteFunc(s.unregister(ctx), func(f reports.Fact) bool { return f.Name == "login" }) // the same again
		s.run.Screenshots = s.pictures
		return nil
	}
	if err != nil {
		return err
	}
	if err = s.identify(ctx, u); err != nil {
		s.unregister(ctx)
		s.close(ctx)
	}
	return err
}

// publishStandby publishes the standby keys, before the target fetches the first key set of the run, where the issuer is one of
// mcpauth with its own keys on this machine. It returns them, and how often the key set was fetched before.
func (s *preparation) publishStandby() (fetches int, standby check.Standby) {
	keys, ok := s.cfg.Issuer.(KeyServer)
	if !ok {
		return 0, nil
	}
	if own := s.cfg.FakeIDP; own != nil && own.Key == "" && Loopback(own.Issuer) {
		standby = check.NewStandby(keys)
		standby.Publish(keys)
	}
	return keys.KeyFetches(), standby
}

// newClient makes the client that sends all requests.
func (c *Config) newClient(u *url.URL, secrets *reports.Secrets, limits wire.Limits,
	seen func(wire.Request, *reports.Exchange)) *wire.Client {
	guard := wire.NewGuard(u.Hostname(), c.AllowHosts)
	if c.Foreign {
		guard = wire.Guard{Allowed: c.AllowHosts}
	}
	guard.ConnectTo = c.ConnectTo
	if c.NameServer != "" {
		guard.Resolve = wire.NameServer(c.NameServer)
	}
	return wire.New(wire.Options{
		Guard: guard, Roots: c.RootCAs, Secrets: secrets, Limits: limits, Shared: c.Shared.limits(), Passive: c.passiveBut(),
		Header: c.header(), Certificate: c.certificate(), HeaderOrigin: document.Origin(u), Neutral: c.neutral(), Seen: seen,
		UserAgent: cmp.Or(c.UserAgent, "mcpauth/"+Build().Version+" ({check}; +https://github.com/mcpauth/conformance)"),
	})
}

// neutral reports whether requests come under a User-Agent that does not name this tool: then nothing else names it either.
func (c *Config) neutral() bool {
	return c.UserAgent != "" && !strings.Contains(c.UserAgent, "mcpauth")
}

// secrets returns the secrets of the configuration.
func (c *Config) secrets() *reports.Secrets {
	secrets := &reports.Secrets{}
	secrets.AddQuery(c.URL)
	secrets.AddQuery(c.OtherResource)
	secrets.Add("access_token", c.Token)
	if i := strings.LastIndexByte(c.Token, '.'); i >= 0 {
		secrets.Add("signature", c.Token[i+1:])
	}
	for _, f := range c.header() {
		secrets.Add("header", f.Value)
		secrets.Field(f.Name)
	}
	secrets.Add("shared_secret", c.SharedSecret.Value)
	for _, credential := range c.Credentials {
		secrets.Add("credential", credential.Value)
		secrets.Field(credential.Header)
	}
	return secrets
}

// beginReport is the report before the first verdict.
func (s *preparation) beginReport(sv *survey.Survey) {
	cfg := &s.cfg
	s.run = reports.Run{
		Tool: reports.Tool{Name: "mcpauth", Version: Build().Version}, Started: s.started, Catalogue: requirements.Digest(),
		Target: reports.Target{URL: reports.Named(cfg.URL), Tier: "T1", File: cfg.File, Line: cfg.Line}, Results: []reports.Result{},
		Discovered: []reports.Fact{}, Exchanges: []reports.Exchange{},
		Revisions: sv.Status, Command: cfg.Command, AuthorizedBy: cfg.AuthorizedBy,
	}
	if cfg.KeepBasis {
		s.run.Judges = judges()
	}
	if cfg.Shard.Count > 0 {
		s.run.Shard = &cfg.Shard
	}
	if sv.Token != "" {
		s.run.Target.Tier = "T2"
	}
	if cfg.Issuer != nil || cfg.Introspection != nil || cfg.Upstream != nil || cfg.API != nil || cfg.Enterprise != nil ||
		cfg.Verification != nil {
		s.run.Target.Tier = "T3"
	}
	for _, r := range requirements.All() {
		if r.Pending {
			s.run.Pending++
		}
	}
}

// rejected says why the target does not accept the token that the user gave; empty if it does, or if a user signs in for another.
func (s *preparation) rejected(sv *survey.Survey) string {
	if s.cfg.Token == "" || len(s.cfg.Users) > 0 {
		return ""
	}
	return sv.TokenRejected(time.Now())
}

// ownToken returns an ordinary token, as valid as one of the user: by the issuer that the target trusts, or under the secret that
// it shares. Empty without either.
func (c *Config) ownToken() string {
	var scopes []string
	for _, t := range c.Tools {
		if !t.DeniedOnly {
			scopes = append(scopes, t.Scopes()...)
		}
	}
	scopes = slices.Compact(slices.Sorted(slices.Values(append(scopes, c.Base...))))
	switch {
	case c.Issuer != nil:
		input := mint.Input(mint.Header(c.Issuer.Header()), mint.Claims(c.Issuer.Claims("alice", scopes)))
		signature, err := c.Issuer.Signature([]byte(input))
		if err != nil {
			return "" // which the checks that need tokens say
		}
		return input + "." + mint.Base64(signature)
	case c.SharedSecret.Value != "":
		return sharedSecretToken(c.SharedSecret, scopes)
	case c.Verification != nil && c.Verify.Accepts != "":
		return saying(c.Verification, c.Verify.Accepts)
	case c.Introspection != nil:
		now := time.Now().Unix()
		active, _ := json.Marshal(map[string]any{ // plain values
			"active": true, "sub": "alice", "client_id": "client-1", "scope": strings.Join(scopes, " "), "token_type": "Bearer", "aud": c.URL,
			"iat": now, "exp": now + 3600,
		})
		return saying(c.Introspection, string(active))
	}
	return ""
}

// saying returns a token with this answer of the service.
func saying(service *Introspection, body string) string {
	token := service.server.Token()
	token.Say(introspector.Answer{Body: body})
	return token.Value
}

// sharedSecretToken returns an ordinary token, for an hour.
func sharedSecretToken(s target.SharedSecret, scopes []string) string {
	now := time.Now().Unix()
	claims := mint.Claims{"sub": "alice", "client_id": "client-1", "iss": s.Issuer, "aud": s.Audience, "iat": now, "exp": now + 3600,
		"jti": check.Random(12)}
	if len(scopes) > 0 {
		claims["scope"] = strings.Join(scopes, " ")
	}
	return mint.HS256(mint.Header{"alg": "HS256", "typ": "JWT"}, claims, []byte(s.Value))
}

// keyCache is a little longer than key sets are commonly kept before they are fetched again.
const keyCache = 35 * time.Second

// makeWorld returns the state that checks share.
func (s *preparation) makeWorld(sv *survey.Survey, secrets *reports.Secrets, intrusive func(string) bool) *check.World {
	cfg := &s.cfg
	w := &check.World{
		Target: cfg.Target, Client: s.client, Survey: sv, Secrets: secrets, Intrusive: intrusive, Passive: cfg.Passive, Opened: s.opened,
		MayAttack: cfg.Authorized, Session: s.session,
		Patience: cmp.Or(cfg.Patience, 5*time.Second), MaxWait: cfg.MaxWait, KeyWait: cmp.Or(cfg.KeyWait, max(cfg.MaxWait, keyCache)),
		Credentials: cfg.credentials(),
	}
	cfg.lend(w)
	w.Tools, w.Special = cfg.tools()
	for _, o := range cfg.Objects {
		w.Objects = append(w.Objects, check.Object{Object: o})
	}
	w.IDTokenParameter = cmp.Or(w.IDTokenParameter, "idToken")
	w.EnterpriseIDP.Subject = cmp.Or(w.EnterpriseIDP.Subject, "alice")
	if cfg.Seed != nil {
		w.BeginPart = cfg.part
	}
	w.Again, w.Say, w.KeepBasis, w.Order = s.again, s.say, cfg.KeepBasis, cfg.Order
	w.Begin()
	return w
}

// again surveys the target and signs in for a second look at what was found: it uses neither the clients and tokens of the first
// look nor its answers.
func (s *preparation) again(ctx context.Context) (*survey.Survey, *session.Session) {
	s.client.Close() // a connection may remember who used it
	first := s.world.Survey
	second, token := s.session.Again(ctx), first.Token
	if s.session != nil && s.session.Ready && token == s.session.Tokens.Access {
		token = second.Tokens.Access
	}
	sv, err := survey.Take(ctx, s.client, survey.Input{Endpoint: first.Endpoint, Revisions: s.cfg.Revisions, Token: token,
		Tools: s.cfg.guarded(), InTurn: s.cfg.Seed != nil})
	if err != nil {
		return first, second
	}
	sv.Earlier = first
	return sv, second
}

// part begins the random values of a part of the run, where there is a seed.
func (c *Config) part(name string) {
	if c.Seed == nil {
		return
	}
	seeded.Suites.StartPart(name)
	if c.OnPart != nil {
		c.OnPart(name)
	}
}

// seeding keeps runs without a seed apart from one with a seed: all draw their random values from the same source.
var seeding sync.RWMutex

// occupy waits until this run may draw random values. release ends that.
func (s *preparation) occupy() {
	if s.cfg.Seed == nil {
		seeding.RLock()
		return
	}
	seeding.Lock()
	seeded.Suites.Seed(*s.cfg.Seed)
}

// release frees what the run occupies in this process.
func (s *preparation) release() {
	s.cancel()
	if keys, ok := s.cfg.Issuer.(KeyServer); ok {
		keys.ServeKeys(nil)
	}
	if s.cfg.Seed == nil {
		seeding.RUnlock()
		return
	}
	seeded.Suites.Forget()
	seeding.Unlock()
}

// engine makes an engine for checks of this run.
func (s *preparation) engine() *check.Engine {
	e := &check.Engine{Registry: s.reg, World: s.world, OnResult: s.cfg.OnResult, Timeout: check.OrdinaryTimeout + s.cfg.MaxWait}
	if s.cfg.CitedOnly {
		e.Citing = &reports.Citing{Target: s.run.Target.URL}
	}
	return e
}

// start begins the checks with these ids, concurrently.
func (s *preparation) start(ctx context.Context, ids []string) *check.Engine {
	e := s.engine()
	s.engines = append(s.engines, e)
	e.Start(ctx, ids)
	return e
}

// collect waits for all checks that were started, and puts their results and exchanges into the run.
func (s *preparation) collect() {
	seen := map[int]bool{}
	for _, e := range s.engines {
		results, exchanges := e.Collect()
		s.run.Results = append(s.run.Results, results...)
		for _, ex := range exchanges {
			if !seen[ex.Number] {
				seen[ex.Number] = true
				s.run.Exchanges = append(s.run.Exchanges, ex)
			}
		}
	}
	slices.SortFunc(s.run.Exchanges, func(a, b reports.Exchange) int { return a.Number - b.Number })
}

// finish adds the results to the run, and frees the resources of the run.
func (s *preparation) finish(ctx context.Context) reports.Redacted {
	s.collect()
	s.run.Discovered = facts(s.world.Survey, s.cfg.Tools)
	for _, found := range s.client.Overlapping() {
		s.run.Discovered = append(s.run.Discovered, reports.Fact{Name: "requests", Value: "one at a time, because " + found})
	}
	s.endSessions(ctx)
	s.run.Discovered = append(s.run.Discovered, s.unregister(ctx)...)
	s.run.Screenshots = s.pictures
	s.run.NotWorking = s.notWorking()
	s.run.Open = s.world.Open()
	return s.close(ctx)
}

// endedEarly reports whether a check gave this reason because the run ended while it was under way.
func endedEarly(reason string) bool {
	return strings.Contains(reason, "the time for this check is over") || strings.Contains(reason, "the time for this run is over") ||
		strings.Contains(reason, context.Canceled.Error()) || strings.Contains(reason, reports.NotReached) ||
		strings.Contains(reason, "the run ended before")
}

// endSessions ends the remaining sessions of the run at the target, also after an interruption.
func (s *preparation) endSessions(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	s.world.EndSessions(ctx)
}

func (s *preparation) close(ctx context.Context) reports.Redacted {
	s.endSessions(ctx)
	if moved := s.clock.moved(); moved != 0 {
		s.run.Doubt = fmt.Sprintf("the clock of this machine was moved by %v during the run, and the times of tokens depend on it", moved)
	}
	if s.run.Interrupted = errors.Is(ctx.Err(), context.Canceled); s.run.Interrupted {
		for i := range s.run.Results {
			if r := &s.run.Results[i]; r.Verdict == reports.Inconclusive && endedEarly(r.Reason) {
				r.Reason = reports.NotReached // one cause, however many checks it ended
			}
		}
	}
	s.run.Requests = s.client.Sent()
	s.run.Duration = reports.Since(s.started)
	s.client.Close()
	s.release()
	if s.cfg.CitedOnly {
		s.run.Exchanges = reports.CitedOf(&s.run)
	}
	redacted := reports.Redact(s.run, s.world.Secrets)
	if s.cfg.KeepBasis {
		redacted = attested(redacted)
	}
	return redacted
}
