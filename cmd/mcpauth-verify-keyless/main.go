// Command mcpauth-verify-keyless verifies a certificate that a CI system or cosign has signed without a key, with a certificate of
// Sigstore, and without the network. It is a separate module, so that mcpauth does not depend on Sigstore.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/mcpauth/conformance/reports"
	"github.com/mcpauth/conformance/reports/bundle"
	"github.com/mcpauth/conformance/suites"
	"github.com/mcpauth/conformance/suites/target/strict"
)

// mostRoot bounds the trusted root: Sigstore's has about 10 KiB.
const mostRoot = 1 << 20

func main() {
	v, err := run(os.Args[1:])
	os.Exit(tell(os.Stdout, os.Stderr, v, err))
}

// tell writes the result, and returns the exit code. The names of files in a bundle are untrusted, so they are escaped.
func tell(out, errs io.Writer, v bundle.Verification, err error) int {
	if err != nil {
		fmt.Fprintln(errs, "mcpauth-verify-keyless: "+reports.OneLine(err.Error(), 2000))
		return 2
	}
	if err := reports.WriteJSON(out, v, "  "); err != nil {
		return 4
	}
	if !v.OK {
		return 1
	}
	return 0
}

func run(args []string) (bundle.Verification, error) {
	flags := flag.NewFlagSet("mcpauth-verify-keyless DIR", flag.ContinueOnError)
	root := flags.String("trusted-root", "", "Sigstore's trusted root, a file (cosign trusted-root create, or gh attestation trusted-root)")
	identity := flags.String("certificate-identity", "", "who must have signed: the subject of the certificate, such as the URL of a workflow")
	issuer := flags.String("certificate-oidc-issuer", "https://token.actions.githubusercontent.com", "who vouches for that identity")
	submission := flags.Bool("submission", false, "demand that the certificate is at most 90 days old")
	if err := flags.Parse(args); err != nil {
		return bundle.Verification{}, err
	}
	if flags.NArg() != 1 || *root == "" || *identity == "" {
		return bundle.Verification{}, errors.New("want --trusted-root FILE, --certificate-identity IDENTITY and DIR")
	}
	text, err := strict.ReadFile(*root, mostRoot)
	if err != nil {
		return bundle.Verification{}, fmt.Errorf("--trusted-root: %w", err)
	}
	check, err := checker(text, *identity, *issuer)
	if err != nil {
		return bundle.Verification{}, fmt.Errorf("--trusted-root %s: %w", *root, err)
	}
	files, found, err := bundle.Read(flags.Arg(0))
	if err != nil {
		return bundle.Verification{}, err
	}
	o := bundle.Options{Now: time.Now(), Submission: *submission, Check: check, Rejudge: suites.JudgeAgain}
	return files.Verify(context.Background(), o, found...), nil
}
