// Package document has strict parsers for the texts of a target: challenges, JSON, URLs and JWTs. They report what lenient parsers hide.
package document

import (
	"cmp"
	"fmt"
	"strings"
	"unicode"
)

// Challenge is one challenge of a WWW-Authenticate field (RFC 9110, section 11.3).
type Challenge struct {
	Scheme     string
	Token68    string
	Parameters []Parameter
}

// Parameter is one auth-param, its value unquoted.
type Parameter struct {
	Name, Value string
	Quoted      bool
}

// Param returns a parameter's value; names are compared without regard to letter case.
func (c *Challenge) Param(name string) (string, bool) {
	for _, p := range c.Parameters {
		if strings.EqualFold(p.Name, name) {
			return p.Value, true
		}
	}
	return "", false
}

// ParseChallenges parses one WWW-Authenticate field value by the grammar of RFC 9110, section 11.6.1: a list of challenges, each a scheme
// with a token68 or a list of parameters. Oddities are what the grammar allows recipients to accept and senders should not produce. On an
// error it returns the challenges before it, too.
func ParseChallenges(field string) (challenges []Challenge, oddities []string, err error) {
	p := &challengeParser{in: field}
	if err = p.parse(); err == nil {
		err = p.control()
	}
	return p.out, p.odd, cmp.Or(p.unquoted, err)
}

type challengeParser struct {
	in  string
	pos int
	out []Challenge
	odd []string

	unquoted error // the first value without the required quotes: its meaning is clear, and clients read it
}

// control finds a character that no field value may contain (RFC 9110, section 5.5).
func (p *challengeParser) control() error {
	for i := 0; i < len(p.in); i++ {
		if b := p.in[i]; (b < 0x20 && b != '\t') || b == 0x7f {
			return fmt.Errorf("position %d: control character 0x%02x", i, b)
		}
	}
	return nil
}

func (p *challengeParser) parse() error {
	first := true
	for {
		p.space()
		if p.end() {
			if first {
				return fmt.Errorf("the field is empty")
			}
			return nil
		}
		if p.peek() == ',' {
			p.odd = append(p.odd, fmt.Sprintf("position %d: empty list element", p.pos))
			p.pos++
			continue
		}
		first = false
		if err := p.challenge(); err != nil {
			return err
		}
	}
}

// challenge parses a scheme and its parameters, up to the comma before the next challenge.
func (p *challengeParser) challenge() error {
	start := p.pos
	scheme := p.token()
	if scheme == "" {
		return fmt.Errorf("position %d: want a scheme, found %q", start, rest(p.in[p.pos:]))
	}
	if !p.end() && p.peek() != ' ' && p.peek() != ',' {
		return fmt.Errorf("position %d: want a space or the end after the scheme %q, found %q", p.pos, scheme, rest(p.in[p.pos:]))
	}
	p.out = append(p.out, Challenge{Scheme: scheme})
	c := &p.out[len(p.out)-1]
	p.spaces()
	if p.end() || p.peek() == ',' {
		return p.afterBareScheme(c)
	}
	if t, ok := p.token68(); ok {
		c.Token68 = t
		return p.comma()
	}
	return p.parameters(c)
}

// afterBareScheme rejects "Bearer, realm=...", where the comma separates the parameters from their scheme.
func (p *challengeParser) afterBareScheme(c *Challenge) error {
	if p.end() {
		return nil
	}
	p.pos++
	save := p.pos
	p.space()
	if name := p.token(); name != "" {
		p.space()
		if !p.end() && p.peek() == '=' {
			return fmt.Errorf("position %d: the parameter %q follows a comma after the bare scheme %q and belongs to no challenge", save, name,
				c.Scheme)
		}
	}
	p.pos = save
	return nil
}

func (p *challengeParser) parameters(c *Challenge) error {
	for {
		if err := p.parameter(c); err != nil {
			return err
		}
		p.space()
		if p.end() {
			return nil
		}
		if p.peek() != ',' {
			return fmt.Errorf("position %d: want a comma after the parameter, found %q", p.pos, rest(p.in[p.pos:]))
		}
		p.pos++
		p.space()
		for !p.end() && p.peek() == ',' {
			p.odd = append(p.odd, fmt.Sprintf("position %d: empty list element", p.pos))
			p.pos++
			p.space()
		}
		if p.end() {
			p.odd = append(p.odd, "trailing comma")
			return nil
		}
		if !p.parameterFollows() {
			return nil // the next challenge starts here
		}
	}
}

// parameterFollows distinguishes a parameter from a new challenge by the "=" after the name.
func (p *challengeParser) parameterFollows() bool {
	save := p.pos
	defer func() { p.pos = save }()
	if p.token() == "" {
		return true // let parameter report it
	}
	p.space()
	return !p.end() && p.peek() == '='
}

