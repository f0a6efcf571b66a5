package login

import (
	"encoding/base32"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// RFC 6238 appendix B, SHA-1, the last six digits.
func TestOneTimeCodesOfTheRFC(t *testing.T) {
	secret := base32.StdEncoding.EncodeToString([]byte("12345678901234567890"))
	for seconds, want := range map[int64]string{
		59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130",
	} {
		code, err := oneTimeCode(secret, time.Unix(seconds, 0))
		require.NoError(t, err)
		assert.Equal(t, want, code)
	}
}

func TestSecretsAsApplicationsShowThem(t *testing.T) {
	at := time.Unix(59, 0)
	want, err := oneTimeCode("JBSWY3DPEHPK3PXP", at)
	require.NoError(t, err)
	for _, shown := range []string{"jbsw y3dp ehpk 3pxp", "JBSWY3DPEHPK3PXP===="} {
		code, err := oneTimeCode(shown, at)
		require.NoError(t, err)
		assert.Equal(t, want, code)
	}
	_, err = oneTimeCode("01 is not base32", at)
	assert.ErrorContains(t, err, "base32")
}
