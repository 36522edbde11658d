// Package fakeprovider is a double of OpenAI's and Anthropic's APIs on a real
// listener. It answers `ownkey dev` when there is no credential, and tests and
// benchmarks, for which it can also do what a healthy provider does not: stall,
// cut, trickle, lie. How it behaves is asked for in the model's name, which
// survives a gateway: "fake:chunks=100,gap=10ms" (see behaviour.go).
//
// It speaks through net/http, and not through fasthttp as the gateway does, so
// that a mistake in one codec can not hide in the other.
package fakeprovider

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Options of a server.
type Options struct {
	// Keys, if any, are what must come as Authorization: Bearer or x-api-key; anything
	// else gets the provider's 401. Each is an account.
	Keys []string
	// Journal keeps what arrived, for tests.
	Journal bool
}

// Request is what arrived, as a test wants to see it.
type Request struct {
	Method     string
	Path       string
	RawQuery   string
	Header     http.Header
	Body       []byte // of JSON calls
	BodySHA256 string
	BodyBytes  int64
	Model      string
	Arrived    time.Time
	// LeftAt is when the caller closed the connection before the answer ended.
	LeftAt time.Time
	Done   bool
}

// Server is a running double.
type Server struct {
	o        Options
	http     *http.Server
	listener net.Listener
	open     atomic.Int64
	serial   atomic.Int64

	mu      sync.Mutex
	journal []*Request
	files   map[string]file
}

// Start listens on addr and answers until Close.
func Start(addr string, o Options) (*Server, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("cannot listen: %w", err)
	}
	s := &Server{o: o, listener: l, files: map[string]file{}}
	s.http = &http.Server{Handler: s.routes(), ReadHeaderTimeout: time.Minute, ConnState: func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			s.open.Add(1)
		case http.StateClosed, http.StateHijacked:
			s.open.Add(-1)
		}
	}}
	go s.http.Serve(l) //nolint:errcheck // ends with Close
	return s, nil
}

// URL is the base URL, with /v1.
func (s *Server) URL() string { return "http://" + s.listener.Addr().String() + "/v1" }

// Close closes the listener and every connection.
func (s *Server) Close() error { return s.http.Close() }

// Open counts the connections that are open.
func (s *Server) Open() int { return int(s.open.Load()) }

// Requests gives a copy of the journal, oldest first.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Request, len(s.journal))
	for i, r := range s.journal {
		all[i] = *r
	}
	return all
}

// Has reports whether a call for a model has arrived.
func (s *Server) Has(model string) (found bool) {
	s.note(func() {
		found = slices.ContainsFunc(s.journal, func(r *Request) bool { return r.Model == model })
	})
	return found
}

// Forget empties the journal.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.journal = nil
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	for pattern, answer := range map[string]func(*call){
		"POST /v1/chat/completions":      (*call).chat,
		"POST /v1/completions":           (*call).completions,
		"POST /v1/responses":             (*call).responses,
		"GET /v1/responses/{id}":         (*call).storedResponse,
		"DELETE /v1/responses/{id}":      (*call).deleted,
		"POST /v1/responses/{id}/cancel": (*call).storedResponse,
		"POST /v1/embeddings":            (*call).embeddings,
		"POST /v1/moderations":           (*call).moderations,
		"POST /v1/images/generations":    (*call).images,
		"GET /v1/models":                 (*call).models,
		"GET /v1/models/{id}":            (*call).model,
		"POST /v1/files":                 (*call).upload,
		"GET /v1/files":                  (*call).listFiles,
		"GET /v1/files/{id}":             (*call).getFile,
		"GET /v1/files/{id}/content":     (*call).fileContent,
		"DELETE /v1/files/{id}":          (*call).deleted,
		"POST /v1/audio/speech":          (*call).speech,
		"POST /v1/audio/transcriptions":  (*call).transcription,
		"POST /v1/messages":              (*call).messages,
		"POST /v1/messages/count_tokens": (*call).countTokens,
		"/":                              (*call).notFound,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, answer) })
	}
	return mux
}

// call is one request on its way.
type call struct {
	s   *Server
	w   http.ResponseWriter
	r   *http.Request
	key string
	id  string
	in  input
	b   behaviour
}

