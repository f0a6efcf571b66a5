package main

import "time"

// Main is the program. The time that it waits for the reader of a pipe may be given.
func Main(pipePatience string) {
	if d, err := time.ParseDuration(pipePatience); err == nil {
		patience = d
	}
	main()
}
