.PHONY: check test demo generate bench

check: ## what CI runs
	.ci/run

test:
	go test ./...

demo:
	go run ./cmd/mcpauth demo

generate: ## after a change in fixtures/requirements/catalogue
	go generate ./fixtures/requirements

bench:
	go test -run '^$$' -bench . -benchmem ./suites
