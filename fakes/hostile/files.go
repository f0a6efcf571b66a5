package hostile

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/mcpauth/conformance/fakes/reference"
)

// oneCheck returns the arguments of a short run.
func oneCheck(r *reference.Reference, more ...string) []string {
	return append([]string{"run", r.URL, "--only", "RS-CHALLENGE-401-STATUS", "--timeout", "8s"}, more...)
}

// besideServer sets a trap in a new folder, for a run against a conforming server.
func besideServer(set func(dir string, r *reference.Reference) (*Attack, error)) (*Attack, error) {
	r, err := bend(func(o *reference.Options) { o.Behaviour.Pages = "javascript" })
	if err != nil {
		return nil, err
	}
	attack, err := inFolder(func(dir string) (*Attack, error) { return set(dir, r) })
	if err != nil {
		r.Close()
		return nil, err
	}
	end := attack.Close
	attack.Close = func() { r.Close(); end() }
	return attack, nil
}

// inFolder sets a trap in a new folder.
func inFolder(set func(dir string) (*Attack, error)) (*Attack, error) {
	dir, err := os.MkdirTemp("", "mcpauth-trap-")
	if err != nil {
		return nil, err
	}
	remove := func() { _ = os.RemoveAll(dir) }
	attack, err := set(dir)
	if err != nil {
		remove()
		return nil, err
	}
	attack.Close = remove
	return attack, nil
}

// linkForReport puts a symbolic link at the path of a report, as another user can in a shared folder.
func linkForReport(dir string, r *reference.Reference) (*Attack, error) {
	const before = "what the user keeps"
	kept, link := filepath.Join(dir, "kept"), filepath.Join(dir, "report")
	if err := errors.Join(os.WriteFile(kept, []byte(before), 0o600), os.Symlink(kept, link)); err != nil {
		return nil, err
	}
	return &Attack{Args: oneCheck(r, "--report", "markdown="+link), Judge: func(o Outcome) error {
		text, err := os.ReadFile(kept)
		if err != nil || string(text) != before {
			return errors.New("what the link leads to was written to")
		}
		if info, err := os.Lstat(link); err != nil || info.Mode().Type() != fs.ModeSymlink {
			return errors.New("the link was replaced")
		}
		if o.Code == 0 || !strings.Contains(o.Stderr, "is a symbolic link") {
			return fmt.Errorf("exit %d, and the user is not told: %.200s", o.Code, o.Stderr)
		}
		return nil
	}}, nil
}

// pipeForReport puts a named pipe at the path of a report, with a reader.
func pipeForReport(dir string, r *reference.Reference) (*Attack, error) {
	pipe := filepath.Join(dir, "pipe")
	if out, err := exec.Command("mkfifo", pipe).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("there are no named pipes here: %w: %s", err, out)
	}
	came := make(chan string, 1)
	go func() {
		text, err := os.ReadFile(pipe) // waits for a writer
		came <- fmt.Sprint(string(text), err)
	}()
	return &Attack{Args: oneCheck(r, "--report", "markdown="+pipe), Judge: func(o Outcome) error {
		defer release(pipe)
		if info, err := os.Lstat(pipe); err != nil || info.Mode().Type() != fs.ModeNamedPipe {
			return errors.New("the pipe was replaced")
		}
		release(pipe)
		if text := <-came; !strings.Contains(text, "1 of 1 MUST") {
			return fmt.Errorf("the reader got %.200q", text)
		}
		return reported(o)
	}}, nil
}

// release ends the wait of the pipe's reader.
func release(pipe string) {
	if f, err := os.OpenFile(pipe, os.O_RDWR, 0); err == nil {
		_ = f.Close()
	}
}

