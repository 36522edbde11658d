package fakeprovider

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net"
	"net/http"
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
	// PromptCache makes the counts of cached tokens those of a provider that
	// caches prompts, in place of constants.
	PromptCache bool
	// Says is added to every text and every error's message.
	Says string
}

// Server is a running double.
type Server struct {
	o        Options
	http     *http.Server
	listener net.Listener
	open     atomic.Int64
	conns    atomic.Uint64
	serial   atomic.Int64

	mu      sync.Mutex
	journal []*Request
	files   map[string]file
	prompts promptCache
}

// Start listens on addr and answers until Close.
func Start(addr string, o Options) (*Server, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("cannot listen: %w", err)
	}
	s := &Server{o: o, listener: l, files: map[string]file{}, prompts: promptCache{ends: map[[sha256.Size]byte]bool{}}}
	s.http = &http.Server{
		Handler:           s.routes(),
		ReadHeaderTimeout: time.Minute,
		ConnState:         s.count,
		ConnContext: func(ctx context.Context, _ net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, s.conns.Add(1))
		},
	}
	go s.http.Serve(l) // ends with Close
	return s, nil
}

// URL is the base URL, with /v1.
func (s *Server) URL() string { return "http://" + s.listener.Addr().String() + "/v1" }

// Close closes the listener and every connection.
func (s *Server) Close() error { return s.http.Close() }

// Open counts the connections that are open. One that a behaviour has taken
// over counts as closed.
func (s *Server) Open() int { return int(s.open.Load()) }

func (s *Server) count(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.open.Add(1)
	case http.StateClosed, http.StateHijacked:
		s.open.Add(-1)
	default: // active and idle change nothing
	}
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
		"DELETE /v1/files/{id}":          (*call).deleteFile,
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
