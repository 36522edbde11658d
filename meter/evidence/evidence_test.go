package evidence

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

var day = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// records are a store.
type records struct {
	calls   []Calls
	unseals []Unseals
	err     error
}

func (r records) Calls(context.Context, string, time.Time, time.Time) ([]Calls, error) {
	return r.calls, r.err
}

func (r records) UnsealCounts(context.Context, string, time.Time, time.Time) ([]Unseals, error) {
	return r.unseals, r.err
}

func hour(n int) time.Time { return day.Add(time.Duration(n) * time.Hour) }

func calls(provider, organization, credential string, n int64) Calls {
	return Calls{Provider: provider, Organization: organization, CredentialID: credential, Fingerprint: "f-" + credential, KeyVersion: 2, Calls: n, First: hour(1), Last: hour(20)}
}

func answer(t *testing.T, s Store) *Report {
	t.Helper()
	r, err := Answer(t.Context(), s, Question{
		Tenant: "acme", From: day, To: hour(24), Now: hour(30),
		Credentials: []Credential{{ID: "c1", Provider: "openai", Label: "default"}, {ID: "c2", Provider: "anthropic", Label: "team", Organization: "org-said"}},
		Stored:      []Column{{"event_id", "UUID"}, {"provider_organization", "LowCardinality(String)"}},
		Platform:    Look([]string{"HOME=/root"}, settings("listen", ":8080")),
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestNamesAreCountedAndStrangersFlagged(t *testing.T) {
	r := answer(t, records{
		calls: []Calls{
			calls("openai", "org-acme", "c1", 90), calls("openai", "org-platform", "c1", 3), calls("openai", "", "c1", 5),
			calls("anthropic", "org-acme", "c2", 7), // the tenant has said another name
			calls("openai", "org-old", "gone", 2),   // a credential that was deleted
		},
		unseals: []Unseals{{"c1", "vault", 40, 2, hour(1), hour(20)}, {"idle", "vault", 1, 0, hour(3), hour(3)}},
	})
	if r.Calls != 107 || r.Unnamed != 5 || r.Unexpected != 3+7 || len(r.Providers) != 2 || len(r.Credentials) != 4 {
		t.Errorf("%+v", r)
	}
	openai := r.Providers[1]
	if openai.Provider != "openai" || openai.Calls != 100 || openai.Organizations[0].Name != "org-acme" || openai.Organizations[0].Unexpected != 0 {
		t.Errorf("%+v", openai)
	}
	flagged := map[string]int64{}
	for _, p := range r.Providers {
		for _, o := range p.Organizations {
			flagged[p.Provider+" "+o.Name] = o.Unexpected
		}
	}
	for name, want := range map[string]int64{"openai org-platform": 3, "openai org-old": 0, "openai ": 0, "anthropic org-acme": 7} {
		if flagged[name] != want {
			t.Errorf("%s: %d flagged, want %d", name, flagged[name], want)
		}
	}
	rules := map[string]string{}
	for _, u := range r.Credentials {
		rules[u.ID] = u.Label + ", " + u.Expected + ", " + u.Rule
	}
	for id, want := range map[string]string{
		"c1": "default, org-acme, " + RuleMost, "c2": "team, org-said, " + RuleStored, "gone": "(deleted), org-old, " + RuleMost, "idle": "(deleted), , " + RuleUnnamed,
	} {
		if rules[id] != want {
			t.Errorf("%s: %q, want %q", id, rules[id], want)
		}
	}
}

func TestVerdicts(t *testing.T) {
	for want, c := range map[string][]Calls{
		"No call reached":                   nil,
		"All 4 calls were made":             {calls("openai", "o", "c1", 4)},
		"1 of 5 calls were made under a":    {calls("openai", "o", "c1", 4), calls("openai", "x", "c1", 1)},
		"for 2 of 6 calls the provider has": {calls("openai", "o", "c1", 4), calls("openai", "", "c1", 2)},
		"named no organization in any":      {calls("openai", "", "c1", 2)},
	} {
		if v := answer(t, records{calls: c}).Verdict(); !strings.Contains(v, want) {
			t.Errorf("%q, want %q", v, want)
		}
	}
	if _, err := Answer(t.Context(), records{err: errors.New("away")}, Question{}); err == nil {
		t.Error("a store that fails gives evidence")
	}
}

func TestFormats(t *testing.T) {
	r := answer(t, records{calls: []Calls{calls("openai", "<b>org</b>", "c1", 4)}, unseals: []Unseals{{"c1", "vault", 1, 0, hour(1), hour(1)}}})
	for format, wants := range map[string][]string{
		Text: {"All 4 calls", "<b>org</b>", "openai/default c1", "2 columns", "No credential of the platform's own: 1 settings and 1 environment"},
		HTML: {"&lt;b&gt;org", "openai/default c1", "f-c1", "<!doctype html>", "LowCardinality(String)", "None: 1 settings"},
	} {
		var b bytes.Buffer
		if err := r.Write(&b, format); err != nil {
			t.Fatal(err)
		}
		for _, want := range wants {
			if !strings.Contains(b.String(), want) {
				t.Errorf("%s does not say %q:\n%s", format, want, b.String())
			}
		}
		if strings.Contains(b.String(), "http://") || strings.Contains(b.String(), "https://") {
			t.Errorf("%s needs something from elsewhere", format)
		}
	}
	var b bytes.Buffer
	var back Report
	if err := r.Write(&b, JSON); err != nil || json.Unmarshal(b.Bytes(), &back) != nil || back.Calls != 4 || back.Credentials[0].Unseals[0].Keyring != "vault" {
		t.Errorf("%v %s", err, b.String())
	}
	if ContentType("pdf") != "" || ContentType(HTML) == "" {
		t.Error("formats")
	}
}

// settings are a configuration of paths and values in turn.
func settings(pairs ...string) Settings {
	return func(each func(path string, value []byte)) {
		for i := 0; i < len(pairs); i += 2 {
			each(pairs[i], []byte(pairs[i+1]))
		}
	}
}

func TestLook(t *testing.T) {
	s := Look([]string{
		"OPENAI_API_KEY=x", "MY_AZURE_OPENAI_KEY=y", "HARMLESS=sk-ant-REDACTEDtVwXy", "ANTHROPIC_BASE_URL=https://x", "GROQ_API_KEY=", "PATH=/bin",
	}, settings("providers.openai.base_url", "https://api.openai.com/v1", "admin.token", "sk-0123456789abcdefgh", "data", "sk-short"))
	want := "environment variable HARMLESS,environment variable MY_AZURE_OPENAI_KEY,environment variable OPENAI_API_KEY,setting admin.token"
	if got := strings.Join(s.Found, ","); got != want || s.None || s.Settings != 3 || s.Variables != 6 {
		t.Errorf("%+v", s)
	}
	if strings.Contains(strings.Join(s.Found, ""), "sk-") {
		t.Error("a value is shown")
	}
	if s := Look(nil, settings()); !s.None {
		t.Errorf("%+v", s)
	}
}
