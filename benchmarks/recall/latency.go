package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"time"
)

// sizes of what is searched: how many buckets, and how many documents in each.
var sizes = []struct{ buckets, perBucket int }{{1, 100}, {1, 1000}, {1, 5000}, {1, 20000}, {1000, 100}}

// latencies prints how long a search takes in each engine.
func latencies(ctx context.Context, _ *settings, all []conversation) error {
	var texts, queries []string
	for i := range all {
		for _, t := range all[i].turns {
			texts = append(texts, t.speaker+": "+t.text)
		}
		for _, q := range all[i].questions {
			queries = append(queries, q.text)
		}
	}
	fmt.Printf("%d questions one after the other, k = 10, p50 / p99 in ms; buckets × documents in each\n\n|", len(queries))
	for _, size := range sizes {
		fmt.Printf(" | %d × %d", size.buckets, size.perBucket)
	}
	fmt.Println(" |")
	fmt.Println("| --- | ---: | ---: | ---: | ---: | ---: |")
	own := peer{"Ownkey: a whole recall, with its block", func(ctx context.Context) (engine, error) { return newOurs(ctx) }}
	for _, p := range append([]peer{own}, peers...) {
		if err := latencyRow(ctx, p, texts, queries); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	if err := residence(ctx, texts, queries); err != nil {
		return err
	}
	return throughGateway(ctx, texts, queries)
}

func latencyRow(ctx context.Context, p peer, texts, queries []string) error {
	fmt.Printf("| %s", p.name)
	for _, size := range sizes {
		e, err := p.start(ctx)
		if errors.Is(err, errNotInstalled) {
			fmt.Print(" | not installed")
			continue
		}
		if err != nil {
			return err
		}
		p50, p99, err := latency(ctx, e, size.buckets, size.perBucket, texts, queries)
		if err = errors.Join(err, e.Close()); err != nil {
			return err
		}
		fmt.Printf(" | %.2f / %.2f", milliseconds(p50), milliseconds(p99))
	}
	fmt.Println(" |")
	return nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// latency fills an engine that has nothing yet with buckets of perBucket
// documents, and says how long a search for the first ten takes, as one caller
// sees it. The texts go around; buckets start at different ones. Every bucket
// was searched once before the measurement, and each query is asked once in it,
// of the buckets in turn. An engine that finds nothing is an error.
func latency(ctx context.Context, e engine, buckets, perBucket int, texts, queries []string) (p50, p99 time.Duration, err error) {
	if len(texts) == 0 || len(queries) == 0 {
		return 0, 0, errors.New("nothing to store or to ask")
	}
	for b := range buckets {
		if err := e.Load(ctx, bucketName(b), someDocuments(texts, b*perBucket, perBucket)); err != nil {
			return 0, 0, fmt.Errorf("cannot load: %w", err)
		}
	}
	for b := range buckets {
		if _, err := e.Search(ctx, bucketName(b), queries[b%len(queries)], 10); err != nil {
			return 0, 0, err
		}
	}
	runtime.GC() // what loading left is not the searches'
	took := make([]time.Duration, 0, len(queries))
	found := 0
	for i, q := range queries {
		bucket := bucketName(i % buckets)
		start := time.Now()
		ids, err := e.Search(ctx, bucket, q, 10)
		took = append(took, time.Since(start))
		if err != nil {
			return 0, 0, err
		}
		found += len(ids)
	}
	if found == 0 {
		return 0, 0, errors.New("no query found anything")
	}
	slices.Sort(took)
	return took[len(took)/2], took[len(took)*99/100], nil
}

func bucketName(b int) string { return "bucket-" + strconv.Itoa(b) }

// someDocuments gives n documents from the given text on, twenty a session and
// a session a day.
func someDocuments(texts []string, from, n int) []document {
	first := time.Date(2024, 1, 1, 12, 0, 0, 0, time.UTC)
	docs := make([]document, n)
	for i := range docs {
		session := i / 20
		docs[i] = document{
			ID: strconv.Itoa(i), Text: texts[(from+i)%len(texts)],
			Session: "session-" + strconv.Itoa(session), Date: first.AddDate(0, 0, session),
		}
	}
	return docs
}
