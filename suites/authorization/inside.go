package authorization

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"
)

// replaceInside replaces a member of the JSON object that a text contains: as it is, percent-encoded, in base64, or as a part of a JWT. The
// signature of what is signed does not fit afterwards.
func replaceInside(text, member, value string) (changed string, ok bool) {
	if changed, ok = replaceMember(text, member, value); ok {
		return changed, true
	}
	if plain, err := url.QueryUnescape(text); err == nil && plain != text {
		if changed, ok = replaceMember(plain, member, value); ok {
			return url.QueryEscape(changed), true
		}
	}
	parts := strings.Split(text, ".")
	for i, part := range parts {
		if encoded, found := replaceEncoded(part, member, value); found {
			parts[i], ok = encoded, true
		}
	}
	return strings.Join(parts, "."), ok
}

// replaceEncoded is replaceInside for base64.
func replaceEncoded(text, member, value string) (changed string, ok bool) {
	for _, e := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawStdEncoding, base64.RawURLEncoding} {
		plain, err := e.DecodeString(text)
		if err != nil {
			continue
		}
		if changed, ok = replaceMember(string(plain), member, value); ok {
			return e.EncodeToString([]byte(changed)), true
		}
	}
	return "", false
}

// replaceMember is replaceInside for the text of a JSON object. What follows the object stays, such as a signature.
func replaceMember(text, member, value string) (changed string, ok bool) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var object map[string]any
	if d.Decode(&object) != nil || !replaceIn(object, plainName(member), value) {
		return "", false
	}
	out, _ := json.Marshal(object) // what was decoded can be encoded
	return string(out) + text[d.InputOffset():], true
}

// replaceIn replaces the member at any depth.
func replaceIn(v any, member, value string) (found bool) {
	switch v := v.(type) {
	case map[string]any:
		for name, inner := range v {
			if _, list := inner.([]any); plainName(name) == member && list {
				v[name], found = []string{value}, true
			} else if _, text := inner.(string); plainName(name) == member && text {
				v[name], found = value, true
			} else {
				found = replaceIn(inner, member, value) || found
			}
		}
	case []any:
		for _, inner := range v {
			found = replaceIn(inner, member, value) || found
		}
	}
	return found
}

// plainName makes the spellings of a name alike: redirect_uri and redirectUri.
func plainName(name string) string {
	return strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(name))
}
