.PHONY: check quick flaws test whole demo generate rows bench interop

check: ## what CI runs
	.ci/run

quick: ## before each commit: style, units, and a run of the reference; without the tests of units that start a browser
	.ci/lines
	go vet ./...
	go test -vet=off -ldflags=-w ./suites -run 'TestWhoMayImportWhom|TestUsageErrors|TestTheCatalogueNames|Example|TestReferencePassesEverything/bundled$$' & \
	suites=$$!; code=0; \
	go test -vet=off -ldflags=-w -short -skip 'TestBrowserOnWellKnownPages|TestPrint|TestLayout|TestHTMLInABrowser' \
		$$(go list ./... | grep -vE '/(suites|cmd/mcpauth|suites/tests/[a-z]+)$$') || code=$$?; \
	wait $$suites && exit $$code

flaws: ## every flaw with the checks that must notice it
	go test -vet=off ./suites/tests/matrix -run TestEveryFlawIsNoticed

test: ## with a sample of the whole runs; make whole does all of them
	go test ./...

whole:
	MCPAUTH_WHOLE=all go test -timeout 20m ./...

demo:
	go run ./cmd/mcpauth demo

generate: ## after a change in fixtures/requirements/catalogue
	go generate ./fixtures/requirements

rows: ## after a change of the rows of checks: make rows, or make rows AREA=pkce for the file of one area
	MCPAUTH_GOLDEN=write go test -vet=off -ldflags=-w ./suites -run '^TestTheCatalogueNamesWhatIsTried$$/^$(AREA)'

bench:
	go test -run '^$$' -bench . -benchmem ./suites ./reports

interop: ## make interop SERVER=oidc-provider; without SERVER, all servers
	@interop/run.sh $(SERVER)
