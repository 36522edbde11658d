package main

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/ownkey/ownkey/internal/db"
	"github.com/ownkey/ownkey/meter"
	"github.com/ownkey/ownkey/meter/ledger"
	"github.com/ownkey/ownkey/meter/spent"
	"github.com/ownkey/ownkey/meter/sqlite"
)

// backlogOf measures a start whose ledger holds requests that nobody took: until
// the ledger is open, and until what tokens have spent is known.
func backlogOf(b *bed, requests int) error {
	var alarmed error
	options := meter.JournalOptions{
		Dir: filepath.Join(b.dir, "ledger"), MaxBytes: 8 << 30, SyncInterval: time.Minute,
		Alarm: func(trouble ledger.Trouble) { alarmed = fmt.Errorf("%+v", trouble) },
	}
	j, err := meter.OpenJournal(options)
	if err != nil {
		return err
	}
	now := time.Now()
	for i := range requests {
		if err := j.Close(&meter.Record{
			EventID: meter.NewEventID(), RequestID: meter.NewEventID(), Start: now, TenantID: "acme", TokenID: fmt.Sprint("token-", i%1000), Provider: "openai",
			Endpoint: "chat_completions", ModelAsked: "m", ModelServed: "m", Attempt: 1, Outcome: meter.OutcomeCompleted, Status: 200,
			UsageSource: meter.UsageProvider, InputTokens: meter.Count{N: 7, Set: true}, OutputTokens: meter.Count{N: 3, Set: true}, Counted: meter.Count{N: 10, Set: true},
		}); err != nil {
			return err
		}
	}
	if err := j.Shut(); err != nil {
		return err
	}
	if err := b.onDisk(); err != nil {
		return err
	}
	before := heap()
	if err := b.measure("the ledger is open", 1, func() (err error) {
		j, err = meter.OpenJournal(options)
		return err
	}); err != nil {
		return err
	}
	defer j.Shut()
	return b.on("usage.db", func(database *db.DB) error {
		s, err := sqlite.Open(b.ctx, database)
		if err != nil {
			return err
		}
		book, err := spent.Open(b.ctx, database, s)
		if err != nil {
			return err
		}
		var rows []spent.Spent
		if err := b.measure("what was spent is known", rounds, func() (err error) {
			rows, err = book.Before(b.ctx, j, spent.DayOf(now))
			return err
		}); err != nil {
			return err
		}
		b.held("held", before)
		sum := int64(0)
		for _, r := range rows {
			sum += r.Tokens
		}
		if want := int64(10 * requests); sum != want || alarmed != nil {
			return fmt.Errorf("%d tokens are counted, want %d; %w", sum, want, alarmed)
		}
		return nil
	})
}
