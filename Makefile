# Two commands matter: `make run` and `make test`. Tools that tests need are
# built or installed into .tools, once.

.PHONY: run build sbom test agents hostile proxies check lint vulncheck licences fmt docs fuzz mutants bench bench-quick bench-peers vault clickhouse clean

GO ?= go
LINT := .tools/golangci-lint
VAULT := .tools/vault
CLICKHOUSE := .tools/chdb
SBOM := .tools/cyclonedx-gomod
VULNCHECK := .tools/vulncheck
LICENCES := .tools/licences
GREMLINS := .tools/gremlins
MUTATE := .tools/mutants
# What make mutants changes; MUTATE sets OWNKEY_MUTANTS, by which tests skip themselves, and nothing else may.
unexport OWNKEY_MUTANTS
MUTANTS ?= ./wire ./directory ./vaultbridge ./gateway/admission ./meter/ledger ./meter/invoice ./meter/spent
FUZZTIME ?= 10s
# For go test, as TESTFLAGS=-v.
TESTFLAGS ?=
# What the binary says it was built from.
COMMIT ?= $(shell c=$$(git rev-parse HEAD 2>/dev/null) && { test -z "$$(git status --porcelain)" || c=$$c+changes; echo $$c; })
# A copy of the vulnerability database (https:// or file://) to ask in place of vuln.go.dev.
VULNDB ?=

run: ## Start everything embedded; prints a curl line to paste.
	$(GO) run ./cmd/ownkey dev

build: ## ./ownkey, static; the same bytes from the same commit, Go and platform.
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags '-s -w -X main.commit=$(COMMIT)' -o ownkey ./cmd/ownkey

sbom: build $(SBOM) ## ownkey.cdx.json: what is in ./ownkey, as CycloneDX.
	$(SBOM) bin -json -std -noserial -notimestamp -version '$(COMMIT)' -output ownkey.cdx.json ./ownkey

test: check sbom proxies $(VAULT) $(CLICKHOUSE) ## Everything: lint, all tests with the race detector, official SDKs.
	$(GO) test $(TESTFLAGS) -race -shuffle=on -timeout 50m $$($(GO) list ./... | grep -v '/internal/hostile$$')
	$(GO) test $(TESTFLAGS) -race -timeout 20m ./internal/hostile
	$(GO) test $(TESTFLAGS) ./wire ./directory ./gateway ./meter -run 'Alloc' -count=1
	$(GO) run ./benchmarks --quick --out .tools/bench

agents: ## Published coding agents and langchain4j against the built binary; fetches a gigabyte, needs Java 17 with Maven.
	$(GO) test $(TESTFLAGS) -tags agents -timeout 60m ./conformance -run TestAgents -count=1 -v

hostile: $(CLICKHOUSE) ## A minute of one tenant that does everything it can, beside a second one, on both stores.
	OWNKEY_HOSTILE_TIME=1m $(GO) test $(TESTFLAGS) -timeout 20m ./internal/hostile -count=1 -v

proxies: ## nginx, HAProxy and Apache httpd, which tests put before the gateway, and Prometheus, which scrapes it.
	@command -v nginx >/dev/null && command -v haproxy >/dev/null && command -v apache2 >/dev/null && command -v prometheus >/dev/null && command -v promtool >/dev/null || \
	  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nginx-light haproxy apache2-bin prometheus; } || \
	  { echo 'install nginx, haproxy, apache2 and prometheus (on Debian, as root: apt-get install nginx-light haproxy apache2-bin prometheus)' >&2; exit 1; }

check: $(LINT) licences vulncheck ## What is fast: format, vet, lint, licences, known vulnerabilities.
	$(LINT) run ./...
	$(GO) vet ./...

lint: $(LINT)
	$(LINT) run ./...

vulncheck: $(VULNCHECK) ## govulncheck; says so if the database can not be asked. VULNDB=URL has to answer.
	cd internal/tools/vulncheck && $(GO) test ./...
	$(VULNCHECK) $(if $(VULNDB),-db '$(VULNDB)') ./...

licences: $(LICENCES) ## Every linked module is under a permissive licence.
	cd internal/tools/licences && $(GO) test ./...
	$(LICENCES)

