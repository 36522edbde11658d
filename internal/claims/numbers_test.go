package claims

import (
	"os"
	"strings"
	"testing"
)

// numbers are those that the pages give and that no other test asserts: what a
// page says, and the line of the sources, or of docs/config.md, which is made of
// them, that makes it true.
var numbers = []struct{ page, says, file, line string }{
	{"README.md", "`keyring.cache_ttl` (30 s; 0 for one request each)", "docs/config.md", "| `keyring.cache_ttl` | `30s` |"},
	{"docs/memory.md", "(`memory.recall_timeout`, 20 ms)", "docs/config.md", "| `memory.recall_timeout` | `20ms` |"},
	{"docs/memory.md", "defaults `memory.top_k` (12), `memory.max_tokens` (800)", "docs/config.md", "| `memory.top_k` | `12` |"},
	{"docs/memory.md", "defaults `memory.top_k` (12), `memory.max_tokens` (800)", "docs/config.md", "| `memory.max_tokens` | `800` |"},
	{"docs/memory.md", "`memory.max_bucket_memories` (100,000)", "docs/config.md", "| `memory.max_bucket_memories` | `100000` |"},
	{"docs/memory.md", "a quarter of `memory.max_resident_bytes` (128 MiB)", "docs/config.md", "| `memory.max_resident_bytes` | `536870912` |"},
	{"docs/memory.md", "`memory.max_tenant_bytes` (1 GiB)", "docs/config.md", "| `memory.max_tenant_bytes` | `1073741824` |"},
	{"docs/memory.md", "`memory.max_tenant_buckets` (100,000)", "docs/config.md", "| `memory.max_tenant_buckets` | `100000` |"},
	{"docs/memory.md", "`memory.query_embedding_timeout` long, by default not at all", "docs/config.md", "| `memory.query_embedding_timeout` | `0s` |"},
	{"docs/memory.md", "(35 % of its score)", "memory/inject.go", "floor = .35"},
	{"docs/memory.md", "among the last eight", "memory/recall.go", "recentAnswers = 8"},
	{"docs/memory.md", "ends waits two seconds", "memory/waiting.go", "turnsCloseTime = 2 * time.Second"},
	{"docs/memory.md", "4,096 turns and 64 MiB", "memory/waiting.go", "maxTurnsWaiting = 4096"},
	{"docs/memory.md", "a repetition within a day", "memory/write.go", "keptAnswers = 24 * time.Hour"},
	{"docs/memory.md", "and takes 2 MiB of the tenant's part", "memory/api/exchange.go", "exportBytes = 2 << 20"},
	{"docs/memory.md", "at most 1,000 members, a line of `jsonl` at most 2 MiB", "memory/exchange/foreign.go", "maxMembers = 1000"},
	{"docs/memory.md", "at most 1,000 members, a line of `jsonl` at most 2 MiB", "memory/exchange/exchange.go", "maxLineBytes = 2 << 20"},
	{"docs/memory.md", "at most 8,192 numbers", "memory/vectors.go", "maxDims = 8192"},
	{"docs/memory.md", "a description of 1,000: 400; a profile of 16 KiB", "memory/read.go", "if len(description) > 1000 {"},
	{"docs/memory.md", "a description of 1,000: 400; a profile of 16 KiB", "memory/profile.go", "MaxProfileBytes = 16 << 10"},
	{"docs/memory.md", "of more than 256 KiB of texts is answered, it takes four times as much", "memory/api/room.go", "answerFactor = 4"},
	{"docs/memory.md", "of more than 256 KiB of texts is answered, it takes four times as much", "memory/api/room.go", "smallAnswer = 256 << 10"},
	{"docs/limits.md", "those of 128 base URLs at most", "gateway/own.go", "maxOwnTargets = 128"},
	{"docs/memory.md", "16 at a time in one bucket", "memory/delete.go", "maxDeletions = 16"},
	{"docs/memory.md", "64 writes wait for one bucket", "memory/bucket.go", "maxWaiting = 64"},
	{"docs/memory.md", "an `Idempotency-Key` of 255 bytes", "memory/write.go", "maxKeyBytes = 255"},
	{"docs/memory.md", "a tenant has two at a time", "memory/api/exchange.go", "maxTenantExports = 2"},
	{"docs/memory.md", "for longer than a second", "internal/db/erase.go", "eraseWait = time.Second"},
	{"docs/memory.md", "at most 512 memories or 1 MiB", "memory/delete.go", "sliceMemories = 512"},
	{"docs/memory.md", "at most 512 memories or 1 MiB", "memory/delete.go", "sliceBytes = 1 << 20"},
	{"docs/memory.md", "95 % (`loose`)", "memory/duplicate.go", "if d == DedupLoose { return .95 }"},
	{"docs/memory.md", "99 % (`strict`)", "memory/duplicate.go", "return .99"},
	{"docs/memory.md", "50 versions, together at most 256 KiB", "memory/change.go", "maxVersions = 50"},
	{"docs/memory.md", "50 versions, together at most 256 KiB", "memory/change.go", "maxHistoryBytes = 256 << 10"},
	{"docs/memory.md", "and 512 for each memory", "memory/room.go", "rowBytes = 512"},
	{"docs/memory.md", "after five tries", "memory/jobs.go", "maxAttempts = 5"},
	{"docs/memory.md", "at most ten minutes, then they are looked at again", "memory/jobs.go", "maxWait = 10 * time.Minute"},
	{"docs/memory.md", "makes up to 64 vectors; facts take one call for each turn", "memory/jobs.go", "{embedding: 64, extraction: 1}"},
	{"docs/inference-path.md", "for the last eight of a bucket", "memory/recall.go", "recentAnswers = 8"},
	{"docs/inference-path.md", "| 6 KiB;", "gateway/front/front.go", "smallHeadBytes = 6 << 10"},
	{"docs/inference-path.md", "passed on 32 KiB at a time", "gateway/body.go", "uploadBufferBytes = 32 << 10"},
	{"docs/inference-path.md", "| an answer that is short | until it was sent | 64 KiB |", "gateway/relay.go", "heldAnswerBytes = 64 << 10"},
	{"docs/inference-path.md", "4 KiB (64 KiB for a large head)", "upstream/conn.go", "readBufferBytes = 4 << 10"},
	{"docs/inference-path.md", "4 KiB (64 KiB for a large head)", "upstream/conn.go", "maxHeadBytes = 64 << 10"},
	{"docs/limits.md", "for 30 days, and 10,000 pieces of it", "meter/deferred/deferred.go", "keptTime = 30 * 24 * time.Hour"},
	{"docs/limits.md", "for 30 days, and 10,000 pieces of it", "meter/deferred/deferred.go", "mostOfTenant = 10_000"},
	{"docs/limits.md", "Every five seconds the gateway looks", "gateway/admission/runaway.go", "lookInterval = 5 * time.Second"},
	{"docs/limits.md", "heads above 6 KiB", "gateway/front/front.go", "smallHeadBytes = 6 << 10"},
	{"docs/admin.md", "the newest 1,024 of a tenant", "gateway/responses.go", "responsesPerTenant = 1024"},
	{"docs/admin.md", "at most `limit`, and 1,000 without one", "gateway/admin/page.go", "maxPage = 1000"},
	{"docs/admin.md", "five a second, and ten at once", "gateway/admin/server.go", "rate.NewLimiter(failuresPerSecond, 2*failuresPerSecond)"},
	{"docs/metering.md", "1,000 unless it is given and 10,000 at most", "gateway/admin/pages.go", "pageRows = 1000"},
	{"docs/metering.md", "1,000 unless it is given and 10,000 at most", "gateway/admin/pages.go", "mostPageRows = 10_000"},
	{"docs/metering.md", "Three questions are answered at once, and two of a tenant", "gateway/admin/pages.go", "questionsAtOnce = 3"},
	{"docs/metering.md", "Three questions are answered at once, and two of a tenant", "gateway/admin/pages.go", "questionsOfTenant = 2"},
	{"docs/metering.md", "a tenant has 200 names of models in an hour", "meter/sqlite/models.go", "maxModels = 200"},
	{"docs/metering.md", "| 400 days; sums by hour 800 days (SQLite: for good)", "meter/sqlite/store.go", "keep = 400 * 24 * time.Hour"},
	{"docs/metering.md", "| 400 days; sums by hour 800 days (SQLite: for good)", "meter/clickhouse/schema.go", "keepDays = 400"},
	{"docs/metering.md", "| 400 days; sums by hour 800 days (SQLite: for good)", "meter/clickhouse/schema.go", "sumDays = 800"},
	{"docs/metering.md", "`meter.fsync_interval` after the first (5 ms;", "docs/config.md", "| `meter.fsync_interval` | `5ms` |"},
	{"docs/metering.md", "half for the ledger and half for segments", "cmd/ownkey/books.go", "MaxBytes: m.MaxBytes / 2, SyncInterval"},
	{"docs/metering.md", "half for the ledger and half for segments", "cmd/ownkey/books.go", "MaxBytes: m.MaxBytes / 2, Quarantine"},
	{"docs/metering.md", "between 0 and 2^36", "meter/bounds.go", "MaxNumber = 1 << 36"},
	{"docs/metering.md", "`ledger/quarantine/rows.jsonl`, 64 MiB at most", "meter/quarantine/quarantine.go", "MaxBytes = 64 << 20"},
	{"docs/metering.md", "the listener waits at most a second", "cmd/ownkey/admission.go", "restoreWait = time.Second"},
	{"docs/metering.md", "for more than a minute", "cmd/ownkey/books.go", "lateAfter = time.Minute"},
	{"docs/metering.md", "segments of up to 20,000", "meter/drain/drain.go", "o.BatchRows = 20_000"},
	{"docs/metering.md", "tried every 15 s", "meter/clickhouse/send.go", "configurationPause = 15 * time.Second"},
	{"docs/security-audit.md", "only ten seconds after the last row", "gateway/rotation/walker.go", "DefaultSettle = 10 * time.Second"},
	{"docs/security-audit.md", "(`keyring.vault.timeout` is 5 s at most;", "config/keyring.go", "v.Timeout > 5*time.Second"},
	{"docs/security-audit.md", "ends after 55 s at most", "upstream/pool.go", "idleLifetime = 50 * time.Second"},
	{"docs/security-audit.md", "ends after 55 s at most", "upstream/pool.go", "time.NewTicker(idleLifetime / 10)"},
	{"docs/security-audit.md", "one to Vault after five minutes", "vaultbridge/client.go", "IdleConnTimeout: 5 * time.Minute"},
	{"docs/security-audit.md", "More than 64 KiB is", "internal/secretfile/secretfile.go", "MaxBytes = 64 << 10"},
	{"docs/security-audit.md", "comes 14 days before", "vaultbridge/doctor.go", "leastLife = 14 * 24 * time.Hour"},
}

// TestNumbersAreThoseOfTheSources: a number that a page gives is the one in the
// code. That the code keeps to it is for the test that the page names.
func TestNumbersAreThoseOfTheSources(t *testing.T) {
	files := map[string]string{}
	text := func(name string) string {
		if files[name] == "" {
			b, err := os.ReadFile(root + name)
			if err != nil {
				t.Fatal(err)
			}
			files[name] = strings.Join(strings.Fields(string(b)), " ")
		}
		return files[name]
	}
	for _, n := range numbers {
		if !strings.Contains(text(n.page), n.says) {
			t.Errorf("%s no longer says %q", n.page, n.says)
		}
		if !strings.Contains(text(n.file), n.line) {
			t.Errorf("%s says %q, but %s has no %q", n.page, n.says, n.file, n.line)
		}
	}
}
