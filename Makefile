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

.PHONY: devstack
devstack:
	@test -x .build/devstack || echo "Building the local stack. The first time this takes a few minutes: a Temporal server and a chain node are part of it."
	@go build -C devstack -o ../.build/devstack ./cmd/devstack

# --- Tests and checks.

.PHONY: test
test: ## Run the tests (under ten minutes)
	@echo "make test is not there yet" >&2; exit 1

.PHONY: test-full
test-full: ## Run the tests that take longer
	@echo "make test-full is not there yet" >&2; exit 1

.PHONY: lint
lint: ## Check style, rooms and determinism
	@echo "make lint is not there yet" >&2; exit 1

.PHONY: generate
generate: ## Write generated code and diagrams again
	@echo "make generate is not there yet" >&2; exit 1
