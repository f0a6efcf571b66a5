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

interop: ## make interop SERVER=oidc-provider; without SERVER all of them
	@interop/run.sh $(SERVER)
