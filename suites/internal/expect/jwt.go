package expect

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites/internal/document"
)

// JWT is a readable token, with the exchange that contains it.
type JWT struct {
	Header, Claims *document.Object
	From           *reports.Exchange
	Client         string // the client that got it
}

// Evidence returns the exchange with the token.
func (j JWT) Evidence() *reports.Exchange { return j.From }

// HaveClaim expects a claim: a Value, or a plain value.
func HaveClaim(name string, want any) Matcher { return HaveMember(name, want) }

// BeJWT expects a readable compact JWS (RFC 7519 section 7.2).
func BeJWT() Matcher {
	return named(&matcher{kind: Look, judge: func(actual any) Judgement {
		j, _ := actual.(JWT)
		return Judgement{Met: j.Header != nil && j.Claims != nil, Expected: "a JWT", Observed: "the answer has no JWT"}
	}}, "BeJWT")
}

// IncludeAudience expects an audience, alone or among others.
func IncludeAudience(want string) Matcher {
	return named(&matcher{kind: Look, judge: func(actual any) Judgement {
		audience := Audience(objectOf(actual))
		met := slices.Contains(audience, want)
		return Judgement{Met: met, Expected: "aud with " + want, Observed: "aud: " + strings.Join(audience, " ")}
	}}, "IncludeAudience", want)
}

// HaveAudience expects exactly this audience, alone or as a list of one (RFC 7519 section 4.1.3).
func HaveAudience(want string) Matcher {
	return named(&matcher{kind: Look, judge: func(actual any) Judgement {
		audience := Audience(objectOf(actual))
		met := len(audience) == 1 && audience[0] == want
		return Judgement{Met: met, Expected: "aud: " + want, Observed: "aud: " + strings.Join(audience, " ")}
	}}, "HaveAudience", want)
}

// Audience returns the aud claim as a list.
func Audience(claims *document.Object) []string {
	if aud := claims.String("aud"); aud != "" {
		return []string{aud}
	}
	list, _ := claims.Strings("aud")
	return list
}

// HaveType expects the typ of a JWT, with or without "application/" (RFC 7515 section 4.1.9).
func HaveType(typ string) Matcher {
	return named(That("typ "+typ, func(j JWT) string {
		got := j.Header.String("typ")
		if strings.EqualFold(strings.TrimPrefix(strings.ToLower(got), "application/"), typ) {
			return ""
		}
		return fmt.Sprintf("typ %q", got)
	}), "HaveType", typ)
}

// ExpireLater expects exp to be in the future (RFC 7519 section 4.1.4).
func ExpireLater() Matcher { return ExpireAfter(int(time.Now().Unix())) }

// ExpireAfter is ExpireLater for a time, in seconds since 1970.
func ExpireAfter(now int) Matcher {
	return named(&matcher{kind: Look, judge: func(actual any) Judgement {
		v, _ := objectOf(actual).Get("exp")
		exp, ok := Number(v)
		met := ok && exp > float64(now)
		return Judgement{Met: met, Expected: "exp in the future", Observed: "exp: " + document.Text(v)}
	}}, "ExpireAfter", now)
}

// Be expects a value: a Value, or a plain value.
func Be(want any) Matcher {
	v := valueOf(want)
	return named(&matcher{kind: Look, judge: func(actual any) Judgement {
		return Judgement{Met: v.ok(actual), Expected: v.what, Observed: fmt.Sprint(actual)}
	}}, "Be", want)
}

// Value is the expected value of a claim, a member or a header field.
type Value struct {
	what string
	ok   func(v any) bool
	call *reports.Call // nil if it cannot be serialized
}

// NotEmpty is any text that is not empty.
var NotEmpty = Value{"a text that is not empty", func(v any) bool { s, ok := v.(string); return ok && s != "" },
	&reports.Call{Name: "NotEmpty"}}

// Anything is any existing value.
var Anything = Value{"", func(any) bool { return true }, &reports.Call{Name: "Anything"}}

// ValueThat returns a value that a function of a check judges.
func ValueThat(what string, ok func(v any) bool) Value { return Value{what, ok, nil} }

// ANumber is any number.
var ANumber = Value{"a number", func(v any) bool { _, ok := Number(v); return ok }, &reports.Call{Name: "ANumber"}}

// OneOf is one of these texts.
func OneOf(texts ...string) Value {
	return Value{strings.Join(texts, " or "), func(v any) bool { s, ok := v.(string); return ok && slices.Contains(texts, s) },
		texted("OneOf", texts...)}
}

func texted(name string, texts ...string) *reports.Call {
	c := &reports.Call{Name: name}
	for _, t := range texts {
		remember(c, t)
	}
	return c
}

// Holding returns a text that contains another, in any letter case.
func Holding(part string) Value {
	return Value{"a value with " + part, func(v any) bool {
		s, ok := v.(string)
		return ok && strings.Contains(strings.ToLower(s), strings.ToLower(part))
	}, texted("Holding", part)}
}

// valueOf returns a Value for a plain value.
func valueOf(want any) Value {
	if v, ok := want.(Value); ok {
		return v
	}
	return Value{fmt.Sprint(want), func(v any) bool {
		if n, ok := Number(v); ok {
			return fmt.Sprint(n) == fmt.Sprint(want)
		}
		return v == want
	}, nil}
}
