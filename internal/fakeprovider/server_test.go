package fakeprovider

import (
	"bytes"
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"time"
)

func start(t *testing.T, o Options) *Server {
	t.Helper()
	s, err := Start("127.0.0.1:0", o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// post sends JSON, as the account "key".
func post(t *testing.T, s *Server, path, body string) *http.Response {
	t.Helper()
	return do(t, s, http.MethodPost, path, "application/json", strings.NewReader(body))
}

func do(t *testing.T, s *Server, method, path, contentType string, body io.Reader) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL()+path, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Authorization", "Bearer key")
	if strings.HasPrefix(path, "/messages") {
		req.Header.Set("Anthropic-Version", "2023-06-01")
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	return res
}

func text(t *testing.T, res *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("the body broke off after %d bytes: %v", len(b), err)
	}
	return string(b)
}

// eventually polls until ok holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never: " + what)
		}
	}
}

func TestEveryPathAnswers(t *testing.T) {
	s := start(t, Options{})
	f := func(method, path, body string, status int, want string) {
		t.Helper()
		res := do(t, s, method, path, "application/json", strings.NewReader(body))
		got := text(t, res)
		if res.StatusCode != status || !strings.Contains(got, want) {
			t.Errorf("%s %s: %d %.300s, want %d with %s", method, path, res.StatusCode, got, status, want)
		}
	}
	f("POST", "/chat/completions", `{"model":"m","n":2}`, 200, `"index":1`)
	f("POST", "/chat/completions", `{"model":"m","stream":true,"stream_options":{"include_usage":true}}`, 200, `"choices":[],"created"`)
	f("POST", "/completions", `{"model":"m"}`, 200, `"object":"text_completion"`)
	f("POST", "/completions", `{"model":"m","stream":true}`, 200, "data: [DONE]\n\n")
	f("POST", "/responses", `{"model":"m"}`, 200, `"status":"completed"`)
	f("POST", "/responses", `{"model":"m","stream":true}`, 200, "event: response.completed\n")
	f("GET", "/responses/resp_1", ``, 200, `"id":"resp_1"`)
	f("DELETE", "/responses/resp_1", ``, 200, `"deleted":true`)
	f("POST", "/responses/resp_1/cancel", ``, 200, `"id":"resp_1"`)
	f("POST", "/embeddings", `{"model":"m","input":["a","b"],"dimensions":2}`, 200, `"embedding":[1,0.6666667]`)
	f("POST", "/embeddings", `{"model":"m","input":"a","dimensions":2,"encoding_format":"base64"}`, 200, `"embedding":"AAAAP6uqqj4="`)
	f("POST", "/moderations", `{"input":"a"}`, 200, `"flagged":false`)
	f("POST", "/images/generations", `{"prompt":"a"}`, 200, `"b64_json"`)
	f("GET", "/models", ``, 200, `"object":"list"`)
	f("GET", "/models/m", ``, 200, `"id":"m"`)
	f("GET", "/files", ``, 200, `"data":[]`)
	f("GET", "/files/none", ``, 404, `"code":"not_found"`)
	f("DELETE", "/files/none", ``, 404, `"code":"not_found"`)
	f("POST", "/audio/speech", `{"input":"a"}`, 200, "\x00\x07\x0e\x15")
	f("POST", "/messages", `{"model":"m"}`, 200, `"stop_reason":"end_turn"`)
	f("POST", "/messages", `{"model":"m","stream":true}`, 200, "event: message_stop\n")
	f("POST", "/messages/count_tokens", `{"model":"m"}`, 200, `"input_tokens":10`)
	f("POST", "/nowhere", `{}`, 404, `"code":"unknown_url"`)
	f("POST", "/chat/completions", `{"model":`, 400, `"code":"invalid_json"`)
}

func TestMessagesNeedAVersion(t *testing.T) {
	s := start(t, Options{})
	res, err := http.Post(s.URL()+"/messages", "application/json", strings.NewReader(`{"model":"m"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if got := text(t, res); res.StatusCode != http.StatusBadRequest || !strings.Contains(got, `"type":"invalid_request_error"`) {
		t.Errorf("got %d %s", res.StatusCode, got)
	}
}

func TestOnlyKnownKeysMayCall(t *testing.T) {
	f := func(keys []string, path string, status int, want string) {
		t.Helper()
		res := post(t, start(t, Options{Keys: keys}), path, `{"model":"m"}`)
		if got := text(t, res); res.StatusCode != status || !strings.Contains(got, want) {
			t.Errorf("%v %s: %d %s, want %d with %s", keys, path, res.StatusCode, got, status, want)
		}
	}
	f(nil, "/chat/completions", 200, "Hello")
	f([]string{"other", "key"}, "/chat/completions", 200, "Hello")
	f([]string{"other"}, "/chat/completions", 401, `"code":"invalid_api_key"`)
	f([]string{"other"}, "/messages", 401, `"type":"authentication_error"`)
}

func TestUploadsAreKeptUntilDeleted(t *testing.T) {
	s := start(t, Options{})
	content := bytes.Repeat([]byte{0, 1, 254, 255}, 1<<18)
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	_ = w.WriteField("purpose", "batch")
	part, _ := w.CreateFormFile("file", "a.bin")
	_, _ = part.Write(content)
	_ = w.Close()

	var f file
	if err := json.Unmarshal([]byte(text(t, do(t, s, "POST", "/files", w.FormDataContentType(), &form))), &f); err != nil {
		t.Fatal(err)
	}
	if f.Bytes != int64(len(content)) || f.Purpose != "batch" || f.Filename != "a.bin" {
		t.Errorf("got %+v", f)
	}
	if got := text(t, do(t, s, "GET", "/files/"+f.ID+"/content", "", nil)); got != string(content) {
		t.Errorf("the content came back as %d other bytes", len(got))
	}
	text(t, do(t, s, "DELETE", "/files/"+f.ID, "", nil))
	if res := do(t, s, "GET", "/files/"+f.ID, "", nil); res.StatusCode != http.StatusNotFound {
		t.Errorf("after its deletion: %d", res.StatusCode)
	}
}
