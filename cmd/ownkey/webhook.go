package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/ownkey/ownkey/config"
	"github.com/ownkey/ownkey/internal/crash"
	"github.com/rs/zerolog"
)

// alarm is what a webhook gets: ids and counts.
type alarm struct {
	Event           string    `json:"event"`
	At              time.Time `json:"at"`
	Tenant          string    `json:"tenant"`
	Token           string    `json:"token"`
	TokensPerMinute int64     `json:"tokens_per_minute"`
	Usual           int64     `json:"usual_tokens_per_minute"`
	Stopped         bool      `json:"stopped"`
}

// webhook posts alarms to the operator's address. Nobody waits for it; close
// does, for those under way.
type webhook struct {
	now    func() *config.Runaway
	log    *zerolog.Logger
	client *http.Client
	posts  sync.WaitGroup
}

const (
	webhookTries = 3
	webhookTime  = 5 * time.Second
)

func newWebhook(now func() *config.Runaway, log *zerolog.Logger) *webhook {
	return &webhook{now: now, log: log, client: &http.Client{
		Timeout:       webhookTime,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// send posts an alarm, thrice at most.
func (w *webhook) send(a *alarm) {
	to := w.now()
	if to.Webhook == "" {
		return
	}
	body, err := json.Marshal(a)
	if err != nil {
		panic("BUG: an alarm does not encode: " + err.Error())
	}
	w.posts.Go(func() {
		defer crash.Exit()
		for try := range webhookTries {
			time.Sleep(time.Duration(try) * time.Second)
			if err = w.post(to, body); err == nil {
				return
			}
		}
		w.log.Error().Err(err).Str("tenant", a.Tenant).Str("token", a.Token).Msg("the webhook was not told of an alarm")
	})
}

var errNotTaken = errors.New("the webhook's address did not answer with 2xx")

func (w *webhook) post(to *config.Runaway, body []byte) error {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, to.Webhook, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	if !to.WebhookSecret.Empty() {
		to.WebhookSecret.Use(func(key []byte) {
			mac := hmac.New(sha256.New, key)
			mac.Write(body)
			r.Header.Set("Ownkey-Signature", "sha256="+hex.EncodeToString(mac.Sum(nil)))
		})
	}
	answer, err := w.client.Do(r)
	if err != nil {
		return errors.New("cannot reach the webhook's address") // the cause would quote the address, which may hold a key
	}
	if err := answer.Body.Close(); err != nil || answer.StatusCode/100 != 2 {
		return errNotTaken
	}
	return nil
}

func (w *webhook) close() { w.posts.Wait() }
