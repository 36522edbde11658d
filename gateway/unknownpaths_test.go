package gateway_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestStreamsOfUnknownPathsAreCounted: a stream is a model's words, whatever the
// path is called (Azure's deployments, Gemini's own API): without usage its text
// counts, and so does the JSON that asked for it. What is no stream, and an
// uploaded file, counts as what is reported.
func TestStreamsOfUnknownPathsAreCounted(t *testing.T) {
	text := strings.Repeat("x", 400_000)
	const azure, gemini = "/v1/openai/deployments/x/chat/completions", "/v1/models/gemini:streamGenerateContent"
	question := `{"messages":[{"role":"user","content":"` + text + `"}]}`
	for _, f := range []struct {
		name, target, kind, body string
		answerKind, answer       string
		cut                      bool
		least, most              float64
	}{
		{"a stream", azure, "application/json", question, "text/event-stream", `data: {"choices":[{"delta":{"content":"` + text + `"},"finish_reason":"stop"}]}` + "\n\ndata: [DONE]\n\n", false, 200_000, 201_000},
		{"a stream that is cut", azure, "application/json", question, "text/event-stream", `data: {"choices":[{"delta":{"content":"` + text, true, 200_000, 201_000},
		{"a stream with usage", azure, "application/json", question, "text/event-stream", `data: {"choices":[{"delta":{"content":"` + text + `"}}],"usage":{"prompt_tokens":7,"completion_tokens":3}}` + "\n\n", false, 10, 10},
		{"a stream for a file", "/v1/audio/transcriptions", "multipart/form-data; boundary=x", formOf(400_000, "whisper-1"), "text/event-stream", `data: {"delta":"` + text + `"}` + "\n\n", false, 100_000, 101_000},
		{"an array of answers", gemini, "application/json", question, "application/json", `[{"candidates":[{"content":{"parts":[{"text":"hi"}]}}],"usageMetadata":{"promptTokenCount":5,"totalTokenCount":5}},` +
			`{"candidates":[{"content":{"parts":[{"text":"` + text + `"}]}}],"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":20,"thoughtsTokenCount":30,"totalTokenCount":55}}]`, false, 55, 55},
		{"an array of answers that is cut", gemini, "application/json", question, "application/json", `[{"candidates":[{"content":{"parts":[{"text":"` + text + `"}]}}]},`, true, 200_000, 201_000},
		{"JSON without usage", "/v1/vector_stores", "application/json", question, "application/json", `{"id":"` + text + `"}`, false, 0, 0},
		{"a file", "/v1/files", "multipart/form-data; boundary=x", formOf(400_000, "whisper-1"), "application/json", `{"id":"file_1"}`, false, 0, 0},
	} {
		t.Run(f.name, func(t *testing.T) {
			left := make(chan struct{})
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				w.Header().Set("Content-Type", f.answerKind)
				_, _ = io.WriteString(w, f.answer)
				_ = http.NewResponseController(w).Flush()
				if f.cut {
					<-left // the rest never comes
				}
			}))
			defer server.Close()
			h := newHouse(t, func(o *options) { o.provider = server.URL + "/v1" })
			c, from := h.dial(fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", f.target, h.token, f.kind, len(f.body), f.body))
			if f.cut {
				_, _ = io.CopyN(io.Discard, bufio.NewReader(from), 400_050)
				_ = c.Close()
			} else {
				response, err := http.ReadResponse(from, nil)
				if err != nil {
					t.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, response.Body)
			}
			if _, counted := h.counted(1); counted < f.least || counted > f.most {
				t.Errorf("%v tokens are counted, want %v to %v", counted, f.least, f.most)
			}
			close(left)
		})
	}
}
