package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/openai/openai-go/v3"
)

// check is one thing that must hold; an error says what did not.
type check struct {
	name string
	run  func(context.Context) error
}

// report runs the checks, prints "ok NAME" or "not ok NAME REASON", and exits.
func report(checks []check) {
	failed := 0
	for _, c := range checks {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		if err := c.run(ctx); err != nil {
			failed++
			fmt.Println("not ok", c.name, strings.Join(strings.Fields(err.Error()), " "))
		} else {
			fmt.Println("ok", c.name)
		}
		cancel()
	}
	if failed > 0 {
		os.Exit(1)
	}
}

// equal compares values by what they print.
func equal(what string, got, want any) error {
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		return fmt.Errorf("%s: got %.300s, want %.300s", what, g, w)
	}
	return nil
}

// apiError is the error that the SDK makes of a status.
func apiError(err error, status int, code string) error {
	var e *openai.Error
	if err == nil {
		return errors.New("ended cleanly")
	}
	if !errors.As(err, &e) {
		return fmt.Errorf("want an error of the API: %w", err)
	}
	return errors.Join(equal("status", e.StatusCode, status), equal("code", e.Code, code))
}

// arrival is a request at the provider.
type arrival struct {
	SHA256   string `json:"sha256"`
	LeftAtMS int64  `json:"left_at_ms"`
}

var tags int

// tagged makes a model name for one call, and the mark by which the journal
// finds it.
func tagged(behaviour string) (model, tag string) {
	tags++
	tag = fmt.Sprintf("go-%d-%d", os.Getpid(), tags)
	return "fake:" + behaviour + ",tag=" + tag + ".", tag + "."
}

func arrivals(tag string) ([]arrival, error) {
	res, err := http.Get(os.Getenv("JOURNAL_URL") + "?tag=" + url.QueryEscape(tag))
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	var all []arrival
	return all, json.NewDecoder(res.Body).Decode(&all)
}

// arrived checks how often a call was tried.
func arrived(tag string, want int) error {
	all, err := arrivals(tag)
	return errors.Join(err, equal("arrivals", len(all), want))
}

// arrivalOf waits for the one request with the tag.
func arrivalOf(tag string) (arrival, error) {
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if all, err := arrivals(tag); err != nil || len(all) > 0 {
			return append(all, arrival{})[0], err
		}
	}
	return arrival{}, errors.New("nothing arrived at the provider")
}

// providerFreed checks that the provider saw the caller leave at most 250 ms
// after it did.
func providerFreed(tag string, left time.Time) error {
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		a, err := arrivalOf(tag)
		if err != nil {
			return err
		}
		if a.LeftAtMS == 0 {
			continue
		}
		if late := a.LeftAtMS - left.UnixMilli(); late > 250 {
			return fmt.Errorf("the provider was freed after %d ms", late)
		}
		return nil
	}
	return errors.New("the provider never saw the caller leave")
}
