package fakeprovider

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"time"
)

func chatBody(model string, stream bool) string {
	return fmt.Sprintf(`{"model":%q,"stream":%t}`, model, stream)
}

// rawChat gives what came of a chat, and the error that ended it early.
func rawChat(t *testing.T, s *Server, body string) (*http.Response, string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL()+"/chat/completions", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer key")
	res, err := (&http.Transport{DisableCompression: true}).RoundTrip(req)
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res, string(b), err
}

func TestBrokenAnswers(t *testing.T) {
	s := start(t, Options{})
	f := func(model string, stream, answered bool, chunks int, tail string) {
		t.Helper()
		res, got, err := rawChat(t, s, chatBody(model, stream))
		if err == nil {
			t.Errorf("%s: ended cleanly", model)
		}
		if (res != nil) != answered {
			t.Errorf("%s: answered %t, want %t: %v", model, res != nil, answered, err)
		}
		if n := strings.Count(got, `"content":"chunk `); n != chunks {
			t.Errorf("%s: %d chunks, want %d", model, n, chunks)
		}
		if !strings.HasSuffix(got, tail) {
			t.Errorf("%s: ends %q, want %q", model, got[max(0, len(got)-20):], tail)
		}
	}
	f("fake:refuse", false, false, 0, "")
	f("fake:garbage", false, false, 0, "")
	f("fake:lie-length", false, true, 0, `{"id":`)
	f("fake:chunks=9,cut-after=3", true, true, 3, "}\n\n")
	f("fake:chunks=9,cut-after=0", true, true, 0, "}\n\n")
	res, got, err := rawChat(t, s, chatBody("fake:chunks=9,cut-after=3,cut-mid", true))
	if res == nil || err == nil || strings.HasSuffix(got, "\n\n") {
		t.Errorf("cut-mid: %v, ends %q", err, got[max(0, len(got)-20):])
	}
}

func TestSilence(t *testing.T) {
	s := start(t, Options{Journal: true})
	f := func(model string, stream bool, chunks int) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
		defer cancel()
		req, _ := http.NewRequestWithContext(ctx, http.MethodPost, s.URL()+"/chat/completions", strings.NewReader(chatBody(model, stream)))
		req.Header.Set("Content-Type", "application/json")
		var got []byte
		res, err := http.DefaultClient.Do(req)
		if err == nil {
			got, err = io.ReadAll(res.Body)
			_ = res.Body.Close()
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v, want silence until the deadline", model, err)
		}
		if n := strings.Count(string(got), `"content":"chunk `); n != chunks {
			t.Errorf("%s: %d chunks, want %d", model, n, chunks)
		}
	}
	f("fake:stall", false, 0)
	f("fake:stall", true, 0)
	f("fake:delay=1m", false, 0)
	f("fake:chunks=9,stall-after=2", true, 2)
	f("fake:chunks=9,gap=1m", true, 1)
	eventually(t, "each of them saw the caller leave", func() bool {
		for _, r := range s.Requests() {
			if r.LeftAt.IsZero() || !r.Done {
				return false
			}
		}
		return len(s.Requests()) == 5
	})
}

func TestOddAnswers(t *testing.T) {
	s := start(t, Options{})
	f := func(model string, stream bool, check func(*http.Response, string) bool) {
		t.Helper()
		res, got, err := rawChat(t, s, chatBody(model, stream))
		if err != nil || !check(res, got) {
			t.Errorf("%s: %v, %v %.300s", model, err, res, got)
		}
	}
	whole := func(res *http.Response, _ string) bool { return res.StatusCode == http.StatusOK }
	f("fake:status=429,retry-after=2", false, func(res *http.Response, got string) bool {
		return res.StatusCode == http.StatusTooManyRequests && res.Header.Get("Retry-After") == "2" && strings.Contains(got, `"param":null`)
	})
	f("fake:header-echo", false, func(res *http.Response, _ string) bool {
		return res.Header.Get("X-Leak") == "key" && res.Header.Get("Openai-Debug") == "key=key"
	})
	f("fake:gzip", false, func(res *http.Response, got string) bool {
		z, err := gzip.NewReader(strings.NewReader(got))
		if err != nil || res.Header.Get("Content-Encoding") != "gzip" {
			return false
		}
		b, err := io.ReadAll(z)
		return err == nil && strings.Contains(string(b), "chat.completion")
	})
	f("fake:big=100000", false, func(_ *http.Response, got string) bool { return strings.Count(got, "x") >= 100000 })
	f("fake:echo-sha", false, func(_ *http.Response, got string) bool {
		sum := sha256.Sum256([]byte(chatBody("fake:echo-sha", false)))
		return strings.Contains(got, hex.EncodeToString(sum[:]))
	})
	f("fake:whoami,chunks=5", true, func(_ *http.Response, got string) bool {
		sum := sha256.Sum256([]byte("key"))
		return strings.Count(got, hex.EncodeToString(sum[:4])) == 5
	})
	f("fake:no-done", true, func(_ *http.Response, got string) bool { return !strings.Contains(got, "[DONE]") })
	f("fake:error-event", true, func(_ *http.Response, got string) bool {
		return strings.Contains(got, `data: {"error":`) && !strings.Contains(got, "[DONE]")
	})
	f("fake:chunks=2,trickle", true, func(_ *http.Response, got string) bool {
		return strings.Count(got, `"content":"chunk `) == 2 && strings.HasSuffix(got, "data: [DONE]\n\n")
	})
	f("fake:a-mark-of-a-test=7", false, whole)
	f("plain", true, func(_ *http.Response, got string) bool { return strings.Contains(got, "fake") })
}

func TestInterimAnswerComesFirst(t *testing.T) {
	s := start(t, Options{})
	hints := 0
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, _ textproto.MIMEHeader) error { hints = code; return nil },
	})
	req, _ := http.NewRequestWithContext(ctx, http.MethodPost, s.URL()+"/chat/completions", strings.NewReader(chatBody("fake:interim", false)))
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if hints != http.StatusEarlyHints || res.StatusCode != http.StatusOK {
		t.Errorf("got %d, then %d", hints, res.StatusCode)
	}
}

// TestEventsAreFlushed reads the first event while the second is far away.
func TestEventsAreFlushed(t *testing.T) {
	s := start(t, Options{})
	res := post(t, s, "/chat/completions", chatBody("fake:chunks=2,gap=1h", true))
	var got strings.Builder
	for b := make([]byte, 4096); !strings.Contains(got.String(), "chunk 0"); {
		n, err := res.Body.Read(b)
		got.Write(b[:n])
		if err != nil {
			t.Fatal(err)
		}
	}
}
