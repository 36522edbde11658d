package vaultbridge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// liar is a Vault that does what a healthy one does not: stall, cut, answer
// something else. Everything a healthy one does is tested with a real one.
type liar struct {
	*httptest.Server
	keyring *Transit
	metrics *prometheus.Registry
	token   string // file
	calls   atomic.Int64
	ids     sync.Map     // header of each call → true
	written sync.Map     // ids of the journal
	early   atomic.Int64 // ids that Vault saw before the journal
	answer  func(w http.ResponseWriter, r *http.Request, items []item)
	events  chan Event
	probes  atomic.Int64
	sealed  atomic.Bool
	ahead   time.Duration // of its clock
}

type item struct {
	Ciphertext string `json:"ciphertext"`
	Context    string `json:"context"`
	Reference  string `json:"reference"`
}

// newLiar starts one with a keyring whose unseals have a deadline.
func newLiar(t *testing.T, deadline time.Duration, answer func(w http.ResponseWriter, r *http.Request, items []item)) *liar {
	t.Helper()
	l := &liar{answer: answer, events: make(chan Event, 100), metrics: prometheus.NewRegistry()}
	l.Server = httptest.NewServer(http.HandlerFunc(l.serve))
	t.Cleanup(l.Close)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("hvs.token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l.token = token
	k, err := NewTransit(context.Background(), TransitOptions{
		Name: "liar", Address: l.URL, Mount: "transit", Timeout: deadline, Data: Login{Method: MethodTokenFile, TokenFile: token},
		Journal: func(u Unsealing) { l.written.Store(u.ID, true) }, Notify: func(e Event) { l.events <- e }, Metrics: l.metrics,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		k.Close()
		if n := l.early.Load(); n > 0 {
			t.Errorf("Vault was asked with %d ids that were not written down before", n)
		}
	})
	l.keyring = k
	return l
}

func (l *liar) serve(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "sys/health") {
		l.probes.Add(1)
		fmt.Fprintf(w, `{"initialized":true,"sealed":%v,"server_time_utc":%d}`, l.sealed.Load(), time.Now().Add(l.ahead).Unix())
		return
	}
	if !strings.Contains(r.URL.Path, "/decrypt/") {
		fmt.Fprint(w, `{"data":{"ttl":0,"renewable":false}}`) // lookup-self
		return
	}
	l.calls.Add(1)
	l.ids.Store(r.Header.Get(UnsealHeader), true)
	for id := range strings.SplitSeq(r.Header.Get(UnsealHeader), ",") {
		if _, ok := l.written.Load(strings.TrimSpace(id)); !ok && strings.TrimSpace(id) != "hedge" {
			l.early.Add(1)
		}
	}
	var in struct {
		Batch []item `json:"batch_input"`
	}
	b, _ := io.ReadAll(r.Body)
	if err := json.Unmarshal(b, &in); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	l.answer(w, r, in.Batch)
}

// honest answers each item with its own credential id.
func honest(w http.ResponseWriter, _ *http.Request, items []item) {
	results := make([]string, 0, len(items))
	for _, i := range items {
		results = append(results, result(i.Reference))
	}
	fmt.Fprintf(w, `{"request_id":"x","data":{"batch_results":[%s]}}`, strings.Join(results, ","))
}

func result(reference string) string {
	return fmt.Sprintf(`{"plaintext":"c2stdGVzdA==","reference":%q}`, reference) // sk-test
}

const someBlob = "vault:v3:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

func (l *liar) unseal() error {
	c, err := l.keyring.Unseal(context.Background(), Bound{Context: testContext, Blob: someBlob})
	if err == nil {
		c.Use(func(b []byte) {
			if string(b) != "sk-test" {
				err = fmt.Errorf("opened as %q", b)
			}
		})
	}
	return err
}

