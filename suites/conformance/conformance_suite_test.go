// Package conformance is a Ginkgo suite of all checks, for users of the ginkgo command: its focus, labels, reports and parallel processes.
//
//	ginkgo -p --junit-report=report.xml ./suites/conformance -- -url https://mcp.example.com/mcp
package conformance_test

import (
	"cmp"
	"flag"
	"os"
	"testing"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"

	"github.com/mcpauth/conformance/suites"
	"github.com/mcpauth/conformance/suites/target"
)

var (
	url       = flag.String("url", "", "the MCP endpoint to test")
	file      = flag.String("c", "", "a target file: what a URL cannot say")
	tokenEnv  = flag.String("token-env", "", "name of the environment variable that holds a valid access token")
	username  = flag.String("username", "", "a user who signs in; the password is in MCPAUTH_PASSWORD")
	intrusive = flag.Bool("allow-intrusive", false, "allow checks that may trip limits (default: on loopback only)")
	timeout   = flag.Duration("run-timeout", time.Hour, "for the whole run, on each of Ginkgo's processes")
)

var registered = suites.Register(configuration, nil)

// On every process, because each signs in separately.
var _ = ginkgo.AfterSuite(func() { registered.Finish(); stop() })

// stop stops the servers that the target file declares.
var stop = func() {}

func TestConformance(t *testing.T) {
	if *url == "" && *file == "" {
		t.Skip("no target: run ginkgo ./suites/conformance -- -url https://mcp.example.com/mcp")
	}
	gomega.RegisterFailHandler(ginkgo.Fail)
	ginkgo.RunSpecs(t, "conformance of "+*url+*file)
}

func configuration() suites.Config {
	cfg := suites.Config{}
	if *file != "" {
		t, err := target.Load(*file)
		if err != nil {
			ginkgo.Fail(err.Error())
		}
		cfg.Target = t
		if stop, err = suites.Serve(&cfg); err != nil {
			ginkgo.Fail(err.Error())
		}
	}
	cfg.URL, cfg.Timeout = cmp.Or(*url, cfg.URL), *timeout
	if *tokenEnv != "" {
		token, err := suites.TokenFromEnvironment(*tokenEnv)
		if err != nil {
			ginkgo.Fail(err.Error())
		}
		cfg.Token = token
	}
	if *username != "" {
		cfg.Users = []suites.User{{Name: *username, Password: os.Getenv("MCPAUTH_PASSWORD")}}
	}
	if *intrusive {
		cfg.AllowIntrusive = intrusive
	}
	cfg.OnNotice = func(notice string) { ginkgo.GinkgoWriter.Println(notice) }
	return cfg
}
