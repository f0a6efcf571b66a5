package suites

// passiveBut returns the endpoint that gets other requests than reads in a passive run; empty in other runs.
func (c *Config) passiveBut() string {
	if !c.Passive {
		return ""
	}
	return c.URL
}

// passive turns off registration in a passive run, and refuses options that such a run cannot use.
func (c *Config) passive() error {
	if !c.Passive {
		return nil
	}
	if len(c.Users) > 0 || c.Token != "" || len(c.Clients) > 0 || len(c.Credentials) > 0 || c.Driver == "manual" {
		return usage("a passive run does not sign users in: leave users, tokens, clients and credentials out")
	}
	if c.Register != nil && *c.Register || c.AllowIntrusive != nil && *c.AllowIntrusive {
		return usage("a passive run registers no client and is not intrusive: leave --register and --allow-intrusive out")
	}
	no := false
	c.Register, c.AllowIntrusive = &no, &no
	return nil
}
