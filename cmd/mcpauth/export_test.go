package main

// Main is the program.
func Main() { main() }
