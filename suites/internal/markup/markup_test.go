package markup_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mcpauth/conformance/suites/internal/markup"
)

func TestRuns(t *testing.T) {
	const text, call = `</title></script><svg/onload=alert(1)>`, "alert(1)"
	for page, runs := range map[string]bool{
		"<p>" + text:                                     true,
		"<title>" + text + "</title>":                    true,
		"<textarea>" + text + "</textarea>":              true,
		"<!-- " + text + " -->":                          true,
		`<script>const name = "` + text + `"</script>`:   true,
		"<script>alert(1)</script>":                      true,
		`<img alt="x" onerror="alert(1)">`:               true,
		`<script>const to = "<script>alert(1)</script>"`: true,
		"<p>&lt;svg/onload=alert(1)&gt;":                 false,
		`<input value="` + text + `">`:                   false,
		`<img alt="x&#34; onerror=&#34;alert(1)">`:       false,
		`<p>x" onerror="alert(1)</p>`:                    false,
		`<script>const name = "<svg/onload=alert(1)>"`:   false,
		// What browsers read as a string or as text.
		`<script>const to = "data:,<script>alert(1)<\/script>"</script>`:          false,
		`<button onclick="return confirm('Allow &lt;svg/onload=alert(1)&gt;?')">`: false,
		`<noscript><input value="&lt;svg/onload=alert(1)&gt;"></noscript>`:        false,
		`<noscript><input value="` + text + `"></noscript>`:                       false,
		`<noscript><p>` + text + `</p></noscript>`:                                true,
		`<noscript><img alt="x" onerror="alert(1)"></noscript>`:                   true,
		`<!-- <input value="&lt;svg/onload=alert(1)&gt;"> -->`:                    false,
		`<script>const name = "\u003csvg/onload=alert(1)"`:                        false,
	} {
		assert.Equal(t, runs, markup.Runs(page, call), page)
	}
}

func TestEndsString(t *testing.T) {
	const text = `x" + alert(1) + "`
	assert.True(t, markup.EndsString(`<script>const name = "x" + alert(1) + "";</script>`, text))
	assert.False(t, markup.EndsString(`<script>const name = "x\" + alert(1) + \"";</script>`, text))
	assert.False(t, markup.EndsString(`<p>x" + alert(1) + "</p>`, text))
	assert.True(t, markup.EndsString(`<script>const name = x" + alert(1) + ";</script>`, text))
	assert.False(t, markup.EndsString(`<script>const name = 'x" + alert(1) + "', to = "x";</script>`, text))
	assert.False(t, markup.EndsString("<script>const name = `Allow x\" + alert(1) + \"?`;</script>", text))
	assert.False(t, markup.EndsString("<script>// x\" + alert(1) + \"\n</script>", text))
	assert.True(t, markup.EndsString("<script>// the client's\nconst name = \"x\" + alert(1) + \"\"</script>", text))
	assert.True(t, markup.EndsString(`<script>/* it's */ const to = '\'', name = "x" + alert(1) + ""</script>`, text))
	assert.True(t, markup.EndsString(`<script>const name = 'x" + alert('1') + "'</script>`, `x" + alert('1') + "`))
}