fmt: $(LINT)
	$(LINT) fmt ./...

docs: ## Regenerate docs/config.md, docs/headers.md, docs/metrics.md, docs/inference-path.md, docs/claims.md and deploy/vault.
	$(GO) test ./deploy -run TestMetricsPage -update
	$(GO) generate ./config
	$(GO) test ./vaultbridge -run TestDeployedPoliciesAreCurrent -update
	$(GO) test ./internal/rooms -run TestInferencePathIsCurrent -update
	$(GO) test ./internal/claims -update

fuzz: ## Every fuzz target for FUZZTIME.
	@for p in $$($(GO) list ./...); do \
	  for f in $$($(GO) test $$p -list '^Fuzz' | grep '^Fuzz' || true); do \
	    $(GO) test $$p -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) || exit 1; \
	  done; \
	done

mutants: $(GREMLINS) $(MUTATE) ## Which small changes of the code no test notices; fails below 90 % (hours). MUTANTS=./wire chooses.
	cd internal/tools/mutants && $(GO) test ./...
	$(MUTATE) -gremlins $(GREMLINS) $(MUTANTS)

bench: proxies $(VAULT) $(CLICKHOUSE) ## The gateway beside proxies and the peers that are installed; half an hour. BENCH='--contenders nginx,ownkey' chooses.
	$(GO) run ./benchmarks $(BENCH)

bench-quick: proxies $(VAULT) $(CLICKHOUSE) ## The same as a smoke test: every scenario, short; results go to .tools/bench.
	$(GO) run ./benchmarks --quick --out .tools/bench $(BENCH)

bench-peers: ## Install other gateways that are published as packages, below ~/.cache/ownkey-benchmarks; needs npm and Python.
	$(GO) run ./benchmarks peers

$(LINT): internal/tools/lint/go.mod
	cd internal/tools/lint && $(GO) build -o ../../../$(LINT) github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	@touch $(LINT)

$(SBOM): internal/tools/sbom/go.mod
	cd internal/tools/sbom && $(GO) build -o ../../../$(SBOM) github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod
	@touch $(SBOM)

$(VULNCHECK): internal/tools/vulncheck/go.mod internal/tools/vulncheck/main.go
	cd internal/tools/vulncheck && $(GO) build -o ../../../$(VULNCHECK) .
	@touch $(VULNCHECK)

$(LICENCES): internal/tools/licences/go.mod internal/tools/licences/main.go
	cd internal/tools/licences && $(GO) build -o ../../../$(LICENCES) .
	@touch $(LICENCES)

$(GREMLINS): internal/tools/mutants/go.mod
	cd internal/tools/mutants && $(GO) build -o ../../../$(GREMLINS) github.com/go-gremlins/gremlins/cmd/gremlins
	@touch $(GREMLINS)

$(MUTATE): internal/tools/mutants/go.mod $(wildcard internal/tools/mutants/*.go)
	cd internal/tools/mutants && $(GO) build -o ../../../$(MUTATE) .
	@touch $(MUTATE)

vault: $(VAULT) ## A real Vault server for tests and dev (6 minutes on 2 cores, once).

$(VAULT): internal/tools/vaultserver/go.mod
	cd internal/tools/vaultserver && $(GO) build -trimpath -ldflags '-s -w' -o ../../../$(VAULT) github.com/hashicorp/vault
	@touch $(VAULT)

clickhouse: $(CLICKHOUSE) ## The real ClickHouse engine for tests and dev (570 MB, once; linux on amd64).

# npm checks the library against the hash in the lock file.
$(CLICKHOUSE): $(wildcard internal/tools/chdb/*.go) internal/tools/chdb/go.mod internal/tools/chdb/npm/package-lock.json
	mkdir -p .tools/clickhouse && cp internal/tools/chdb/npm/package.json internal/tools/chdb/npm/package-lock.json .tools/clickhouse/
	cd .tools/clickhouse && npm ci --ignore-scripts --no-audit --no-fund
	cd internal/tools/chdb && CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o ../../../$(CLICKHOUSE) .
	@touch $(CLICKHOUSE)

clean:
	rm -rf .tools ownkey-data ownkey ownkey.cdx.json
