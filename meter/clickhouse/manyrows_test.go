package clickhouse

import (
	"fmt"
	"testing"
	"time"

	"github.com/ownkey/ownkey/internal/clickhouseserver/clickhousetest"
)

// seedDays is the time that manyRows covers, up to now.
const seedDays = 30

// manyRows fills the tables with n requests, and what belongs to them, made by
// the engine: 48 tenants with three tokens each, four providers, every outcome,
// three gateways; and one of each thing that dashboards warn of: a missing
// segment, a segment with too few rows, rejects, an hour whose sums differ, an
// organization that two tenants share. The views fill the rollups.
func manyRows(t testing.TB, b *bed, n int) {
	t.Helper()
	now := time.Now().UTC().Truncate(time.Second)
	first := now.Add(-seedDays * 24 * time.Hour)
	// Rows of one segment.
	segment := max(10, n/600)
	for _, statement := range []string{
		fmt.Sprintf(requestRows, b.name, first.Unix(), seedDays*86400.0/float64(n), segment, n),
		fmt.Sprintf(memoryRows, b.name, first.Unix(), seedDays*86400.0/float64(max(n/10, 1)), max(n/10, 1)),
		fmt.Sprintf(batchRows, b.name),
		fmt.Sprintf(rejectRows, b.name, now.Unix()),
		fmt.Sprintf("INSERT INTO %s.requests_1h (tenant, hour, provider, model, s_requests) VALUES ('tenant-0', toStartOfHour(toDateTime(%d)), 'openai', 'model-openai-0', 7)",
			b.name, now.Add(-5*time.Hour).Unix()),
	} {
		clickhousetest.Run(t, b.engine, statement)
	}
	b.want(fmt.Sprintf("%d\t%d", n, n+7), "SELECT (SELECT count() FROM $requests), (SELECT sum(s_requests) FROM $requests_1h)")
}

// requestRows are spread evenly over the time; the rest is drawn from hashes of
// the number, so that every run has the same.
const requestRows = `
INSERT INTO %s.requests (event_id, request_id, started_at, tenant, token, credential, key_version, fingerprint, unseal, provider, endpoint, model, model_served,
    provider_request_id, provider_organization, sdk, sdk_retries, outcome, error_code, status, streamed, attempt, request_bytes, response_bytes, events,
    usage_source, input_tokens, output_tokens, cached_tokens, cache_write_tokens, reasoning_tokens, memory, memory_recalled, memory_tokens,
    auth_us, unseal_us, recall_us, first_byte_us, total_us, cache_hit, gateway, epoch, seq)
WITH
    cityHash64(number, 1) AS h, cityHash64(number, 2) AS luck, cityHash64(number, 3) %% 1000 / 1000 AS share,
    toUInt64(sqrt(h %% 2304)) AS who, intDiv(h, 4096) %% 3 AS program, (who + program) %% 4 AS vendor, luck %% 100 AS dice,
    multiIf(dice < 86, 'completed', dice < 90, 'refused', dice < 94, 'client_cancelled', dice < 95, 'upstream_truncated', dice < 96, 'upstream_timeout',
        dice < 98, 'upstream_error', dice < 99, 'internal_error', 'interrupted') AS end,
    end != 'refused' AS asked, end = 'completed' AND luck %% 1000 >= 30 AS good, good OR end = 'client_cancelled' AS counted,
    ['openai', 'anthropic', 'groq', 'mistral'][vendor + 1] AS maker
SELECT generateUUIDv7(), generateUUIDv7(), toDateTime64(%d, 6, 'UTC') + toIntervalMicrosecond(toUInt64(number * %f * 1000000)),
    concat('tenant-', toString(who)), concat('token-', toString(who), '-', toString(program)), if(asked, concat('c-', toString(who), '-', maker), ''), 3, 'f', '', maker,
    if(maker = 'anthropic', 'messages', if(h %% 20 = 0, 'embeddings', 'chat_completions')),
    concat('model-', maker, '-', toString(h %% 7 = 0)), if(asked, concat('model-', maker, '-', toString(h %% 7 = 0)), ''),
    if(asked, concat('req_', toString(h)), ''), multiIf(NOT asked OR maker = 'groq', '', maker = 'mistral', 'org-of-two', concat('org-', toString(who), '-', if(h %% 500 = 0, 'b', 'a'))),
    ['', 'python', 'js', 'go'][luck %% 4 + 1], luck %% 50 = 0,
    end, multiIf(end = 'refused', ['invalid_token', 'not_allowed', 'ledger_full'][h %% 3 + 1], end IN ('completed', 'client_cancelled'), '', end), multiIf(end = 'refused', [401, 403, 503][h %% 3 + 1],
        good, 200, end = 'completed', [429, 500, 400][h %% 3 + 1], end = 'upstream_timeout', 504, end = 'interrupted', 0, end = 'client_cancelled', 499, 502),
    luck %% 3 > 0 AND asked, if(asked, 1 + (luck %% 200 = 0), 0), 500 + h %% 9000, 900 + luck %% 90000, if(end = 'client_cancelled', 5, 20 + luck %% 300),
    if(NOT counted, 'none', if(good, 'provider', 'partial')), if(counted, 200 + h %% 4000, NULL), if(counted, 50 + luck %% 900, NULL), if(counted, h %% 180, NULL), if(counted AND maker = 'anthropic', h %% 20, NULL),
    if(counted AND maker = 'openai', luck %% 50, NULL),
    if(asked AND program = 0, ['hit', 'hit', 'empty', 'timeout', 'error'][h %% 5 + 1], 'off') AS recall, if(recall = 'hit', 1 + h %% 5, 0), if(recall = 'hit', 100 + h %% 500, 0),
    20 + h %% 60, if(luck %% 25 = 0, 900 + h %% 3000, 3), if(recall = 'off', 0, 1500 + h %% 9000), if(asked, toUInt64(90000 + share * share * 900000), 0),
    if(asked, toUInt64(200000 + share * share * share * 20000000), 150), luck %% 25 != 0,
    concat('gateway-', toString(intDiv(number, %[4]d) %% 3)), 7, intDiv(number, %[4]d * 3) + 1
FROM numbers(%[5]d)`

