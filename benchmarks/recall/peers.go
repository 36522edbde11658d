package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/ownkey/ownkey/memory/terms"
)

// document is what an engine stores: one memory, such as a turn of a conversation.
type document struct {
	ID      string
	Text    string
	Role    string // user or assistant; empty when not known
	Session string
	Speaker string
	Date    time.Time // zero when not known
}

// engine finds documents. It has one caller at a time.
type engine interface {
	Name() string
	// Load fills a bucket that has nothing yet.
	Load(ctx context.Context, bucket string, docs []document) error
	// Search gives the ids of at most k documents of the bucket, best first.
	Search(ctx context.Context, bucket, query string, k int) ([]string, error)
	// Close ends the engine; what it stored is gone.
	Close() error
}

// peer starts an engine that is measured beside ours.
type peer struct {
	name  string
	start func(ctx context.Context) (engine, error)
}

// peers are those that this machine can have. PostgreSQL is one if its
// programs are installed.
var peers = []peer{
	{"SQLite FTS5", func(context.Context) (engine, error) { return newFTS5() }},
	{"PostgreSQL full text", func(ctx context.Context) (engine, error) { return startPostgres(ctx) }},
}

// errNotInstalled says that a peer's program is not on this machine.
var errNotInstalled = errors.New("not installed")

// indexed is the text of a document as every peer indexes it: with what ours
// indexes, too.
func (d *document) indexed() string {
	text := d.Text
	if d.Speaker != "" {
		text = d.Speaker + ": " + text
	}
	if !d.Date.IsZero() {
		text = d.Date.UTC().Format("2 January 2006") + " " + text
	}
	return text
}

// queryWords are the words that a peer is asked for: each once, in lower case,
// without the stop words that ours leaves out. A question of stop words alone
// is asked as it is.
func queryWords(query string) []string {
	query = strings.NewReplacer("'s", " ", "’s", " ").Replace(strings.ToLower(query))
	var all, telling []string
	seen := map[string]bool{}
	for word := range strings.FieldsFuncSeq(query, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		if seen[word] {
			continue
		}
		seen[word] = true
		all = append(all, word)
		if !terms.Stop(word) {
			telling = append(telling, word)
		}
	}
	if len(telling) == 0 {
		return all
	}
	return telling
}

// anyOf is a full-text query for documents that have at least one of the words,
// each between a pair of quotes.
func anyOf(words []string, quote, or string) string {
	var b strings.Builder
	for i, w := range words {
		if i > 0 {
			b.WriteString(or)
		}
		b.WriteString(quote + w + quote)
	}
	return b.String()
}

// documents are a conversation's turns.
func (c *conversation) documents() []document {
	docs := make([]document, len(c.turns))
	for i, t := range c.turns {
		docs[i] = document{ID: t.id, Text: t.text, Session: t.session, Speaker: t.speaker, Date: t.day}
	}
	return docs
}

// throughEngine asks an engine all questions, each in the bucket of its
// conversation.
func throughEngine(ctx context.Context, e engine, all []conversation) ([]measured, error) {
	var out []measured
	for i := range all {
		c := &all[i]
		if err := e.Load(ctx, c.name, c.documents()); err != nil {
			return nil, err
		}
		for j := range c.questions {
			q := &c.questions[j]
			ids, err := e.Search(ctx, c.name, q.text, 10)
			if err != nil {
				return nil, fmt.Errorf("%s: %q: %w", e.Name(), q.text, err)
			}
			out = append(out, measure(q, ids))
		}
	}
	return out, nil
}

// peerQuality prints a row for each peer.
func peerQuality(ctx context.Context, all []conversation) error {
	for _, p := range peers {
		e, err := p.start(ctx)
		if errors.Is(err, errNotInstalled) {
			fmt.Printf("| %s: not installed | | | | | | | | |\n", p.name)
			continue
		}
		if err != nil {
			return err
		}
		measured, err := throughEngine(ctx, e, all)
		if err = errors.Join(err, e.Close()); err != nil {
			return err
		}
		printRow(e.Name(), measured)
	}
	return nil
}
