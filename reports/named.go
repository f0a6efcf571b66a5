package reports

import (
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"regexp"
	"strings"
	"unicode"
)

// secretParameter matches names of query parameters whose value is a secret: ?api_key=, ?tavilyApiKey=, ?access_token=, ?sig=.
var secretParameter = regexp.MustCompile(`(?i)key(?:s|id)?(?:$|[^a-z])|token|secret|passw|passphrase|passcode|pwd|auth(?:$|[^o])|` +
	`oauth|authoriz|credential|signature|jwt|session|bearer|cookie|hmac|^(?:sig|sign|code|pass|pin|otp|sk|pat|creds?)$`)

// urlSecret is a secret in the query of a URL.
type urlSecret struct{ name, value, placeholder string }

// querySecrets finds the secrets in a query, by the names of the parameters and by the form of their values; spans are the positions of the
// values.
func querySecrets(address string) (found []urlSecret, spans [][2]int) {
	query := strings.IndexByte(address, '?')
	if query < 0 {
		return nil, nil
	}
	place, at := address[:query], query+1
	for at <= len(address) {
		end := len(address)
		if i := strings.IndexAny(address[at:], "&;#"); i >= 0 {
			end = at + i
		}
		name, written, ok := strings.Cut(address[at:end], "=")
		value, plain := unescaped(written), unescaped(name)
		if ok && value != "" && !strings.HasPrefix(value, redactedValue) && (secretParameter.MatchString(plain) || looksRandom(value)) {
			found = append(found, urlSecret{plain, value, digested(place, value)})
			spans = append(spans, [2]int{end - len(written), end})
		}
		if end < len(address) && address[end] == '#' {
			break
		}
		at = end + 1
	}
	return found, spans
}

func unescaped(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil {
		return plain
	}
	return s
}

// redactedValue is the prefix of the replacement of a value in a URL. It has only characters that a URL may have.
const redactedValue = "redacted-"

// digested replaces a value: with the same text in each report, so that runs of one target can be compared, and too short to recover a
// random value.
func digested(place, value string) string {
	sum := sha256.Sum256([]byte(place + "\n" + value))
	return redactedValue + hex.EncodeToString(sum[:4])
}

// randomLength is the length from which a value may be a secret whatever its name.
const randomLength = 20

// looksRandom reports whether a value has the form of a credential: that of a known service, or a long word with several digits.
func looksRandom(value string) bool {
	if len(SecretsIn(value)) > 0 {
		return true
	}
	digits, letters := 0, false
	for _, r := range value {
		switch {
		case r >= '0' && r <= '9':
			digits++
		case unicode.IsLetter(r):
			letters = true
		case !strings.ContainsRune("-_.~+/= ", r):
			return false
		}
	}
	return len(value) >= randomLength && digits > 2 && letters
}

var namedValue = regexp.MustCompile("[?&;][^=&;#]+=" + redactedValue + "[0-9a-f]{8}(?:[&;#]|$)")

// IsNamed reports whether a URL contains a replacement by Named, so that the secret itself is missing.
func IsNamed(address string) bool { return namedValue.MatchString(address) }

// Named returns the URL of a target in the form for reports: a digest replaces a secret in its query.
func Named(address string) string {
	found, spans := querySecrets(address)
	for i := len(found) - 1; i >= 0; i-- {
		address = address[:spans[i][0]] + found[i].placeholder + address[spans[i][1]:]
	}
	return address
}

// AddQuery registers the secrets in the query of a URL, with the placeholders of Named.
func (s *Secrets) AddQuery(address string) {
	found, _ := querySecrets(address)
	for _, q := range found {
		s.Field(q.name)
		s.add(q.name, q.value, q.placeholder)
	}
}