func TestAnswersThatAreNoneAreUnavailable(t *testing.T) {
	for what, answer := range map[string]func(w http.ResponseWriter, r *http.Request, items []item){
		"another one's": func(w http.ResponseWriter, _ *http.Request, _ []item) {
			fmt.Fprintf(w, `{"data":{"batch_results":[%s]}}`, result("other"))
		},
		"no reference": func(w http.ResponseWriter, _ *http.Request, _ []item) {
			fmt.Fprint(w, `{"data":{"batch_results":[{"plaintext":"c2stdGVzdA=="}]}}`)
		},
		"too few": func(w http.ResponseWriter, _ *http.Request, _ []item) { fmt.Fprint(w, `{"data":{"batch_results":[]}}`) },
		"too many": func(w http.ResponseWriter, _ *http.Request, i []item) {
			fmt.Fprintf(w, `{"data":{"batch_results":[%[1]s,%[1]s]}}`, result(i[0].Reference))
		},
		"not JSON": func(w http.ResponseWriter, _ *http.Request, _ []item) { fmt.Fprint(w, `<html>`) },
		"half": func(w http.ResponseWriter, _ *http.Request, _ []item) {
			fmt.Fprint(w, `{"data":{"batch_results":[{"plaintext":"c2st`)
		},
		"empty": func(http.ResponseWriter, *http.Request, []item) {},
		"no base64": func(w http.ResponseWriter, _ *http.Request, i []item) {
			fmt.Fprintf(w, `{"data":{"batch_results":[{"plaintext":"!","reference":%q}]}}`, i[0].Reference)
		},
		"not a string": func(w http.ResponseWriter, _ *http.Request, i []item) {
			fmt.Fprintf(w, `{"data":{"batch_results":[{"plaintext":7,"reference":%q}]}}`, i[0].Reference)
		},
		"huge": func(w http.ResponseWriter, _ *http.Request, _ []item) {
			_, _ = io.WriteString(w, strings.Repeat(" ", 1<<20))
		},
		"cut": func(w http.ResponseWriter, _ *http.Request, _ []item) {
			w.Header().Set("Content-Length", "500")
			fmt.Fprint(w, `{"data"`)
		},
		"no content": func(w http.ResponseWriter, _ *http.Request, _ []item) { w.WriteHeader(http.StatusNoContent) },
		"redirected": func(w http.ResponseWriter, _ *http.Request, _ []item) {
			w.Header().Set("Location", "/v1/elsewhere")
			w.WriteHeader(http.StatusTemporaryRedirect)
		},
		"standby":        func(w http.ResponseWriter, _ *http.Request, _ []item) { w.WriteHeader(473) },
		"internal error": func(w http.ResponseWriter, _ *http.Request, _ []item) { w.WriteHeader(http.StatusInternalServerError) },
		"no such mount": func(w http.ResponseWriter, _ *http.Request, _ []item) {
			http.Error(w, `{"errors":[]}`, http.StatusNotFound)
		},
	} {
		l := newLiar(t, 5*time.Second, answer)
		if err := l.unseal(); !errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestRefusedItemsAreUnsealable(t *testing.T) {
	for what, answer := range map[string]func(w http.ResponseWriter, r *http.Request, items []item){
		"one item": func(w http.ResponseWriter, _ *http.Request, i []item) {
			fmt.Fprintf(w, `{"data":{"batch_results":[{"error":"cipher: message authentication failed","reference":%q}]}}`, i[0].Reference)
		},
		"all items": func(w http.ResponseWriter, _ *http.Request, _ []item) { w.WriteHeader(http.StatusBadRequest) },
	} {
		l := newLiar(t, 5*time.Second, answer)
		if err := l.unseal(); !errors.Is(err, ErrUnsealable) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestSlowCallIsHedgedOnce: one connection hangs, another one answers.
func TestSlowCallIsHedgedOnce(t *testing.T) {
	var n atomic.Int64
	l := newLiar(t, 2*time.Second, func(w http.ResponseWriter, r *http.Request, items []item) {
		if n.Add(1) == 1 {
			<-r.Context().Done() // until it is canceled
			return
		}
		honest(w, r, items)
	})
	began := time.Now()
	if err := l.unseal(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 1900*time.Millisecond {
		t.Errorf("the hedge took %v", took)
	}
	marked := 0
	l.ids.Range(func(id, _ any) bool {
		if strings.HasSuffix(id.(string), ","+HedgeMark) {
			marked++
		}
		return true
	})
	if l.calls.Load() != 2 || marked != 1 {
		t.Errorf("%d calls, %d of them marked as a hedge", l.calls.Load(), marked)
	}
}

// TestHedgeOutlivesTheFirstCall: a first call that fails after all is not the
// answer while the second one is under way.
func TestHedgeOutlivesTheFirstCall(t *testing.T) {
	for _, good := range []bool{true, false} {
		var n atomic.Int64
		hedged, failed := make(chan struct{}), make(chan struct{})
		l := newLiar(t, 5*time.Second, func(w http.ResponseWriter, r *http.Request, items []item) {
			if n.Add(1) == 1 {
				<-hedged
				http.Error(w, "{}", http.StatusMethodNotAllowed)
				close(failed)
				return
			}
			close(hedged)
			<-failed
			time.Sleep(50 * time.Millisecond) // so that the failure is there first
			if good {
				honest(w, r, items)
				return
			}
			http.Error(w, "{}", http.StatusMethodNotAllowed)
		})
		if err := l.unseal(); good != (err == nil) || !good && !errors.Is(err, ErrUnavailable) {
			t.Errorf("the second call is good: %v; got %v", good, err)
		}
		if l.calls.Load() != 2 {
			t.Errorf("%d calls", l.calls.Load())
		}
	}
}

// TestBreakerOpensAndCloses: a Vault that hangs costs a few requests their
// deadline, the others nothing; two events tell of it.
func TestBreakerOpensAndCloses(t *testing.T) {
	var hang atomic.Bool
	hang.Store(true)
	l := newLiar(t, 200*time.Millisecond, func(w http.ResponseWriter, r *http.Request, items []item) {
		if hang.Load() {
			<-r.Context().Done()
			return
		}
		honest(w, r, items)
	})
	for range failuresToOpen {
		if err := l.unseal(); !errors.Is(err, ErrUnavailable) {
			t.Fatal(err)
		}
	}
	calls := l.calls.Load()
	began := time.Now()
	for range 100 {
		if err := l.unseal(); !errors.Is(err, ErrUnavailable) {
			t.Fatal(err)
		}
	}
	if took := time.Since(began); took > 5*time.Second || l.calls.Load() > calls+took.Milliseconds()/400 { // one more each half second
		t.Errorf("100 unseals with an open breaker took %v and %d calls", took, l.calls.Load()-calls)
	}
	hang.Store(false)
	eventually(t, "service by itself", func() bool { return l.unseal() == nil })
	if len(l.events) < 2 {
		t.Fatalf("%d events, want 2", len(l.events))
	}
	away, back := <-l.events, <-l.events
	if away.Good || away.Reason != ReasonTimeout || !back.Good || back.After < openFor/2 || len(l.events) != 0 {
		t.Errorf("events %+v %+v, %d more", away, back, len(l.events))
	}
}

// TestHangingTenantDoesNotHoldUpItsNextMiss: the misses behind a call that
// hangs wait a fifth of the deadline, not all of it.
func TestHangingTenantDoesNotHoldUpItsNextMiss(t *testing.T) {
	var n atomic.Int64
	l := newLiar(t, 2*time.Second, func(w http.ResponseWriter, r *http.Request, items []item) {
		if n.Add(1) == 1 || len(items) > 0 && strings.HasSuffix(r.Header.Get(UnsealHeader), HedgeMark) {
			<-r.Context().Done()
			return
		}
		honest(w, r, items)
	})
	first := make(chan error, 1)
	go func() { first <- l.unseal() }()
	eventually(t, "the call that hangs", func() bool { return l.calls.Load() == 1 })
	began := time.Now()
	if err := l.unseal(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 1500*time.Millisecond {
		t.Errorf("the next miss took %v", took)
	}
	if err := <-first; !errors.Is(err, ErrUnavailable) {
		t.Errorf("the call that hangs: %v", err)
	}
}

// FuzzAnswer feeds anything as Vault's answer: no panic, no plaintext for one
// whose reference is not there.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"data":{"batch_results":[{"plaintext":"c2stdGVzdA==","reference":"a"},{"error":"x","reference":"b"}]}}`))
	f.Add([]byte(`{"data":{"batch_results":[{"plaintext":"\u0063","reference":"a"},null]}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		batch := []*pending{{id: "a", bound: Bound{Blob: someBlob}}, {id: "b", bound: Bound{Blob: someBlob}}}
		whole := string(raw)
		err := deliver(batch, raw)
		for _, p := range batch {
			if p.credential != nil && (err != nil || !strings.Contains(whole, p.id)) {
				t.Errorf("a credential for %s of %q, %v", p.id, whole, err)
			}
			if err == nil && p.credential == nil && !errors.Is(p.err, ErrUnsealable) {
				t.Errorf("neither credential nor error for %s of %q", p.id, whole)
			}
		}
	})
}
