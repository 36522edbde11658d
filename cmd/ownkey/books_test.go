package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ownkey/ownkey/meter/ledger"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// usageOf asks the data plane what a token's tenant has used.
func (p *process) usageOf(token, query string) (status int, body string) {
	p.t.Helper()
	request, err := http.NewRequest("GET", p.ready.BaseURL+"/usage?"+query, http.NoBody)
	if err != nil {
		p.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	b, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(b)
}

// TestBooksOfAGateway asks all the questions of a gateway that has just answered
// calls, over SQLite and over ClickHouse: a runaway loop shows the same minute,
// a tenant sees itself only.
func TestBooksOfAGateway(t *testing.T) {
	for name, more := range map[string][]string{"SQLite": nil, "ClickHouse": {"--clickhouse", "chdb"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, append([]string{"dev", "--data", t.TempDir()}, more...)...)
			p.want("", "tenant", "create", "other")
			p.want("sk-other", "credential", "put", "--tenant", "other", "--provider", "fake")
			p.want("", "tenant", "update", "other", "--default-provider", "fake")
			other := strings.TrimSpace(p.want("", "token", "create", "--tenant", "other", "--label", "agent"))
			narrow := strings.TrimSpace(p.want("", "token", "create", "--tenant", "other", "--scope", "inference"))
			for range 30 {
				if status, body := p.chat(p.ready.Token, "fake", "Hello"); status != 200 {
					t.Fatalf("%d %s", status, body)
				}
			}
			p.chat(other, "fake", "Hello")
			began := time.Now()
			for body := ""; !strings.Contains(body, `"key":"fake","requests":30,`); _, body = p.usageOf(p.ready.Token, "by=model") {
				if time.Since(began) > 5*time.Second {
					t.Fatalf("after 5 s: %s", body)
				}
				time.Sleep(50 * time.Millisecond)
			}
			if status, body := p.usageOf(other, "by=model&tenant=dev"); status != 200 || !strings.Contains(body, `"tenant":"other"`) || !strings.Contains(body, `"key":"fake","requests":1,`) {
				t.Errorf("%d %s", status, body)
			}
			if status, body := p.usageOf(narrow, ""); status != 403 {
				t.Errorf("%d %s", status, body)
			}
			if status, body := p.usageOf(other, "by=year"); status != 400 || !strings.Contains(body, `"param":"by"`) {
				t.Errorf("%d %s", status, body)
			}
			if out := p.want("", "usage", "--tenant", "dev", "--by", "model"); !strings.Contains(out, "\nfake ") {
				t.Errorf("%s", out)
			}
			if out := p.want("", "usage", "--tenant", "other", "--by", "token"); !strings.Contains(out, "agent (") {
				t.Errorf("%s", out)
			}
			p.evidenceAndReconcile()
			if out := p.want("", "invoice", "--tenant", "dev", "--month", time.Now().UTC().Format("2006-01")); !strings.Contains(out, "Inference is billed by the provider") {
				t.Errorf("%s", out)
			}
			p.stop()
		})
	}
}

func (p *process) evidenceAndReconcile() {
	p.t.Helper()
	var report struct {
		Calls     int64
		Providers []struct {
			Provider      string
			Organizations []struct {
				Organization string
				Calls        int64
			}
		}
		Platform struct {
			None bool `json:"none_found"`
		} `json:"platform_credentials"`
		Stored []any `json:"stored_columns"`
	}
	out := p.want("", "evidence", "--tenant", "dev", "--json")
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		p.t.Fatalf("%v %s", err, out)
	}
	if report.Calls != 30 || len(report.Providers) != 1 || report.Providers[0].Organizations[0].Calls != 30 || !strings.HasPrefix(report.Providers[0].Organizations[0].Organization, "org-") ||
		!report.Platform.None || len(report.Stored) < 40 {
		p.t.Errorf("%s", out)
	}
	if out := p.want("", "evidence", "--tenant", "dev", "--format", "html"); !strings.Contains(out, "All 30 calls were made under the expected name.") {
		p.t.Errorf("%s", out)
	}
	if out, status := p.verb("", "evidence", "--tenant", "nobody"); status != 1 || !strings.Contains(out, "no such tenant") {
		p.t.Errorf("%d %s", status, out)
	}
	// Yesterday nobody has called: the provider has counted what we have not.
	day := time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -1)
	export := filepath.Join(p.t.TempDir(), "export.json")
	bucket := func(results string) {
		text, err := json.Marshal(map[string]any{"data": []any{map[string]any{"start_time": day.Unix(), "end_time": day.Unix() + 86400, "results": json.RawMessage(results)}}})
		if err == nil {
			err = os.WriteFile(export, text, 0o600)
		}
		if err != nil {
			p.t.Fatal(err)
		}
	}
	verify := []string{"reconcile", "--provider", "openai", "--as", "fake", "--export", export}
	bucket(`[]`)
	if out := p.want("", verify...); !strings.Contains(out, "match") {
		p.t.Errorf("%s", out)
	}
	bucket(`[{"input_tokens":5,"output_tokens":1,"num_model_requests":1,"model":"gpt-4o","api_key_id":null}]`)
	if out, status := p.verb("", verify...); status != 1 || !strings.Contains(out, "0/1") || !strings.Contains(out, "are different") {
		p.t.Errorf("%d %s", status, out)
	}
	bucket(`[{"input":5}]`)
	if out, status := p.verb("", verify...); status != 1 || !strings.Contains(out, "data[0].results[0]") {
		p.t.Errorf("%d %s", status, out)
	}
}

// TestFullDiskIsToldNowAndThen: a disk without room is tried many times in a
// second, and its log may be on it.
func TestFullDiskIsToldNowAndThen(t *testing.T) {
	var out bytes.Buffer
	log := zerolog.New(&out)
	b := &books{app: &app{log: &log}, trouble: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "trouble_total", Help: "Trouble."}, []string{"what"})}
	for range 100 {
		b.alarm(ledger.Trouble{What: "disk", Err: syscall.ENOSPC})
	}
	b.alarm(ledger.Trouble{What: "torn"})
	b.alarm(ledger.Trouble{What: "torn"})
	if n := strings.Count(out.String(), syscall.ENOSPC.Error()); n != 1 || strings.Count(out.String(), `"torn"`) != 2 {
		t.Errorf("%d lines of the disk: %s", n, &out)
	}
	b.told.Store(time.Now().Add(-11 * time.Second).UnixNano())
	b.alarm(ledger.Trouble{What: "disk", Err: syscall.ENOSPC})
	if n := strings.Count(out.String(), syscall.ENOSPC.Error()); n != 2 {
		t.Errorf("%d lines after 11 s", n)
	}
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(b.trouble)
	all, err := metrics.Gather()
	if err != nil || !strings.Contains(all[0].String(), "101") {
		t.Errorf("not all were counted: %v %v", all, err)
	}
}
