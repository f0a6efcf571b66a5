.PHONY: check quick test demo generate bench interop

check: ## what CI runs
	.ci/run

quick: ## before each commit: units, every flaw by its own checks, and a run of the reference
	go test -short $$(go list ./... | grep -vE '/(suites|cmd/mcpauth|hostile|browser)$$')
	go test ./suites -run 'TestWhoMayImportWhom|TestUsageErrors|TestReferencePassesEverything/bundled$$'

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
