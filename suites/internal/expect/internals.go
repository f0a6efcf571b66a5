package expect

import (
	"regexp"
	"strings"
)

// internals match disclosed internals of a server: stack traces of common languages, paths of installed packages, queries and private keys.
// In JSON, the end of a line is written
// , and a quotation mark \".
var internals = regexp.MustCompile(strings.Join([]string{
	`Traceback \(most recent call last\)`, `File \\?"[^"\n]+", line \d+`, `site-packages/`, // Python
	`goroutine \d+ \[`, `\bpanic: `, // Go
	`(?:\s|\\[nt])at [^\n"]{0,80}\(?(?:node:[^\s"()]*|(?:/|file:|[A-Za-z]:\\)[^\s"()]*\.[a-z]+):\d+:\d+`, `node_modules/`, // Node.js
	`(?:\s|\\[nt])at [\w.$]+\(\w+\.(?:java|kt|scala):\d+\)`, // Java
	`\bin [^\s"]+\.cs:line \d+`,                             // .NET
	`\bSELECT [^"\n]{1,80} FROM `, `\bsqlalchemy\.`, `\bpymongo\.`,
	`BEGIN (?:RSA |EC )?PRIVATE KEY`,
}, "|"))

// Internals returns the internals of a server in a text, or "".
func Internals(text string) string { return strings.TrimSpace(internals.FindString(text)) }
