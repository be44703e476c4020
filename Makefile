# POSIX shell and GNU make 4.3 or newer. What targets install lies in .cache/, with the binaries of the local stack; what they
# build in dist/.

ARCH ?= arm64
OS ?= linux
ENV ?= default
FUZZTIME ?= 10s
export ARCH OS ENV FUZZTIME

# What comes from the command line or the environment is text: make expands nothing in it, and recipes read it from their
# environment, where no shell takes it for commands.
TEXT = ARCH OS ENV FUZZTIME ALL PACKAGES MUTANTS LONG DELIVERY_MODE ERP_URL SALESFORCE_ORGS ARTIFACTS_DIR NEW_TABLE LEAVE_MESSAGES
$(foreach v,$(TEXT),$(if $(filter command environment,$(firstword $(origin $v))),$(eval override export $v := $$(value $v))))

# Tests and lint compile with the flags of what is deployed, and without the folder's path: then a package is compiled once for
# all of them, and in every copy of the checkout. The tests need no vet: golangci-lint runs it.
GO_FLAGS = -trimpath -tags=lambda.norpc -vet=off
export GOFLAGS := $(filter-out $(GO_FLAGS),$(value GOFLAGS)) $(GO_FLAGS)
export CGO_ENABLED = 0

# GOGC and GOMEMLIMIT turn the garbage collector off for the compiler: it exits before collecting would help. LOCAL_STACK=1
# compiles what the local stack runs without inlining and without data for debuggers, in two thirds of the time. CI compiles
# the same packages as they are deployed anyway, so it plays these.
GO_BUILD = CGO_ENABLED=0 GOGC=off GOMEMLIMIT=1GiB go build -trimpath -buildvcs=false -tags lambda.norpc \
	$(if $(LOCAL_STACK),$(if $(filter true,$(value CI)),,-gcflags="all=-l -dwarf=false"))