// theirs is a report with another catalogue. SAID is a placeholder for any text, and LEVEL for a keyword.
const theirs = `{"version": 1, "tool": {"name": "mcpauth", "version": "dev"},
"target": {"url": "https://mcp.example.com/mcp", "tier": "T0"},
"started": "2026-01-01T00:00:00Z", "duration_ms": 1, "requests": 1, "catalogue": "CATALOGUE", SHARD "command": SAID,
"revisions": [{"revision": "2025-11-25", "wire": "stateful", "status": "spoken", "why": SAID}],
"discovered": [{"name": SAID, "value": SAID}], "pending": 0, "selected": 1, "rule": {"fail_on": "must"}, "counts": {"FAIL": 1},
"outcome": {"code": 1, "kind": "findings", "headline": SAID, "colour": "red"},
"results": [{"id": "RS-NEWER", "title": SAID, "area": "challenge", "role": "resource-server", "level": LEVEL, "tier": "T0",
"revisions": ["2025-11-25"], "verdict": "FAIL", "reason": SAID, "evidence": [1], "remediation": SAID, "duration_ms": 1,
"sources": [{"doc": SAID, "section": SAID}], "findings": [{"expected": SAID, "observed": SAID, "about": SAID, "exchange": 1}]}],
"exchanges": [{"number": 1, "check": "survey", "started": "2026-01-01T00:00:00Z", "duration_ms": 1, "error": SAID,
"request": {"method": "GET", "url": SAID, "header": [{"name": SAID, "value": SAID}], "body": SAID},
"response": {"status": 200, "proto": SAID, "header": [{"name": SAID, "value": SAID}], "body": SAID}}]}`

// strangersReport makes mcpauth read untrusted reports: one, or two to merge and to compare.
func strangersReport(verb, said, level string) (*Attack, error) {
	quoted := func(text string) string { b, _ := json.Marshal(text); return string(b) } // a string always marshals
	text := strings.NewReplacer("SAID", quoted(said), "LEVEL", quoted(level), "CATALOGUE", strings.Repeat("0", 64)).Replace(theirs)
	return inFolder(func(dir string) (*Attack, error) {
		args, number := []string{verb}, 1
		if verb != "report" {
			number = 2
		}
		for i := range number {
			shard := ""
			if verb == "merge" {
				shard = fmt.Sprintf(`"shard": {"index": %d, "count": %d},`, i+1, number)
			}
			path := filepath.Join(dir, fmt.Sprintf("theirs-%d.json", i+1))
			if err := os.WriteFile(path, []byte(strings.Replace(text, "SHARD", shard, 1)), 0o600); err != nil {
				return nil, err
			}
			args = append(args, path)
		}
		return &Attack{Args: args, Judge: func(o Outcome) error { return judgeStrangers(o, level == "MUST") }}, nil
	})
}

// judgeStrangers expects a well-formed report to be shown, and any other report to be refused with the place of the error.
func judgeStrangers(o Outcome, wellFormed bool) error {
	if err := inert(o); err != nil {
		return err
	}
	if wellFormed {
		if o.Code != 0 || !strings.Contains(o.All(), "RS-NEWER") {
			return fmt.Errorf("exit %d, where a report is well-formed: %.300s", o.Code, o.Stderr)
		}
		return nil
	}
	if o.Code == 0 || o.Stdout != "" || !strings.Contains(o.Stderr, "theirs-1.json:") || !strings.Contains(o.Stderr, "level") {
		return fmt.Errorf("exit %d, and no place is named: %.300s", o.Code, o.Stderr)
	}
	return nil
}

// environment has a browser that reports its environment. The environment of the tool holds secrets.
func environment(dir string, r *reference.Reference) (*Attack, error) {
	const ci = "canary-of-the-ci-8Xv2"
	told, program := filepath.Join(dir, "told"), filepath.Join(dir, "browser")
	env := []string{"MCPAUTH_BROWSER=" + program, "MCPAUTH_PASSWORD=" + password, "GITHUB_TOKEN=" + ci, "AWS_SECRET_ACCESS_KEY=" + ci}
	args := []string{"run", r.URL, "--username", "alice", "--login", "browser", "--browser-no-sandbox", "--timeout", "8s", "--only",
		"AS-TOKEN-SUCCESS-SHAPE"}
	return &Attack{Args: args, Environment: env, Judge: func(o Outcome) error {
		text, err := os.ReadFile(told)
		if err != nil {
			return errors.New("the tool did not come near the trap: it started no browser")
		}
		for _, secret := range []string{ci, password} {
			if strings.Contains(string(text), secret) {
				return errors.New("a secret is in the browser's environment")
			}
		}
		return notGreen(o)
	}}, os.WriteFile(program, []byte("#!/bin/sh\nenv > '"+told+"'\n"), 0o700)
}