const memoryRows = `
INSERT INTO %s.memory_events (event_id, at, tenant, token, bucket, request_id, op, count, bytes, gateway, epoch, seq)
WITH cityHash64(number, 5) AS h, toUInt64(sqrt(h %% 2304)) AS who, ['stored', 'stored', 'deleted', 'retrieved', 'retrieved'][intDiv(h, 4096) %% 5 + 1] AS what
SELECT generateUUIDv7(), toDateTime64(%d, 6, 'UTC') + toIntervalMicrosecond(toUInt64(number * %f * 1000000)), concat('tenant-', toString(who)), '',
    concat('bucket-', toString(h %% 2)), generateUUIDv7(), what, 1 + h %% 3, if(what = 'retrieved', 0, (1 + h %% 3) * 300), 'gateway-0', 7, 1
FROM numbers(%d)`

// batchRows announces what is there, and of one segment two rows more, one of
// them rejected; one
// segment is forgotten.
const batchRows = `
INSERT INTO %[1]s.batches (gateway, epoch, seq, book, rows, rejected, first_at, last_at, sha256, committed_at)
SELECT gateway, epoch, seq, 'requests', count() + 2 * (gateway = 'gateway-1' AND seq = 5), gateway = 'gateway-1' AND seq = 5, min(started_at), max(started_at), repeat('0', 64), max(started_at) + INTERVAL 3 SECOND
FROM %[1]s.requests WHERE NOT (gateway = 'gateway-2' AND seq = 4) GROUP BY gateway, epoch, seq`

const rejectRows = `
INSERT INTO %s.rejects (rejected_at, gateway, epoch, seq, book, event_id, code, reason, row)
SELECT toDateTime64(%d - number * 7000, 3, 'UTC'), 'gateway-1', 7, number + 1, 'requests', generateUUIDv7(), 469, 'VIOLATED_CONSTRAINT', '{}' FROM numbers(20)`
