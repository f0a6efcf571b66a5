package challenge

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
	"github.com/mcpauth/conformance/suites/internal/expect"

	. "github.com/mcpauth/conformance/suites/internal/check"
)

func field() {
	Must("RS-CHALLENGE-401-WWW-AUTHENTICATE", sendsChallengeWithEvery401)
	Must("RS-CHALLENGE-GRAMMAR", followsGrammar)
	Must("RS-CHALLENGE-UNIQUE-PARAMS", repeatsNoParameter)
	Practice("RS-CHALLENGE-MULTI-SCHEME", separatesSchemes)
}

func sendsChallengeWithEvery401(t *T) {
	Each(t, refusals(t), func(t *T, ex *reports.Exchange) {
		if expect.Status(answered(t, ex)) != 401 {
			t.NotApplicable("it is answered with %s, not 401", expect.Describe(ex))
		}
		t.Expect(ex).To(expect.HaveChallenge())
	})
}

func followsGrammar(t *T) {
	Each(t, withChallenge(t), func(t *T, ex *reports.Exchange) {
		t.Expect(ex).To(parse(), parseAlikeTogether())
		t.Expect(ex).Ideally(haveNothingOdd(), nameParametersInLowerCase())
	})
}

// parse expects each field to follow the grammar of RFC 9110 section 11.6.1.
var parse = expect.Family("parse", func() expect.Matcher {
	return expect.That("a WWW-Authenticate field that follows the grammar of RFC 9110 section 11.6.1", func(ex *reports.Exchange) string {
		for _, f := range expect.HeaderValues(ex, "WWW-Authenticate") {
			if _, _, err := document.ParseChallenges(f); err != nil {
				return fmt.Sprintf("%v, in %q", err, f)
			}
		}
		return ""
	})
})

// parseAlikeTogether expects the same challenges where an intermediary combines the fields (RFC 9110 section 5.3).
var parseAlikeTogether = expect.Family("parseAlikeTogether", func() expect.Matcher {
	return expect.That("the same challenges when the fields are combined with commas", func(ex *reports.Exchange) string {
		fields := expect.HeaderValues(ex, "WWW-Authenticate")
		together, _, err := document.ParseChallenges(strings.Join(fields, ", "))
		if apart := expect.Challenges(ex); len(fields) > 1 && err == nil && fmt.Sprint(together) != fmt.Sprint(apart) {
			return fmt.Sprintf("%v, and %v from the fields one by one", together, apart)
		}
		return ""
	})
})

var haveNothingOdd = expect.Family("haveNothingOdd", func() expect.Matcher {
	return expect.That("a field that every client reads in the same way", func(ex *reports.Exchange) string {
		for _, f := range expect.HeaderValues(ex, "WWW-Authenticate") {
			if _, odd, err := document.ParseChallenges(f); err == nil && len(odd) > 0 {
				return fmt.Sprintf("%s, in %q", strings.Join(odd, "; "), f)
			}
		}
		return ""
	})
})

func nameParametersInLowerCase() expect.Matcher {
	return onParameters("parameter names in lower case", func(_ document.Challenge, p document.Parameter) string {
		if p.Name != strings.ToLower(p.Name) {
			return fmt.Sprintf("%q", p.Name)
		}
		return ""
	})
}

// onParameters judges every parameter of every challenge.
func onParameters(expected string, problem func(c document.Challenge, p document.Parameter) string) expect.Matcher {
	return expect.That(expected, func(ex *reports.Exchange) string {
		for _, c := range expect.Challenges(ex) {
			for _, p := range c.Parameters {
				if found := problem(c, p); found != "" {
					return found
				}
			}
		}
		return ""
	})
}

func repeatsNoParameter(t *T) {
	once := onParameters("every parameter once in a challenge", func(c document.Challenge, p document.Parameter) string {
		n := 0
		for _, other := range c.Parameters {
			if strings.EqualFold(other.Name, p.Name) {
				n++
			}
		}
		if n > 1 {
			return fmt.Sprintf("%q appears %d times in the %s challenge", strings.ToLower(p.Name), n, c.Scheme)
		}
		return ""
	})
	Each(t, withChallenge(t), func(t *T, ex *reports.Exchange) { t.Expect(ex).To(once) })
}

func separatesSchemes(t *T) {
	Each(t, withChallenge(t), func(t *T, ex *reports.Exchange) {
		if len(expect.Challenges(ex)) < 2 {
			t.NotApplicable("there is only one challenge")
		}
		t.Expect(ex).To(giveBearerItsParameters())
		t.Expect(ex).Ideally(haveOneBearerChallenge())
	})
}

var haveOneBearerChallenge = expect.Family("haveOneBearerChallenge", func() expect.Matcher {
	return expect.That("one Bearer challenge", func(ex *reports.Exchange) string {
		if n := len(expect.Bearer(ex)); n > 1 {
			return fmt.Sprintf("%d of them", n)
		}
		return ""
	})
})

// giveBearerItsParameters expects no other scheme to have the parameters of Bearer because a comma or the name of a scheme is missing.
// RFC 9728 section 5.1 allows resource_metadata with other schemes, and RFC 9449 section 7.1 has DPoP challenges of the same form; but
// no server omits it from Bearer on purpose while another scheme has it.
var giveBearerItsParameters = expect.Family("giveBearerItsParameters", func() expect.Matcher {
	return expect.That("resource_metadata in the Bearer challenge", func(ex *reports.Exchange) string {
		named := func(c document.Challenge) bool { _, ok := c.Param("resource_metadata"); return ok }
		if len(expect.Bearer(ex)) == 0 || slices.ContainsFunc(expect.Bearer(ex), named) {
			return ""
		}
		for _, c := range expect.Challenges(ex) {
			if named(c) && !strings.EqualFold(c.Scheme, "DPoP") {
				return fmt.Sprintf("resource_metadata is in the challenge of the scheme %q: a comma or a scheme name is missing", c.Scheme)
			}
		}
		return ""
	})
})
