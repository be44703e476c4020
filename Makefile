# POSIX shell and GNU make 4.3 or newer. What targets install lies in .cache/, what they build in dist/.

ARCH ?= arm64
OS ?= linux
DELIVERY_MODE ?= direct

# One set of flags for functions and command line, so that the standard library and the SDK compile once.
GO_BUILD = CGO_ENABLED=0 go build -trimpath -buildvcs=false -tags lambda.norpc
FUNCTION_BUILD = GOOS=$(OS) GOARCH=$(ARCH) $(GO_BUILD) -ldflags='-s -w -buildid='
FUNCTIONS = $(notdir $(patsubst %/,%,$(wildcard functions/*/)))

.PHONY: help
help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: ## Local stack, the scenario of events/, a table of what happened; ends by itself
	@$(MAKE) --no-print-directory -j2 cli python
	@dist/sfrelay run

.PHONY: up
up: ## Start the local stack and keep it; DELIVERY_MODE=buffered, ERP_URL=…, SALESFORCE_ORGS=… are taken
	@$(MAKE) --no-print-directory -j2 cli python
	@DELIVERY_MODE=$(DELIVERY_MODE) dist/sfrelay stack up

.PHONY: down
down: cli ## End the local stack
	@dist/sfrelay stack down

.PHONY: build
build: ## All functions to dist/<function>/bootstrap; ARCH=arm64|amd64 (default arm64), OS=linux
	@set -e; for f in $(FUNCTIONS); do echo "dist/$$f/bootstrap ($(OS)/$(ARCH))"; $(FUNCTION_BUILD) -o dist/$$f/bootstrap ./functions/$$f; done

.PHONY: cli
cli: go # dist/sfrelay, the command line
	@$(GO_BUILD) -o dist/sfrelay ./cmd/sfrelay

.PHONY: clean
clean: ## End the local stack and delete what was built and installed
	@if [ -x dist/sfrelay ]; then dist/sfrelay stack down; dist/sfrelay stack down --dir .cache/run; fi
	rm -rf dist .aws-sam .cache

# sam build calls this for each function, with its logical id: CustomerBilling is functions/customer-billing.
build-%:
	$(FUNCTION_BUILD) -o $(ARTIFACTS_DIR)/bootstrap ./functions/$(shell echo $* | sed 's/\([a-z]\)\([A-Z]\)/\1-\2/g' | tr '[:upper:]' '[:lower:]')

.PHONY: go
go:
	@command -v go >/dev/null || { echo "missing: Go. Install it from https://go.dev/dl/ (version: see go.mod)."; exit 1; }

.PHONY: python
python:
	@.ci/tools python >/dev/null
