package clickhouse

import (
	"fmt"
	"strings"

	"github.com/ownkey/ownkey/meter/usage"
)

// Version is the schema that this program writes and reads.
const Version = 4

// Days that rows are kept. Sums by day and the billing book have no end.
const (
	keepDays = 400
	sumDays  = 800
)

// schema writes the statements of a schema for one server, or for a cluster.
type schema struct {
	database string
	cluster  string
}

// local is the table that holds a server's own part.
func (s schema) local(table string) string {
	if s.cluster != "" {
		table += "_local"
	}
	return s.name(table)
}

func (s schema) name(table string) string { return quote(s.database) + "." + quote(table) }

func quote(name string) string { return "`" + name + "`" }

func (s schema) on() string {
	if s.cluster == "" {
		return ""
	}
	return " ON CLUSTER " + quote(s.cluster)
}

// engine is a MergeTree engine. Every table that is inserted to, also by a
// view, remembers the tokens of insertions: without a window, an insertion that
// is sent again counts twice (measured on 26.7). Windows are in blocks for a
// single server; in a cluster there is a time as well, which is an hour by
// default and too short for an outage over a weekend.
func (s schema) engine(kind string) string {
	if s.cluster == "" {
		return kind + "()"
	}
	return "Replicated" + kind + "('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')"
}

func (s schema) window() string {
	if s.cluster == "" {
		return "non_replicated_deduplication_window = 100000"
	}
	return "replicated_deduplication_window = 100000, replicated_deduplication_window_seconds = 1209600"
}

// flushed makes an acknowledged insertion survive loss of power.
const flushed = ", fsync_after_insert = 1, fsync_part_directory = 1"

// migrations are the statements of each version, in order. Each can be repeated.
func (s schema) migrations() [][]string {
	return [][]string{s.first(), s.second(), s.addColumn("requests", "error_cause"), s.owner()}
}

// note writes down a version, unless it is there: who migrates at the same time
// may have done so, and a second row would take the place, and the time, of the
// first, by which a gateway knows the database.
func (s schema) note(version int) string {
	table := s.name("schema_versions")
	return fmt.Sprintf("INSERT INTO %s (version) SELECT %d FROM (SELECT count() AS n FROM %s WHERE version = %d) WHERE n = 0", table, version, table, version)
}

// second leaves out the names of models that no provider was asked for. Sums
// that are there stay.
func (s schema) second() []string {
	view := func(table, period, expression string) string {
		return "ALTER TABLE " + s.local(table+"_mv") + s.on() + " MODIFY QUERY " + s.viewSelect(period, expression)
	}
	return []string{view("requests_1h", "hour", "toStartOfHour(started_at)"), view("requests_1d", "day", "toDate(started_at)")}
}

// owner is the table that says which installation writes here: the newest claim
// does, of two at once the first.
func (s schema) owner() []string {
	all := []string{"CREATE TABLE IF NOT EXISTS " + s.local(ownerTable) + s.on() +
		" (id String, claim UInt64, claimed_at DateTime64(6, 'UTC') DEFAULT now64(6)) ENGINE = " + s.engine("MergeTree") + " ORDER BY claim"}
	if s.cluster != "" {
		all = append(all, s.distributed(ownerTable))
	}
	return all
}

// ownerTable is the table of owner.
const ownerTable = "installation"

// addColumn adds a column of a book to tables that were made before it.
func (s schema) addColumn(table, column string) []string {
	kind := ""
	for _, b := range books {
		for _, c := range b.columns() {
			if b.name == table && c.name == column {
				kind = c.kind
			}
		}
	}
	add := " ADD COLUMN IF NOT EXISTS " + quote(column) + " " + kind
	all := []string{"ALTER TABLE " + s.local(table) + s.on() + add}
	if s.cluster != "" {
		all = append(all, "ALTER TABLE "+s.name(table)+s.on()+add)
	}
	return all
}

