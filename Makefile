# Everything a developer runs. `make` alone lists it.
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- The local stack: see devstack/stack/doc.go. State is in .sluice; single ports can be fixed, for example with
# SLUICE_STACK_API_PORT=8080 (`.build/devstack --help` lists them).

.PHONY: demo
demo: devstack ## Start everything, play three orders, keep running until Ctrl-C (ONCE=1: end after the story)
	@.build/devstack demo --with-parent $(if $(filter-out 0,$(ONCE)),--once)

.PHONY: up
up: devstack ## Start everything in the background
	@.build/devstack up

.PHONY: down
down: devstack ## Stop what up or demo started; its state stays
	@.build/devstack down

.PHONY: pay
pay: devstack ## Pay an order of the stack that up or demo started (URI=its payment_uri, in quotes)
	@test -n '$(URI)' || { echo "say what to pay: make pay URI='ethereum:…', the payment_uri of an order" >&2; exit 1; }
	@.build/devstack pay '$(URI)'

.PHONY: devstack
devstack:
	@test -x .build/devstack || echo "Building the local stack. The first time this takes a few minutes: a Temporal server and a chain node are part of it."
	@go build -C devstack -ldflags='-s -w' -o ../.build/devstack ./cmd/devstack

# --- Tests and checks. Tools are a module of their own, so that the product's go.mod stays readable.

# One package of the local stack at a time (-p 1): each runs whole stacks, and more at once only slow each other down.
TOOL = go tool -modfile=tools/go.mod
# A package that takes longer is broken, however slow the machine is: see internal/await.
LIMIT = -timeout 45m
# Tests of the local stack that take minutes and that `make test` leaves out.
LONG = ^(TestRecordHistories|TestCanariesDoNotSing|TestWorkerIsKilledAgainAndAgain)$$
# A runner that starts one private PostgreSQL for all packages and leaves no process, port or file behind.
TESTRUN = go build -o .build/testrun ./internal/testrun && .build/testrun -with-parent

.PHONY: test
test: ## Run the tests (minutes on a quiet machine, as long as it takes on a busy one; needs nothing running)
	@$(TESTRUN) -- go test -short $(LIMIT) ./... -- -C devstack go test -p 1 -short $(LIMIT) ./...

.PHONY: test-full
test-full: ## Run what `make test` leaves out: race detector, more histories, long end-to-end tests, the demo
	@$(TESTRUN) \
		-- go test -race $(LIMIT) ./... \
		-- -C devstack go test $(LIMIT) -run '$(LONG)' ./e2e
	@$(MAKE) demo ONCE=1

.PHONY: nightly
nightly: ## Run what takes hours: many new histories, every mutant, every fuzz target
	@$(MAKE) torture N=$(or $(N),20000)
	@$(MAKE) mutants
	@$(MAKE) fuzz

# Progress is kept by seed: the same command with the same SEED goes on where it was ended.
.PHONY: torture
torture: ## Play random histories against an independent model (N=100000, SEED=… goes on where that seed was)
	@seed=$(or $(SEED),$$(date +%s)); echo "SEED=$$seed"; \
		export TORTURE_N=$(or $(N),100000) TORTURE_SEED=$$seed TORTURE_PROGRESS=$(CURDIR)/.build/torture-$$seed && \
		$(TESTRUN) -- -C internal/torture go test -count=1 -parallel 4 -timeout 0 -run '^TestTorture$$'

.PHONY: mutants
mutants: ## Plant known bugs one by one and show which test finds each (RUN=words of a name)
	@$(TESTRUN) -- go run ./internal/mutants -run "$(RUN)"

.PHONY: fuzz
fuzz: ## Fuzz every parser of hostile input for a minute each (FUZZTIME=1m)
	@scripts/fuzz $(or $(FUZZTIME),1m)

.PHONY: histories
histories: ## Record the histories that later workflow code must replay: once for each release (SET=v1.2)
	@test -n "$(SET)" || { echo "say which release this is: make histories SET=v1.2" >&2; exit 1; }
	@export SLUICE_RECORD_HISTORIES=$(CURDIR)/workflows/testdata/histories/$(SET) && \
		$(TESTRUN) -- -C devstack go test -count=1 $(LIMIT) -run '^TestRecordHistories$$' ./e2e
	@go test -run '^TestRecordedHistoriesReplay$$' ./workflows

.PHONY: lint
lint: ## Check style, rooms and determinism
	@$(TOOL) golangci-lint run ./...
	@cd devstack && go tool -modfile=../tools/go.mod golangci-lint run --config ../.golangci.yml ./...
	@$(TOOL) workflowcheck ./workflows/...
	@go vet ./... && go vet -C devstack ./...

.PHONY: generate
generate: ## Write generated code and diagrams again
	@cd store && go tool -modfile=../tools/go.mod sqlc generate
	@go generate ./api/...
	@go run ./internal/gen/statediagram > docs/states.md

.PHONY: check-generated
check-generated: ## Fail when generated files differ from what generate writes
	@$(MAKE) generate
	@git diff --exit-code --stat -- store api docs || { echo "generated files have drifted: run make generate and commit" >&2; exit 1; }
