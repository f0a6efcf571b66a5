package flaws

import "github.com/mcpauth/conformance/fakes/idp"

// elsewhere are flaws of authorization servers that authenticate clients with a key at the token endpoint only.
var elsewhere = []Flaw{
	assertedElsewhere("assertion-unverified-elsewhere", idp.AssertionElsewhere, "another key", "aud of another", "expired"),
	assertedElsewhere("assertion-audience-elsewhere", idp.AudienceElsewhere, "aud of another"),
	assertedElsewhere("assertion-missing-elsewhere", idp.KeyElsewhere, "no assertion"),
	assertedElsewhere("assertion-once-for-each-grant", idp.OnceForAllGrants, "an assertion that the token endpoint has accepted"),
	ofDocuments("assertion-unverified-elsewhere", idp.AssertionElsewhere, "another key", "aud of another", "expired"),
	ofDocuments("assertion-audience-elsewhere", idp.AudienceElsewhere, "aud of another"),
	ofDocuments("assertion-missing-elsewhere", idp.KeyElsewhere, "no assertion"),
	ofDocuments("assertion-once-for-each-grant", idp.OnceForAllGrants, "an assertion that the token endpoint has accepted"),
	rowOf(one("cimd-assertion-again-at-refresh", idp.OnceForAllGrants, "AS-CIMD-KEY-AUTH-ENFORCED", "AS-CC-ASSERTION-REJECTED"),
		"a refresh, an assertion that came with a code"),
	rowOf(one("cimd-assertion-twice", idp.AssertionOnce, "AS-CIMD-KEY-AUTH-ENFORCED", "AS-CC-ASSERTION-REJECTED"),
		"an assertion for the second time"),
}

// assertedElsewhere returns the flaw of a server that lacks a defence at other endpoints, in each of these rows.
func assertedElsewhere(name string, d idp.Defence, rows ...string) Flaw {
	return atEach([]string{"introspection", "revocation"}, rows, one(name, d, "AS-CC-ASSERTION-REJECTED", "AS-CIMD-KEY-AUTH-ENFORCED"))
}

// ofDocuments returns the same flaw as the clients of metadata documents show it, which begin flows too.
func ofDocuments(name string, d idp.Defence, rows ...string) Flaw {
	endpoints := []string{"introspection", "revocation", "pushed request", "device request"}
	return atEach(endpoints, rows, one("cimd-"+name, d, "AS-CIMD-KEY-AUTH-ENFORCED", "AS-CC-ASSERTION-REJECTED"))
}

// atEach names each row at each endpoint.
func atEach(endpoints, rows []string, f Flaw) Flaw {
	for _, endpoint := range endpoints {
		for _, row := range rows {
			f.Rows = append(f.Rows, endpoint+", "+row)
		}
	}
	return f
}
