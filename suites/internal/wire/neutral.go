package wire

import (
	"encoding/base64"
	"regexp"
	"slices"
	"strings"
)

// otherName is the client that a neutral run says to be. It has the length of the name of this tool, which sizes may depend on.
const otherName = "mcp-cli"

// madeUp are names and values with the name of this tool in which nobody looks for it again: what no server has or issues.
var madeUp = regexp.MustCompile(`"name":"mcpauth"|mcpauth([_:/-](no[-_]such|not-a-token|no-code|made-up|wrong|bogus)|_unknown)`)

// Neutral reports whether requests do not name this tool as their client.
func (c *Client) Neutral() bool { return c.opt.Neutral }

// Name returns the name of the clients that a run registers.
func (c *Client) Name() string {
	if c.opt.Neutral {
		return "MCP client"
	}
	return "mcpauth conformance"
}

// Introduced returns a message of a check as it is sent: in a neutral run, under the name of another MCP client.
func (c *Client) Introduced(check, message string) string {
	switch {
	case !c.opt.Neutral:
		return message
	case strings.HasPrefix(check, "RS-CHALLENGE-"): // nothing in an answer to these is compared with what they say
		return strings.ReplaceAll(message, "mcpauth", otherName)
	}
	return madeUp.ReplaceAllStringFunc(message, func(said string) string { return strings.Replace(said, "mcpauth", otherName, 1) })
}

// introduced returns a request as it is sent. The target's address and a credential of the user may have the name, and keep it.
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

// coded is a field value in the Base64 of MCP 2026-07-28 (Streamable HTTP, "Value Encoding"): it is compared with the body.
var coded = regexp.MustCompile(`^(=\?base64\?)(.*)(\?=)$`)

func (c *Client) introducedValue(check, value string) string {
	parts := coded.FindStringSubmatch(value)
	if parts == nil {
		return c.Introduced(check, value)
	}
	plain, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil { // which is what the server has to see
		return value
	}
	return parts[1] + base64.StdEncoding.EncodeToString([]byte(c.Introduced(check, string(plain)))) + parts[3]
}
