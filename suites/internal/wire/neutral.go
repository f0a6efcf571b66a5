package wire

import (
	"encoding/base64"
	"regexp"
	"slices"
	"strings"
)

// otherName is the client name in a neutral run. It has the length of this tool's name, because sizes may depend on it.
const otherName = "mcp-cli"

// madeUp matches names and values with this tool's name that checks do not search for: values that no server has or issues.
var madeUp = regexp.MustCompile(`"name":"mcpauth"|mcpauth([_:/-](no[-_]such|not-a-token|no-code|made-up|wrong|bogus)|_unknown)`)

// Neutral reports whether requests omit the name of this tool.
func (c *Client) Neutral() bool { return c.opt.Neutral }

// Name returns the name of registered clients.
func (c *Client) Name() string {
	if c.opt.Neutral {
		return "MCP client"
	}
	return "mcpauth conformance"
}

// Introduced returns a message of a check in its final form: in a neutral run, with the name of another MCP client.
func (c *Client) Introduced(check, message string) string {
	switch {
	case !c.opt.Neutral:
		return message
	case strings.HasPrefix(check, "RS-CHALLENGE-"): // these checks do not compare the answer with the message
		return strings.ReplaceAll(message, "mcpauth", otherName)
	}
	return madeUp.ReplaceAllStringFunc(message, func(said string) string { return strings.Replace(said, "mcpauth", otherName, 1) })
}

// introduced returns a request in its final form. The target's address and a credential of the user may contain the name, and keep it.
func (c *Client) introduced(check string, req Request) Request {
	if !c.opt.Neutral {
		return req
	}
	req.Body, req.Host, req.Header = c.Introduced(check, req.Body), c.Introduced(check, req.Host), slices.Clone(req.Header)
	for i, f := range req.Header {
		if f.Name == "Authorization" {
			req.Header[i].Value = c.Introduced("", f.Value)
		} else {
			req.Header[i].Value = c.introducedValue(check, f.Value)
		}
	}
	if req.Raw != nil {
		req.Raw = []byte(c.Introduced("", string(req.Raw)))
	}
	return req
}

// coded matches a field value in the Base64 form of MCP 2026-07-28 (Streamable HTTP, "Value Encoding"), which the server compares with the
// body.
var coded = regexp.MustCompile(`^(=\?base64\?)(.*)(\?=)$`)

func (c *Client) introducedValue(check, value string) string {
	parts := coded.FindStringSubmatch(value)
	if parts == nil {
		return c.Introduced(check, value)
	}
	plain, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil { // the server must see this value
		return value
	}
	return parts[1] + base64.StdEncoding.EncodeToString([]byte(c.Introduced(check, string(plain)))) + parts[3]
}
