package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ownkey/ownkey/config"
	"github.com/ownkey/ownkey/internal/clickhouseserver/clickhousetest"
	"github.com/ownkey/ownkey/meter/clickhouse"
)

// migrated gives a new database with the schema, and its part of a
// configuration.
func migrated(t *testing.T) (part string, ask func(query string) string) {
	t.Helper()
	engine, name := clickhousetest.Database(t)
	server, err := clickHouseServer(&config.ClickHouse{URL: engine.String(), Database: name, User: "default", Timeout: config.Default().Meter.ClickHouse.Timeout})
	if err == nil {
		err = clickhouse.Migrate(t.Context(), server, func(int) {})
	}
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("{url: '%s', database: %s, user: default}", engine, name), func(query string) string {
		return clickhousetest.Run(t, engine, strings.ReplaceAll(query, "$", name+"."))
	}
}

// TestClickHouseBelongsToOneInstallation: an empty volume beside a full
// ClickHouse, an old volume beside a fresh one, and two installations on one do
// not start, until an operator says so.
func TestClickHouseBelongsToOneInstallation(t *testing.T) {
	t.Parallel()
	part, ask := migrated(t)
	s := newStand(t, "meter: {clickhouse: "+part+"}\n")
	s.chatsOnce()
	s.eventually("records arrive", func() bool { return ask("SELECT count() > 0 FROM $batches") == "1" })
	id := ask("SELECT id FROM $installation")
	if out := s.want("", "doctor"); !strings.Contains(out, "ok    ClickHouse answers") || !strings.Contains(out, "installation "+id) {
		t.Errorf("%s", out)
	}
	archive := filepath.Join(s.dir, "backup.tar.gz")
	if out, status := s.verb("", "backup", "--config", s.config, archive); status != 0 || !strings.Contains(out, "of installation "+id) {
		t.Errorf("%d %s", status, out)
	}
	s.stop()

	config, err := os.ReadFile(s.config)
	if err != nil {
		t.Fatal(err)
	}
	// beside is the configuration with another volume and perhaps another
	// database.
	beside := func(name, database string) (file, data string) {
		data = filepath.Join(s.dir, name)
		text := bytes.ReplaceAll(config, []byte(filepath.Join(s.dir, "data")), []byte(data))
		file = data + ".yaml"
		if err := os.WriteFile(file, bytes.ReplaceAll(text, []byte(part), []byte(database)), 0o600); err != nil {
			t.Fatal(err)
		}
		return file, data
	}
	refused := func(what, file, why string) {
		t.Helper()
		for range 2 { // a refusal changes nothing
			if said := s.outcome(file); !strings.Contains(said, why) || !strings.Contains(said, "ownkey adopt --data DIR clickhouse") {
				t.Errorf("%s: %q", what, said)
			}
		}
	}
	starts := func(what, file string) {
		t.Helper()
		if said := s.outcome(file); said != "" {
			t.Errorf("%s: %s", what, said)
		}
	}
	adopt := func(data string) {
		t.Helper()
		if out, status := s.verb("", "adopt", "--data", data, "clickhouse"); status != 0 {
			t.Errorf("adopt: %d %s", status, out)
		}
	}
	starts("nothing has happened", s.config)
	empty, emptyData := beside("empty", part)
	refused("an empty volume beside a full ClickHouse", empty, "clickhouse: it belongs to installation "+id)
	adopt(emptyData)
	starts("adopted by the empty volume", empty)
	refused("two installations on one ClickHouse", s.config, "clickhouse: it belongs to installation ")
	adopt(filepath.Join(s.dir, "data"))
	starts("adopted again", s.config)
	refused("the other one", empty, "clickhouse: it belongs to installation "+id)

	// As a program before the table was there has left it.
	ask("TRUNCATE TABLE $installation")
	late, _ := beside("late", part)
	refused("an empty volume beside records of nobody", late, "clickhouse: it has records of another gateway")
	starts("the volume that has written them", s.config)
	if got := ask("SELECT id FROM $installation"); got != id {
		t.Errorf("claimed by %q, want %s", got, id)
	}

	fresh, askFresh := migrated(t)
	if err := os.Rename(filepath.Join(s.dir, "data"), filepath.Join(s.dir, "old")); err != nil {
		t.Fatal(err)
	}
	old, oldData := beside("old", fresh)
	refused("an old volume beside a fresh ClickHouse", old, "clickhouse: it is another one than since ")
	if got := askFresh("SELECT count() FROM $installation"); got != "0" {
		t.Errorf("a refused start has claimed it: %s", got)
	}
	adopt(oldData)
	starts("the fresh one is adopted", old)
	if got := askFresh("SELECT id FROM $installation"); got != id {
		t.Errorf("claimed by %q, want %s", got, id)
	}

	if err := os.RemoveAll(oldData); err != nil {
		t.Fatal(err)
	}
	if out, status := s.verb("", "restore", "--config", s.config, archive); status != 0 || !strings.Contains(out, "of installation "+id) {
		t.Errorf("restore: %d %s", status, out)
	}
	starts("restored", s.config)
}