func (s schema) first() []string {
	all := []string{
		"CREATE DATABASE IF NOT EXISTS " + quote(s.database) + s.on(),
		"CREATE TABLE IF NOT EXISTS " + s.local("schema_versions") + s.on() + " (version UInt32, applied_at DateTime('UTC') DEFAULT now()) ENGINE = " +
			s.engine("ReplacingMergeTree") + " ORDER BY version",
	}
	for _, b := range books {
		all = append(all, s.raw(b))
	}
	all = append(all, s.rollup("requests_1h", "hour", "DateTime('UTC')", "toYYYYMM(hour)", fmt.Sprintf(" TTL hour + INTERVAL %d DAY", sumDays)),
		s.rollup("requests_1d", "day", "Date", "toYear(day)", ""),
		"CREATE TABLE IF NOT EXISTS "+s.local("batches")+s.on()+` (
    gateway LowCardinality(String), epoch UInt64, seq UInt64, book LowCardinality(String),
    rows UInt64, rejected UInt64, first_at DateTime64(6, 'UTC'), last_at DateTime64(6, 'UTC'), sha256 FixedString(64),
    committed_at DateTime64(3, 'UTC') DEFAULT now64(3)
) ENGINE = `+s.engine("ReplacingMergeTree")+` PARTITION BY toYYYYMM(last_at) ORDER BY (gateway, epoch, seq, book)
SETTINGS `+s.window(),
		"CREATE TABLE IF NOT EXISTS "+s.local("rejects")+s.on()+` (
    rejected_at DateTime64(3, 'UTC') DEFAULT now64(3), gateway LowCardinality(String), epoch UInt64, seq UInt64, book LowCardinality(String),
    event_id UUID, code Int32, reason LowCardinality(String), row String CODEC(ZSTD(3))
) ENGINE = `+s.engine("MergeTree")+` PARTITION BY toYYYYMM(rejected_at) ORDER BY (rejected_at, event_id)
SETTINGS `+s.window())
	if s.cluster != "" {
		for _, table := range s.firstTables() {
			all = append(all, s.distributed(table))
		}
	}
	return append(all, s.view("requests_1h", "hour", "toStartOfHour(started_at)"), s.view("requests_1d", "day", "toDate(started_at)"))
}

// tables are all that are read and written.
func (s schema) tables() []string { return append(s.firstTables(), ownerTable) }

func (s schema) firstTables() []string {
	return []string{"schema_versions", "requests", "unseals", "memory_events", "requests_1h", "requests_1d", "batches", "rejects"}
}

// distributed is the table over all shards. A tenant's rows lie together.
func (s schema) distributed(table string) string {
	key := "rand()"
	switch table {
	case "requests", "unseals", "memory_events", "requests_1h", "requests_1d":
		key = "cityHash64(tenant)"
	case "batches", "rejects":
		key = "cityHash64(gateway)"
	}
	return fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s%s AS %s ENGINE = Distributed(%s, %s, %s, %s)",
		s.name(table), s.on(), s.local(table), quote(s.cluster), quote(s.database), quote(table+"_local"), key)
}

// raw is the table of a book: the truth, one row for each event id.
func (s schema) raw(b book) string {
	var lines []string
	for _, c := range b.columns() {
		lines = append(lines, strings.TrimSpace(strings.Join([]string{"    " + c.name, c.kind, c.codec}, " ")))
	}
	lines = append(lines,
		"taken_at DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta(8), ZSTD(1))",
		"INDEX by_event event_id TYPE bloom_filter(0.01) GRANULARITY 4",
		"INDEX by_taken taken_at TYPE minmax GRANULARITY 4",
		// The program checks as well; this is the last guard against a clock
		// that is years off, whose rows the TTL would eat.
		fmt.Sprintf("CONSTRAINT sane_time CHECK %s > toDateTime64('2025-01-01 00:00:00', 6, 'UTC') AND %s < now64(6) + INTERVAL 1 DAY", b.at, b.at))
	if b.name == "requests" {
		lines = append(lines, "INDEX by_request request_id TYPE bloom_filter(0.01) GRANULARITY 4")
	}
	ttl := fmt.Sprintf(" TTL toDateTime(%s) + INTERVAL %d DAY", b.at, keepDays)
	if b.name == "memory_events" {
		ttl = ""
	}
	return "CREATE TABLE IF NOT EXISTS " + s.local(b.name) + s.on() + " (\n    " + strings.Join(lines, ",\n    ") + "\n) ENGINE = " + s.engine("ReplacingMergeTree") +
		" PARTITION BY toYYYYMM(" + b.at + ") ORDER BY (tenant, " + b.at + ", event_id)" + ttl + "\nSETTINGS " + s.window() + ", ttl_only_drop_parts = 1" + flushed
}

