package main

import (
	"bytes"
	"context"
	"time"
)

// Main is the program. The time that it waits for the reader of a pipe may be given.
func Main(pipePatience string) {
	if d, err := time.ParseDuration(pipePatience); err == nil {
		patience = d
	}
	main()
}

// Run carries out a command line in the process of the caller, with nothing on standard input.
func Run(ctx context.Context, args ...string) (code int, out, errs string) {
	var stdout, stderr bytes.Buffer
	root := tree()
	root.SetIn(&bytes.Buffer{})
	root.SetOut(&stdout)
	root.SetErr(&stderr)
	code = run(ctx, root, args)
	return code, stdout.String(), stderr.String()
}

// ShareProcess leaves the limits of memory to the tests, which other commands in their process have too.
func ShareProcess() { memoryIsOwn = false }
