package login

import (
	"crypto/hmac"
	"crypto/sha1" // by RFC 6238 section 1.2
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"strings"
	"time"
)

// oneTimeCode returns the code of an authenticator application: six digits for 30 seconds, with HMAC-SHA-1 (RFC 6238 section 4). The secret
// is in base32, as applications show it.
func oneTimeCode(secret string, at time.Time) (string, error) {
	bare := strings.TrimRight(strings.ToUpper(strings.ReplaceAll(secret, " ", "")), "=")
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(bare)
	if err != nil {
		return "", fmt.Errorf("it is not base32: %w", err)
	}
	mac := hmac.New(sha1.New, key)
	var step [8]byte
	binary.BigEndian.PutUint64(step[:], uint64(at.Unix()/30))
	mac.Write(step[:])
	sum := mac.Sum(nil)
	offset := sum[len(sum)-1] & 0xf // RFC 4226 section 5.3
	return fmt.Sprintf("%06d", (binary.BigEndian.Uint32(sum[offset:])&0x7fffffff)%1_000_000), nil
}
