package fakeprovider

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"
)

func TestJournalSaysWhatArrived(t *testing.T) {
	s := start(t, Options{Journal: true})
	body := ` {"model" : "m", "x":12345678901234567890}`
	text(t, post(t, s, "/chat/completions?a=%2F", body))
	text(t, do(t, s, http.MethodPost, "/audio/speech", "text/plain", strings.NewReader("ab")))
	eventually(t, "both calls ended", func() bool {
		all := s.Requests()
		return len(all) == 2 && all[0].Done && all[1].Done
	})
	r := s.Requests()[0]
	sum := sha256.Sum256([]byte(body))
	if r.Method != http.MethodPost || r.Path != "/v1/chat/completions" || r.RawQuery != "a=%2F" || r.Header.Get("Authorization") != "Bearer key" {
		t.Errorf("got %+v", r)
	}
	if string(r.Body) != body || r.BodyBytes != int64(len(body)) || r.BodySHA256 != hex.EncodeToString(sum[:]) || r.Model != "m" {
		t.Errorf("got body %q, %d bytes, %s, model %s", r.Body, r.BodyBytes, r.BodySHA256, r.Model)
	}
	if !r.LeftAt.IsZero() {
		t.Error("the caller stayed, but the journal says that it left")
	}
	if again := s.Requests()[1]; again.ConnID != r.ConnID || r.ConnID == 0 {
		t.Errorf("a kept connection has the numbers %d and %d", r.ConnID, again.ConnID)
	}
	s.Forget()
	if len(s.Requests()) != 0 {
		t.Error("the journal is not empty after Forget")
	}
}

func TestNoJournalUnlessAsked(t *testing.T) {
	s := start(t, Options{})
	text(t, post(t, s, "/chat/completions", `{"model":"m"}`))
	if n := len(s.Requests()); n != 0 {
		t.Errorf("%d requests are kept", n)
	}
}

func TestOpenCountsConnections(t *testing.T) {
	s := start(t, Options{})
	client := &http.Client{Transport: &http.Transport{}}
	res, err := client.Get(s.URL() + "/models")
	if err != nil {
		t.Fatal(err)
	}
	text(t, res)
	_ = res.Body.Close()
	eventually(t, "one connection", func() bool { return s.Open() == 1 })
	client.CloseIdleConnections()
	eventually(t, "no connection", func() bool { return s.Open() == 0 })
}
