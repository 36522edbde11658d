package admin_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ownkey/ownkey/gateway/admin"
	"github.com/ownkey/ownkey/meter"
	"github.com/ownkey/ownkey/meter/drain"
	"github.com/ownkey/ownkey/meter/usage"
)

func TestUsageOverTheAdminPlane(t *testing.T) {
	p := newPlane(t)
	p.want("POST", "/tenants", `{"id":"acme","name":"Acme"}`, 201)
	token := p.want("POST", "/tenants/acme/tokens", `{"label":"ci"}`, 201)["id"].(string)
	now := time.Now()
	b := &drain.Batch{}
	for range 5 {
		b.Requests = append(b.Requests, &meter.Record{
			EventID: meter.NewEventID(), Start: now, TenantID: "acme", TokenID: token, Provider: "openai", ModelAsked: "gpt-4o", Attempt: 1, Status: 200,
			Outcome: meter.OutcomeCompleted, UsageSource: meter.UsageProvider, InputTokens: meter.Count{N: 7, Set: true}, TotalTime: time.Second, FirstByteTime: time.Second,
		})
	}
	if err := p.books.Take(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	rows := func(query string) []usage.Row {
		t.Helper()
		text, err := json.Marshal(p.want("GET", "/usage?"+query, "", 200))
		if err != nil {
			t.Fatal(err)
		}
		var answer struct{ Rows []usage.Row }
		if err := json.Unmarshal(text, &answer); err != nil {
			t.Fatal(err)
		}
		return answer.Rows
	}
	got := rows("tenant=acme&by=token")
	if len(got) != 1 || got[0].Key != token || got[0].Label != "ci" || got[0].Requests != 5 || got[0].InputTokens != 35 || got[0].Total.P50 < 970 || got[0].Total.P50 > 1030 {
		t.Errorf("%+v", got)
	}
	for _, query := range []string{"", "by=hour", "by=model&token=" + token, "tenant=acme&from=" + now.UTC().Format(time.DateOnly)} {
		if got := rows(query); len(got) != 1 || got[0].Requests != 5 {
			t.Errorf("%s: %+v", query, got)
		}
	}
	said := p.want("GET", "/usage", "", 200)
	from, err := time.Parse(time.RFC3339, fmt.Sprint(said["from"]))
	if age := now.Sub(from); err != nil || said["by"] != "day" || age < 30*24*time.Hour || age > 31*24*time.Hour {
		t.Errorf("where nothing is said: by %v from %v, %v", said["by"], said["from"], err)
	}
	if got := rows("to=2026-01-01"); len(got) != 0 {
		t.Errorf("%+v", got)
	}
	for query, param := range map[string]string{"by=year": "by", "from=yesterday": "from", "to=x": "to", "from=2026-02-01&to=2026-01-01": "from"} {
		if f := p.want("GET", "/usage?"+query, "", 400)["error"].(map[string]any); f["param"] != param {
			t.Errorf("%s: %v", query, f)
		}
	}
	p.want("GET", "/usage?tenant=nobody", "", 404)
	for query, param := range map[string]string{"limit=0": "limit", "limit=100000": "limit", "limit=x": "limit", "cursor=x": "cursor"} {
		if f := p.want("GET", "/usage?"+query, "", 400)["error"].(map[string]any); f["param"] != param {
			t.Errorf("%s: %v", query, f)
		}
	}
	_, _, lines := p.call("GET", "/records?tenant=acme", "")
	for line := range strings.SplitSeq(strings.TrimSpace(lines), "\n") {
		var r map[string]any
		if err := json.Unmarshal([]byte(line), &r); err != nil || r["tenant"] != "acme" || r["message"] != meter.MessageRequest {
			t.Errorf("%v %s", err, line)
		}
	}
}

// TestRecordsOfTheLastHour are what a call gets that says nothing: those of all
// books, and none that is older.
func TestRecordsOfTheLastHour(t *testing.T) {
	p := newPlane(t)
	p.want("POST", "/tenants", `{"id":"acme"}`, 201)
	b := &drain.Batch{}
	ids := map[int]string{}
	for _, minutes := range []int{65, 55} {
		at := time.Now().Add(-time.Duration(minutes) * time.Minute)
		request := &meter.Record{EventID: meter.NewEventID(), RequestID: meter.NewEventID(), Start: at, TenantID: "acme", Status: 200, Outcome: meter.OutcomeCompleted}
		event := &meter.MemoryEvent{EventID: meter.NewEventID(), At: at, TenantID: "acme", Op: meter.MemoryStored, Count: 1}
		unseal := &meter.Unseal{EventID: meter.NewEventID(), ID: "u", At: at, TenantID: "acme"}
		b.Requests, b.Memory, b.Unseals = append(b.Requests, request), append(b.Memory, event), append(b.Unseals, unseal)
		ids[minutes] = fmt.Sprint(request.EventID, " ", event.EventID, " ", unseal.EventID)
	}
	if err := p.books.Take(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	_, _, lines := p.call("GET", "/records", "")
	for minutes, want := range map[int]bool{65: false, 55: true} {
		for id := range strings.FieldsSeq(ids[minutes]) {
			if strings.Contains(lines, id) != want {
				t.Errorf("of %d minutes ago, %s: %v, want %v\n%s", minutes, id, !want, want, lines)
			}
		}
	}
}

// TestUsageSaysWhatIsStored: of one tenant, and of nobody where all are asked
// for.
func TestUsageSaysWhatIsStored(t *testing.T) {
	p := newPlaneWith(t, func(o *admin.Options) {
		o.Usage.Stored = func(_ context.Context, tenant string) (admin.Stored, error) {
			if tenant != "acme" {
				t.Errorf("asked for %q", tenant)
			}
			return admin.Stored{Buckets: 2, Memories: 3, Bytes: 4}, nil
		}
	})
	p.want("POST", "/tenants", `{"id":"acme"}`, 201)
	stored, _ := p.want("GET", "/usage?tenant=acme", "", 200)["stored"].(map[string]any)
	if stored["buckets"] != 2.0 || stored["memories"] != 3.0 || stored["bytes"] != 4.0 {
		t.Errorf("%v", stored)
	}
	if all := p.want("GET", "/usage", "", 200); all["stored"] != nil {
		t.Errorf("%v", all)
	}
}