// input is what the double reads of a JSON body.
type input struct {
	Model    string `json:"model"`
	Stream   bool   `json:"stream"`
	Messages []struct {
		Role    string          `json:"role"`
		Content json.RawMessage `json:"content"`
	} `json:"messages"`
	Input          json.RawMessage   `json:"input"`
	Tools          []json.RawMessage `json:"tools"`
	EncodingFormat string            `json:"encoding_format"`
	ResponseFormat struct {
		Type       string `json:"type"`
		JSONSchema struct {
			Schema schema `json:"schema"`
		} `json:"json_schema"`
	} `json:"response_format"`
	Text struct {
		Format struct {
			Type   string `json:"type"`
			Schema schema `json:"schema"`
		} `json:"format"`
	} `json:"text"`
	StreamOptions struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request, answer func(*call)) {
	c := &call{s: s, w: w, r: r, id: fmt.Sprintf("%08d", s.serial.Add(1)), key: presented(r)}
	entry := &Request{Method: r.Method, Path: r.URL.EscapedPath(), RawQuery: r.URL.RawQuery, Header: r.Header.Clone(), Arrived: time.Now()}
	s.note(func() {
		if s.o.Journal {
			s.journal = append(s.journal, entry)
		}
	})
	defer s.watch(r, entry)()
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		if !c.readJSON(entry) {
			return
		}
	}
	c.standardHeaders()
	if len(s.o.Keys) > 0 && !slices.Contains(s.o.Keys, c.key) {
		c.fail(http.StatusUnauthorized, "invalid_api_key", "Incorrect API key provided.")
		return
	}
	if c.misbehave() {
		return
	}
	answer(c)
}

// watch notes when the caller leaves early, and when the answer is done.
func (s *Server) watch(r *http.Request, entry *Request) (done func()) {
	stop := context.AfterFunc(r.Context(), func() {
		left := time.Now()
		s.note(func() { entry.LeftAt = left })
	})
	return func() {
		stop()
		s.note(func() { entry.Done = true })
	}
}

func (s *Server) note(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (c *call) readJSON(entry *Request) bool {
	body, err := io.ReadAll(c.r.Body)
	if err != nil {
		return false
	}
	sum := sha256.Sum256(body)
	c.s.note(func() {
		entry.BodySHA256, entry.BodyBytes = hex.EncodeToString(sum[:]), int64(len(body))
		if c.s.o.Journal && len(body) <= 1<<20 {
			entry.Body = body
		}
	})
	if err := json.NewDecoder(bytes.NewReader(body)).Decode(&c.in); err != nil && !errors.Is(err, io.EOF) {
		c.fail(http.StatusBadRequest, "invalid_json", "We could not parse the JSON body of your request.")
		return false
	}
	c.s.note(func() { entry.Model = c.in.Model })
	c.b = parseBehaviour(c.in.Model)
	c.b.sha = hex.EncodeToString(sum[:])
	return true
}

func presented(r *http.Request) string {
	if key := r.Header.Get("X-Api-Key"); key != "" {
		return key
	}
	return strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
}

// account is a name for whoever pays: what a real provider would put on the
// invoice.
func (c *call) account() string {
	sum := sha256.Sum256([]byte(c.key))
	return "org-" + hex.EncodeToString(sum[:4])
}

func (c *call) anthropic() bool { return strings.HasPrefix(c.r.URL.Path, "/v1/messages") }

func (c *call) standardHeaders() {
	h := c.w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Set-Cookie", "__cf_bm=secret; path=/")
	h.Set("X-Unknown", "internal")
	h.Set("X-Ratelimit-Remaining-Requests", "99")
	if c.anthropic() {
		h.Set("Request-Id", "req_"+c.id)
		h.Set("Anthropic-Organization-Id", c.account())
		return
	}
	h.Set("X-Request-Id", "req_"+c.id)
	h.Set("Openai-Organization", c.account())
	h.Set("Openai-Processing-Ms", "1")
	h.Set("Openai-Version", "2020-10-01")
}

// fail answers with an error in the shape of the API that was called.
func (c *call) fail(status int, code, message string) {
	if c.anthropic() {
		kinds := map[int]string{
			400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error",
			413: "request_too_large", 429: "rate_limit_error", 529: "overloaded_error",
		}
		kind := kinds[status]
		if kind == "" {
			kind = "api_error"
		}
		c.json(status, object{"type": "error", "error": object{"type": kind, "message": message}, "request_id": "req_" + c.id})
		return
	}
	c.json(status, object{"error": object{"message": message, "type": "invalid_request_error", "param": nil, "code": code}})
}

func (c *call) notFound() {
	c.fail(http.StatusNotFound, "unknown_url", "Unknown request URL.")
}

type object = map[string]any

func (c *call) json(status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	c.send(status, b)
}
