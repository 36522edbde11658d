package clickhouse

import (
	"slices"
	"strings"
	"testing"

	"github.com/ownkey/ownkey/internal/clickhouseserver/clickhousetest"
	"github.com/ownkey/ownkey/meter/usage"
)

// TestClusterSchemaIsValid: the engine can not make replicated tables, but its
// parser reads each statement, and every table that is inserted to has its
// window, its replicated engine and its distributed table.
func TestClusterSchemaIsValid(t *testing.T) {
	engine, _ := clickhousetest.Database(t)
	s := schema{"metering", "prod-eu"}
	var all string
	for _, statement := range slices.Concat(s.migrations()...) {
		clickhousetest.Run(t, engine, "EXPLAIN AST "+statement)
		all += statement + "\n"
		if !strings.Contains(statement, "ON CLUSTER `prod-eu`") {
			t.Errorf("runs on one server only: %s", statement)
		}
		if strings.Contains(statement, "MergeTree") && !strings.Contains(statement, "schema_versions") && !strings.Contains(statement, ownerTable) &&
			!strings.Contains(statement, "replicated_deduplication_window_seconds = 1209600") {
			t.Errorf("forgets tokens after an hour: %s", statement)
		}
	}
	for _, table := range s.tables() {
		if !strings.Contains(all, "`metering`.`"+table+"` ON CLUSTER `prod-eu` AS `metering`.`"+table+"_local` ENGINE = Distributed(") {
			t.Errorf("%s is not distributed", table)
		}
	}
	if strings.Count(all, "ENGINE = Replicated") != len(s.tables()) || strings.Contains(all, "ENGINE = MergeTree") {
		t.Errorf("%s", all)
	}
}

// TestEverySumHasItsSQL holds the names of sums and their SQL together.
func TestEverySumHasItsSQL(t *testing.T) {
	for _, name := range usage.SumNames {
		if sums[name] == "" {
			t.Errorf("%s has no SQL", name)
		}
	}
	if len(sums) != len(usage.SumNames) {
		t.Errorf("%d of %d sums are asked for", len(usage.SumNames), len(sums))
	}
}
