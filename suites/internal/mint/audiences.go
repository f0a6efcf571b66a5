package mint

// Audiences returns the audiences of a claims set: one, or a list (RFC 7519 section 4.1.3).
func (c Claims) Audiences() (out []string) {
	switch aud := c["aud"].(type) {
	case string:
		return []string{aud}
	case []string:
		return append(out, aud...)
	case []any:
		for _, v := range aud {
			if text, ok := v.(string); ok {
				out = append(out, text)
			}
		}
	}
	return out
}