FUNCTION_FLAGS = -s -w
VERSION = $$(git describe --tags --always --dirty 2>/dev/null || echo unknown)
CLI_FLAGS = -s -w -X main.version=$(VERSION)
FUNCTION_BUILD = GOOS="$$OS" GOARCH="$$ARCH" $(GO_BUILD) -ldflags='$(FUNCTION_FLAGS)'
FUNCTIONS = $(patsubst functions/%/main.go,%,$(wildcard functions/*/main.go))
GO_TOOL = go tool -modfile=.ci/tools.mod
SAM = SAM_CLI_TELEMETRY=0 "$$(.ci/tools python)/sam"

.PHONY: help
help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- The pipeline on this machine

.PHONY: run
run: ## Local stack, the scenario of events/, a table of what happened; ends by itself
	@$(MAKE) --no-print-directory -j2 local python
	@dist/sfrelay run

.PHONY: up
up: ## Start the local stack and keep it, or switch its mode; takes DELIVERY_MODE=buffered, ERP_URL=…, SALESFORCE_ORGS=…
	@$(MAKE) --no-print-directory -j2 local python
	@dist/sfrelay stack up

.PHONY: down
down: cli ## End the local stack
	@dist/sfrelay stack down

# --- Tests

# What uses a change that is not committed yet is type-checked only; ALL=1 tests it, too. What is tested is compiled first:
# lint and tests, side by side, would each compile it for itself.
.PHONY: check
check: go ## The quick loop: lint and fast tests of what was edited, types of what uses it; ALL=1: tests of that, too
	@packages=$$(if [ -n "$$ALL" ]; then echo ./...; else GOGC=off GOMEMLIMIT=2GiB go run -modfile=.ci/tools.mod .ci/quick.go; fi) && \
	GOGC=off GOMEMLIMIT=1GiB go list -test -export -buildvcs=false $$packages >/dev/null && \
	PACKAGES="$$packages" $(MAKE) --no-print-directory -j2 --output-sync linted tested

.PHONY: linted tested
linted: go
	@GOGC=400 GOMEMLIMIT=4GiB $(GO_TOOL) golangci-lint run --allow-parallel-runners $${PACKAGES:-./...}

tested: go
	@go test -short $${PACKAGES:-./...}

.PHONY: test
test: go ## Everything that CI runs: lint, the scenario on the local stack, all tests with the race detector
	@$(MAKE) --no-print-directory -j2 local python linters dynamodb clients cumulusci node judges
	@echo "the local stack, and beside it lint, proofs and mutants: some 6 minutes, each says what it saw when it is done"
	@$(MAKE) --no-print-directory -j2 --output-sync played judged
	@echo "all tests with the race detector: some 9 minutes"
	@CGO_ENABLED=1 go test -race -timeout 40m ./...
	@go test -run 'TestAllocations|TestWorkIsBoundedByBytes|TestBudget|TestFirstEvent|TestBootstrap|TestFewer' ./shared/guard/internal/bench ./shared/consumer ./functions/internal/bootstrap ./functions/internal/bulk # the race detector allocates too
	@go test -run '^$$' -bench . -benchtime 1x ./shared/salesforce ./shared/guard ./functions ./functions/internal/bootstrap >.cache/bench.log || { cat .cache/bench.log; exit 1; } # a benchmark that nobody runs breaks

# The local stack waits most of the time, for its own pauses: what computes goes on beside it.
.PHONY: played judged
played:
	@$(MAKE) --no-print-directory e2e
	@$(SLOW_RUN) --mode buffered >.cache/slow.log || { cat .cache/slow.log; exit 1; }
	@tail -n 2 .cache/slow.log
	@dist/sfrelay run --scenario events/switch >.cache/switch.log || { cat .cache/switch.log; exit 1; }
	@tail -n 2 .cache/switch.log

judged: linted
	@AWS_DEFAULT_REGION=us-east-1 $(SAM) validate --lint
	@$(MAKE) --no-print-directory prove >.cache/prove.log || { cat .cache/prove.log; exit 1; }
	@grep -hE 'schedules|histories,|[0-9]+ mutants|doubled or wrong|operations of' .cache/prove.log
	@MUTANTS=sample go test -count=1 -run TestMutants -v ./shared >.cache/mutants.log || { cat .cache/mutants.log; exit 1; }
	@grep -E '^[0-9]+ mutants' .cache/mutants.log

# The scenario where nothing is fast: every call of table and sinks takes 300 ms more, and 24 busy loops take the processor.
# Calls may take as long as on AWS; only waits are scaled. make test plays it without the loops.
SLOW_RUN = dist/sfrelay run --delay 300ms
.PHONY: slow
slow: ## The scenario with slow calls beside 24 busy loops, in both delivery modes; some 6 minutes
	@$(MAKE) --no-print-directory -j2 local python
	@set -e; for mode in direct buffered; do .ci/busy 24 $(SLOW_RUN) --mode $$mode; done

.PHONY: outage
outage: ## Billing and ERP are down for a minute while events come, in both delivery modes; some 4 minutes
	@$(MAKE) --no-print-directory -j2 local python
	@set -e; for mode in direct buffered; do dist/sfrelay run --scenario events/outage --mode $$mode; done

.PHONY: bulk
bulk: ## 20,000 records in 100 events through the local stack, in both delivery modes; some 6 minutes
	@$(MAKE) --no-print-directory -j2 local python
	@set -e; for mode in direct buffered; do dist/sfrelay bulk --mode $$mode; done

.PHONY: million
million: go ## A bulk load of 1,000,000 records on a virtual clock, and other concurrencies; some 15 minutes
	@MILLION=1 go test -count=1 -timeout 2h -v -run 'TestAMillion|TestTheKnee|TestAboveTheTable' ./functions/internal/bulk

# The scenario, then the guard's contract against the DynamoDB of the same stack. Elsewhere than on Linux Go takes no
# certificates from the environment. The emulator adds to a text without a word, which Amazon's DynamoDB refuses: DynamoDB
# Local holds those cases.
.PHONY: e2e
e2e: local python
	@set -e; trap 'dist/sfrelay stack down --dir .cache/run' EXIT; dist/sfrelay run --keep; \
		STACK_DIR="$$PWD/.cache/run" FILL=2000 go test -count=1 -run 'TestAlarmWay|TestSAMLocalRuns|TestASaveInTheOrgArrives|TestTheRelaysOfTheStack|TestAProbeOfTheOrgArrives|TestTwoOrgs|TestAStackIsLeft|TestTheFirstVersionIsUpdated' -v ./cmd/sfrelay ./cmd/sfrelay/internal/stack; if [ "$$(uname)" = Linux ]; then \
		eval "$$(dist/sfrelay stack env --dir .cache/run)"; DYNAMODB_ENDPOINT=$$AWS_ENDPOINT_URL SSL_CERT_FILE=$$AWS_CA_BUNDLE \
		GODEBUG=http2client=0 go test -count=1 -run 'TestContract|TestRequests|TestLinearizable' -skip 'TestContract/update/add.*is_an_error' \
		./shared/guard/dynamo; fi

.PHONY: prove
prove: go ## Every history of small worlds, mutants, comparison, linearizability; LONG=1 runs for as long as one likes
	@$(MAKE) --no-print-directory dynamodb
	@PROVE=1 LONG="$$LONG" go test -count=1 -timeout $(if $(LONG),24h,20m) -v ./shared/guard ./shared/guard/memory ./shared/guard/internal/sim ./shared/guard/dynamo
	@PROVE=1 go test -count=1 -timeout 10m -run 'Histories' -v ./functions

.PHONY: mutants
mutants: go ## Lines of the product, broken one by one: does the named test notice? MUTANTS="name name"; some 6 minutes
	@MUTANTS="$${MUTANTS:-all}" go test -count=1 -timeout 30m -run TestMutants -v ./shared

.PHONY: fuzz
fuzz: go ## Fuzz every decoder for FUZZTIME (default 10s) each
	@set -e; for p in $$(go list ./...); do for f in $$(go test -list '^Fuzz' $$p | grep '^Fuzz' || true); do \
		echo "$$p $$f"; go test -run '^$$' -fuzz "^$$f\$$" -fuzztime "$$FUZZTIME" $$p; done; done

.PHONY: bench
bench: go valgrind ## Benchmarks (docs/reference/performance.md says what to expect); some 6 minutes
	@$(MAKE) --no-print-directory dynamodb
	@go test -run '^$$' -bench . -benchmem -timeout 30m ./shared/... ./functions/...

.PHONY: compare
compare: go ## Beside AWS Powertools: requests, bytes, CPU, wrong outcomes of nine faults; UPDATE=1 writes the page; some 5 minutes
	@$(MAKE) --no-print-directory dynamodb node peers peersjs
	@COMPARE=1 go test -count=1 -timeout 30m -run '^TestBesidePowertools$$' -v ./shared/guard/internal/bench

.PHONY: vuln
vuln: go ## Known vulnerabilities in what is linked and in the Python tools; needs the network
	@failed=; $(GO_TOOL) govulncheck ./... || failed=1; \
		"$$(.ci/tools audit)/pip-audit" --progress-spinner off --vulnerability-service osv --disable-pip --require-hashes \
			-r .ci/python.lock -r .ci/uv.lock -r .ci/audit.lock -r .ci/linters.lock -r .ci/clients.lock -r .ci/cumulusci.lock -r .ci/peers.lock || failed=1; [ -z "$$failed" ]

.PHONY: sbom
sbom: build ## Bills of materials (CycloneDX) of what make build makes, and of the Python tools, to dist/sbom
	@mkdir -p dist/sbom .cache/bin
	@go build -modfile=.ci/tools.mod -o .cache/bin/cyclonedx-gomod github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod
	@set -e; bom() { .cache/bin/cyclonedx-gomod bin -json -std -noserial -notimestamp -version "$(VERSION)" -output dist/sbom/$$1.cdx.json $$2; }; \
		for f in $(FUNCTIONS); do GOOS="$$OS" GOARCH="$$ARCH" bom $$f dist/$$f/bootstrap; done; bom sfrelay dist/sfrelay
	@python3 .ci/sbom-python.py .ci/python.lock .ci/uv.lock .ci/linters.lock .ci/audit.lock .ci/clients.lock .ci/cumulusci.lock .ci/peers.lock >dist/sbom/python-tools.cdx.json
	@ls dist/sbom/*.json

# --- Building and deploying

.PHONY: build
build: go ## All functions to dist/<function>/bootstrap, ARCH=arm64|amd64 (default arm64), OS=linux; dist/sfrelay for this machine
	@set -e; for f in $(FUNCTIONS); do echo "dist/$$f/bootstrap ($$OS/$$ARCH)"; \
		$(FUNCTION_BUILD) -o dist/$$f/bootstrap ./functions/$$f; done
	@echo "dist/sfrelay (this machine)"; $(GO_BUILD) -ldflags="$(CLI_FLAGS)" -o dist/sfrelay ./cmd/sfrelay

# sam build calls this for each function by its logical id: CustomerBilling is functions/customer-billing.
# SAM does not tell which architecture the template asks for: ARCH does, and deploy compares the two.
# It empties ARTIFACTS_DIR every time; go links again only what has changed if it finds what it made before.
BIN = ".cache/bin/$$OS-$$ARCH"
build-%: export FUNCTION = $*
build-%:
	@set -e; f=$$(printf '%s\n' "$$FUNCTION" | sed 's/\([a-z]\)\([A-Z]\)/\1-\2/g' | tr '[:upper:]' '[:lower:]'); \
		$(FUNCTION_BUILD) -o $(BIN)/"$$f" "./functions/$$f"; cp $(BIN)/"$$f" "$$ARTIFACTS_DIR/bootstrap"

.PHONY: deploy
deploy: go python ## sam build and sam deploy to your AWS account; ENV=<environment of samconfig.toml>, ARCH=…, NEW_TABLE=yes
	@OS=linux $(SAM) build --config-env "$$ENV"
	@"$$(.ci/tools python)/python" .ci/check-deploy.py "$$ENV" .aws-sam/build
	@$(SAM) deploy --config-env "$$ENV"

.PHONY: undeploy
undeploy: python ## Delete the CloudFormation stack from your AWS account; says what stays, and how to come back
	@set -e; said=$$("$$(.ci/tools python)/python" .ci/check-undeploy.py "$$ENV"); printf '%s\n' "$$said"; \
		$(SAM) delete --config-env "$$ENV"; printf '%s\n' "$$said"
	@echo "What stays, because it cannot be recreated: the guard table (without it everything would be billed twice;"
	@echo "its deletion protection has to be switched off first), the failure queue, the delivery queue, the failure bucket, the audit log and"
	@echo "the buffers. Nothing reads the buffers any more: what is in them expires after 7 days."
	@echo "Your secrets, buses and relays were never part of the stack."

.PHONY: cli
cli: override LOCAL_STACK = 1
cli: go # dist/sfrelay, the command line, for the local stack
	@$(GO_BUILD) -ldflags="$(CLI_FLAGS)" -o dist/sfrelay ./cmd/sfrelay

# The same and the functions for this machine, by one go command: the four of sam build would compile the same packages
# side by side.
.PHONY: local
local: override LOCAL_STACK = 1
local: override OS = $(shell go env GOHOSTOS)
local: override ARCH = $(shell go env GOHOSTARCH)
local: go
	@[ -e $(BIN)/sfrelay ] || echo "building everything for the first time takes a minute"
	@mkdir -p dist $(BIN)
	@$(GO_BUILD) -ldflags='sfrelay/functions/...=$(FUNCTION_FLAGS)' -ldflags="sfrelay/cmd/sfrelay=$(CLI_FLAGS)" \
		-o $(BIN)/ ./functions/... ./cmd/sfrelay && ln -f $(BIN)/sfrelay dist/sfrelay

.PHONY: tools
tools: python linters dynamodb clients cumulusci node judges ## Install what stack and tests need into .cache/

.PHONY: clean
clean: ## End the local stacks, delete what was built and installed
	@if [ -x dist/sfrelay ]; then dist/sfrelay stack down; dist/sfrelay stack down --dir .cache/run; fi
	rm -rf dist .aws-sam .cache

.PHONY: go valgrind python linters dynamodb clients cumulusci node judges peers peersjs
go:
	@command -v go >/dev/null || { echo "missing: Go. Install it from https://go.dev/dl/ (go.mod says which version)." >&2; exit 1; }

valgrind:
	@command -v valgrind >/dev/null || { echo "missing: valgrind, which counts instructions. Install its package, on Linux (apt-get install valgrind, dnf install valgrind)." >&2; exit 1; }

python linters dynamodb clients cumulusci node judges peers peersjs:
	@.ci/tools $@ >/dev/null
