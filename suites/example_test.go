package suites_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"testing"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/extensions/globals"

	"github.com/mcpauth/conformance/fakes/reference"
	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/suites"
	"github.com/mcpauth/conformance/suites/target"
)

// A program tests a server and reads the verdicts.
func ExampleRun() {
	server := startServer()
	defer server.Close()

	run, err := suites.Run(context.Background(), suites.Config{
		Target: target.At(server.URL),
		Only:   []string{"RS-CHALLENGE-401-STATUS", "RS-CHALLENGE-BEARER-SCHEME"},
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, result := range run.Run().Results {
		fmt.Println(result.ID, result.Verdict)
	}
	fmt.Println("exit status", run.Run().Outcome().Code)
	// Output:
	// RS-CHALLENGE-401-STATUS PASS
	// RS-CHALLENGE-BEARER-SCHEME PASS
	// exit status 0
}

// A go test has a subtest for each requirement.
func ExampleTest() {
	server := startServer()
	defer server.Close()

	testMyServer := func(t *testing.T) { // func TestMyServer(t *testing.T)
		suites.Test(t, suites.Config{Target: target.At(server.URL), Only: []string{"RS-CHALLENGE-*"}})
	}

	fmt.Println("passed:", goTest(testMyServer))
	// Output: passed: true
}

// A Ginkgo suite of your own has the checks among its specs.
func ExampleRegister() {
	server := startServer()
	defer server.Close()
	failed := 0

	buildTree := func() { // var _ = Describe("my server", ...)
		ginkgo.Describe("my server", func() {
			suites.Register(
				func() suites.Config {
					return suites.Config{Target: target.At(server.URL), Only: []string{"RS-CHALLENGE-*"}}
				},
				func(run reports.Redacted) { failed = run.Run().Counts()[reports.Fail] },
			)
		})
	}

	fmt.Println("passed:", runSpecs(buildTree), "failed requirements:", failed)
	// Output: passed: true failed requirements: 0
}

// startServer starts an MCP server with its authorization server on loopback.
func startServer() *reference.Reference {
	server, err := reference.Start(reference.Ideal())
	if err != nil {
		log.Fatal(err)
	}
	return server
}

// goTest runs a test as go test does, with its output on standard error.
func goTest(test func(t *testing.T)) (passed bool) {
	stdout := os.Stdout
	os.Stdout = os.Stderr
	defer func() { os.Stdout = stdout }()
	everything := func(_, _ string) (bool, error) { return true, nil }
	return testing.RunTests(everything, []testing.InternalTest{{Name: "TestMyServer", F: test}})
}

// runSpecs runs a Ginkgo tree as RunSpecs does in a go test.
func runSpecs(build func()) (passed bool) {
	globals.Reset()
	defer globals.Reset()
	build()
	suite, reporter := ginkgo.GinkgoConfiguration()
	reporter.Succinct = true
	return ginkgo.RunSpecs(&outcome{}, "my suite", suite, reporter)
}

// outcome implements the part of *testing.T that RunSpecs needs.
type outcome struct{ failed bool }

func (o *outcome) Fail() { o.failed = true }
