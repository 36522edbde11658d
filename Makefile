# Two commands matter: `make run` and `make test`. Tools that tests need are
# built or installed into .tools, once.

.PHONY: run test check lint fmt docs fuzz bench vault clickhouse clean

GO ?= go
LINT := .tools/golangci-lint
VAULT := .tools/vault
CLICKHOUSE := .tools/chdb
FUZZTIME ?= 10s

run: ## Start everything embedded; prints a curl line to paste.
	$(GO) run ./cmd/ownkey dev

test: check $(VAULT) $(CLICKHOUSE) ## Everything: lint, all tests with the race detector, official SDKs.
	$(GO) test -race -shuffle=on -timeout 30m ./...
	$(GO) test ./wire ./directory ./gateway ./meter -run 'Alloc' -count=1

check: $(LINT) ## What is fast: format, vet, lint, import rules, generated docs.
	$(LINT) run ./...
	$(GO) vet ./...

lint: $(LINT)
	$(LINT) run ./...

fmt: $(LINT)
	$(LINT) fmt ./...

docs: ## Regenerate docs/config.md and deploy/vault.
	$(GO) generate ./config
	$(GO) test ./vaultbridge -run TestDeployedPoliciesAreCurrent -update

fuzz: ## Every fuzz target for FUZZTIME.
	@for p in $$($(GO) list ./...); do \
	  for f in $$($(GO) test $$p -list '^Fuzz' | grep '^Fuzz' || true); do \
	    $(GO) test $$p -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) || exit 1; \
	  done; \
	done

bench: ## The gateway beside nginx; prints tables.
	$(GO) run ./benchmarks

$(LINT): internal/tools/lint/go.mod
	cd internal/tools/lint && $(GO) build -o ../../../$(LINT) github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	@touch $(LINT)

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
	rm -rf .tools ownkey-data