func (p *challengeParser) parameter(c *Challenge) error {
	start := p.pos
	name := p.token()
	if name == "" {
		return fmt.Errorf("position %d: want a parameter name, found %q", start, rest(p.in[start:]))
	}
	if before := p.pos; p.space() && p.pos > before {
		p.odd = append(p.odd, fmt.Sprintf("white space before the = of %q", name))
	}
	if p.end() || p.peek() != '=' {
		return fmt.Errorf("position %d: want = after the parameter name %q, found %q", p.pos, name, rest(p.in[p.pos:]))
	}
	p.pos++
	if before := p.pos; p.space() && p.pos > before {
		p.odd = append(p.odd, fmt.Sprintf("white space after the = of %q", name))
	}
	if !p.end() && p.peek() == '"' {
		v, err := p.quoted(name)
		if err != nil {
			return err
		}
		c.Parameters = append(c.Parameters, Parameter{name, v, true})
		return nil
	}
	v := p.token()
	if v == "" {
		return fmt.Errorf("position %d: %q has no value", p.pos, name)
	}
	if !p.end() && p.peek() != ',' && p.peek() != ' ' && p.peek() != '\t' {
		p.unquoted = cmp.Or(p.unquoted,
			fmt.Errorf("position %d: the value of %q is not quoted, but %q is not allowed in a token", p.pos, name, p.in[p.pos]))
		v += p.upTo(", \t")
	}
	if strings.HasPrefix(v, "'") {
		return fmt.Errorf("position %d: the value of %q is in single quotes; only double quotes quote", start, name)
	}
	c.Parameters = append(c.Parameters, Parameter{name, v, false})
	return nil
}

// upTo reads up to one of the given characters.
func (p *challengeParser) upTo(end string) string {
	start := p.pos
	for !p.end() && !strings.ContainsRune(end, rune(p.peek())) {
		p.pos++
	}
	return p.in[start:p.pos]
}

func (p *challengeParser) quoted(name string) (string, error) {
	start := p.pos
	p.pos++
	var b strings.Builder
	for !p.end() {
		ch := p.in[p.pos]
		p.pos++
		switch ch {
		case '"':
			if strings.IndexFunc(b.String(), func(r rune) bool { return r > unicode.MaxASCII }) >= 0 {
				p.odd = append(p.odd, fmt.Sprintf("the value of %q is not ASCII (obs-text)", name)) // RFC 9110, section 5.6.4
			}
			return b.String(), nil
		case '\\':
			if p.end() {
				return "", fmt.Errorf("position %d: the quoted value of %q never ends", start, name)
			}
			if e := p.peek(); e != '"' && e != '\\' {
				p.odd = append(p.odd, fmt.Sprintf("%q escapes %q, which needs none", name, e))
			}
			b.WriteByte(p.peek())
			p.pos++
		default:
			b.WriteByte(ch)
		}
	}
	return "", fmt.Errorf("position %d: the quoted value of %q never ends", start, name)
}

// token68 reads base64-like credentials, if they end the challenge.
func (p *challengeParser) token68() (string, bool) {
	i := p.pos
	for i < len(p.in) && (alphanumeric(p.in[i]) || strings.IndexByte("-._~+/", p.in[i]) >= 0) {
		i++
	}
	if i == p.pos {
		return "", false
	}
	for i < len(p.in) && p.in[i] == '=' {
		i++
	}
	end := i
	for i < len(p.in) && (p.in[i] == ' ' || p.in[i] == '\t') {
		i++
	}
	if i < len(p.in) && p.in[i] != ',' {
		return "", false
	}
	t := p.in[p.pos:end]
	p.pos = i
	return t, true
}

func (p *challengeParser) comma() error {
	p.space()
	if p.end() {
		return nil
	}
	if p.peek() != ',' {
		return fmt.Errorf("position %d: want a comma, found %q", p.pos, rest(p.in[p.pos:]))
	}
	p.pos++
	return nil
}

func (p *challengeParser) token() string {
	start := p.pos
	for !p.end() && tchar(p.peek()) {
		p.pos++
	}
	return p.in[start:p.pos]
}

// space skips optional white space. It always returns true, for use in conditions.
func (p *challengeParser) space() bool {
	for !p.end() && (p.peek() == ' ' || p.peek() == '\t') {
		p.pos++
	}
	return true
}

func (p *challengeParser) spaces() {
	for !p.end() && p.peek() == ' ' {
		p.pos++
	}
}

func (p *challengeParser) end() bool  { return p.pos >= len(p.in) }
func (p *challengeParser) peek() byte { return p.in[p.pos] }

func alphanumeric(b byte) bool {
	return b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z'
}

func tchar(b byte) bool { return alphanumeric(b) || strings.IndexByte("!#$%&'*+-.^_`|~", b) >= 0 }

func rest(s string) string {
	if len(s) > 24 {
		return s[:24] + "…"
	}
	return s
}