// sums are what each column of usage.SumNames adds up, in SQL. usage.SumsOf
// says the same in Go; a test holds the two together.
var sums = map[string]string{
	"requests":            "count()",
	"refused":             "countIf(outcome = 'refused')",
	"failed":              "countIf(outcome NOT IN ('refused', 'client_cancelled') AND (outcome != 'completed' OR status >= 400))",
	"cancelled":           "countIf(outcome = 'client_cancelled')",
	"streamed":            "countIf(streamed)",
	"input_tokens":        "sum(ifNull(input_tokens, 0))",
	"output_tokens":       "sum(ifNull(output_tokens, 0))",
	"cached_tokens":       "sum(ifNull(cached_tokens, 0))",
	"cache_write_tokens":  "sum(ifNull(cache_write_tokens, 0))",
	"reasoning_tokens":    "sum(ifNull(reasoning_tokens, 0))",
	"unknown_usage":       "countIf(attempt > 0 AND usage_source != 'provider')",
	"request_bytes":       "sum(request_bytes)",
	"response_bytes":      "sum(response_bytes)",
	"memory_hits":         "countIf(memory = 'hit')",
	"memory_recalled":     "sum(memory_recalled)",
	"whole_streams":       "countIf(streamed AND outcome = 'completed' AND isNotNull(output_tokens))",
	"whole_events":        "sumIf(events, streamed AND outcome = 'completed' AND isNotNull(output_tokens))",
	"whole_output_tokens": "sumIf(ifNull(output_tokens, 0), streamed AND outcome = 'completed')",
	"cut_streams":         "countIf(streamed AND outcome = 'client_cancelled')",
	"cut_events":          "sumIf(events, streamed AND outcome = 'client_cancelled')",
}

const (
	quantiles    = "quantilesTDigest(0.5, 0.9, 0.95, 0.99)"
	quantilesIf  = "quantilesTDigestIf(0.5, 0.9, 0.95, 0.99)"
	dimensions   = "token, credential, provider, model"
	latencyState = "quantilesTDigestStateIf(0.5, 0.9, 0.95, 0.99)"
)

// rollup is a table of sums. The columns of sums begin with s_: a view's column
// may not have the name of one that it reads.
func (s schema) rollup(table, period, kind, partition, ttl string) string {
	lines := make([]string, 0, len(usage.SumNames))
	for _, name := range usage.SumNames {
		lines = append(lines, "s_"+name+" SimpleAggregateFunction(sum, UInt64)")
	}
	return "CREATE TABLE IF NOT EXISTS " + s.local(table) + s.on() + ` (
    tenant LowCardinality(String), ` + period + " " + kind + `, token LowCardinality(String), credential LowCardinality(String),
    provider LowCardinality(String), model LowCardinality(String),
    ` + strings.Join(lines, ",\n    ") + `,
    q_total_us AggregateFunction(` + quantilesIf + `, UInt64, UInt8), q_first_byte_us AggregateFunction(` + quantilesIf + `, UInt64, UInt8)
) ENGINE = ` + s.engine("AggregatingMergeTree") + " PARTITION BY " + partition + " ORDER BY (tenant, " + period + ", " + dimensions + ")" + ttl + `
SETTINGS ` + s.window() + ", ttl_only_drop_parts = 1" + flushed
}

// view fills a rollup from what is inserted.
func (s schema) view(table, period, expression string) string {
	return "CREATE MATERIALIZED VIEW IF NOT EXISTS " + s.local(table+"_mv") + s.on() + " TO " + s.local(table) + " AS " + s.viewSelect(period, expression)
}

func (s schema) viewSelect(period, expression string) string {
	return s.rollupSelect(period, expression) + " FROM " + s.local("requests") + " AS t GROUP BY tenant, " + period + ", " + dimensions
}

func (s schema) rollupSelect(period, expression string) string {
	lines := make([]string, 0, len(usage.SumNames))
	for _, name := range usage.SumNames {
		lines = append(lines, sums[name]+" AS s_"+name)
	}
	return "SELECT tenant, " + expression + " AS " + period + ", token, credential, provider, multiIf(t.attempt = 0, '', t.model_served != '', t.model_served, t.model) AS model,\n    " +
		strings.Join(lines, ",\n    ") + ",\n    " +
		latencyState + "(total_us, attempt > 0 AND total_us > 0) AS q_total_us,\n    " +
		latencyState + "(first_byte_us, attempt > 0 AND total_us > 0) AS q_first_byte_us"
}
