.PHONY: check test demo generate bench interop

check: ## what CI runs
	.ci/run

test:
	go test ./...

demo:
	go run ./cmd/mcpauth demo

generate: ## after a change in fixtures/requirements/catalogue
	go generate ./fixtures/requirements

bench:
	go test -run '^$$' -bench . -benchmem ./suites ./reports

interop: ## make interop SERVER=fastmcp-jwt; without SERVER all of them
	@for server in $(or $(SERVER),fastmcp-jwt fastmcp-static fastmcp-secret); do echo "== $$server"; interop/run.sh $$server || exit 1; done
