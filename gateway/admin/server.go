// Package admin is the admin plane: tenants, tokens and credentials for
// operators, as JSON over HTTP on a listener of its own. It is not on the path
// of any request, so it is built for clarity, on net/http.
//
// It sees a credential's plaintext once, when it is stored: as bytes that are
// sealed and wiped. It may import directory, vaultbridge, rotation and the
// rooms of meter, config for secrets, and never sees the body of a client's
// request.
package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"reflect"
	"slices"

	"github.com/ownkey/ownkey/config"
	"github.com/ownkey/ownkey/directory"
	"github.com/ownkey/ownkey/gateway/rotation"
	"github.com/ownkey/ownkey/internal/origin"
	"github.com/ownkey/ownkey/meter/evidence"
	"github.com/ownkey/ownkey/meter/invoice"
	"github.com/ownkey/ownkey/meter/quarantine"
	"github.com/ownkey/ownkey/vaultbridge"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"
	"golang.org/x/time/rate"
)

// metricsCall is the one call that is not written down at the usual level.
const metricsCall = "GET /metrics"

// maxBodyBytes is far more than any admin call needs.
const maxBodyBytes = 1 << 20

// ErrUnknownProvider is what Options.Address returns for a name that is in no
// table.
var ErrUnknownProvider = errors.New("there is no such provider")

// Options are the admin plane's parts. All fields are required.
type Options struct {
	Directory *directory.Directory
	Ring      *vaultbridge.Ring
	Walker    *rotation.Walker
	Invoices  Invoices
	// Metrics are what GET /metrics answers with.
	Metrics prometheus.Gatherer
	Log     *zerolog.Logger
	// Usage answers questions about what was recorded.
	Usage *UsageAPI
	// Evidence is what it is made from, and Platform looks for a credential of
	// the platform's own.
	Evidence EvidenceBooks
	Platform func() evidence.Scan
	// Quarantine has the rows that no store took.
	Quarantine *quarantine.File
	// Token gives what admin calls present. It is asked for each call.
	Token func() config.Secret
	// Examine looks at what doctor tells of besides the keyrings: stores, disks,
	// clocks. It may be nil.
	Examine func(ctx context.Context) []vaultbridge.Finding
	// Proxies are trusted to say where a call comes from.
	Proxies origin.Prefixes
	// Pprof serves profiles.
	Pprof bool
	// Address gives what a credential is bound to, scheme://host:port/base-path:
	// that of baseURL, or of the provider where it is empty.
	Address func(provider, baseURL string) (string, error)
	// Ready is what GET /readyz answers with; it needs no token, so that a probe
	// reaches it where the data plane wants certificates of its clients.
	Ready func() (status int, body string)
	// Test makes one cheap call with a sealed credential and gives the
	// provider's status.
	Test func(ctx context.Context, sealed *directory.Credential) (status int, err error)
}

type server struct {
	Options
	calls    *rate.Limiter // of all who have the token
	failures *rate.Limiter // of all who have not
}

// New makes the admin plane's handler.
func New(o Options) http.Handler {
	s := &server{Options: o, calls: rate.NewLimiter(callsPerSecond, 2*callsPerSecond), failures: rate.NewLimiter(failuresPerSecond, 2*failuresPerSecond)}
	mux := http.NewServeMux()
	for pattern, handle := range map[string]func(http.ResponseWriter, *http.Request) error{
		"POST /admin/v1/tenants":                                                  s.createTenant,
		"GET /admin/v1/tenants":                                                   s.listTenants,
		"GET /admin/v1/tenants/{tenant}":                                          s.getTenant,
		"PATCH /admin/v1/tenants/{tenant}":                                        s.updateTenant,
		"POST /admin/v1/tenants/{tenant}/suspend":                                 s.suspendTenant,
		"POST /admin/v1/tenants/{tenant}/resume":                                  s.resumeTenant,
		"DELETE /admin/v1/tenants/{tenant}":                                       s.deleteTenant,
		"POST /admin/v1/tenants/{tenant}/tokens":                                  s.createToken,
		"GET /admin/v1/tenants/{tenant}/tokens":                                   s.listTokens,
		"DELETE /admin/v1/tenants/{tenant}/tokens/{token}":                        s.revokeToken,
		"PATCH /admin/v1/tenants/{tenant}/tokens/{token}":                         s.updateToken,
		"POST /admin/v1/tenants/{tenant}/tokens/{token}/stop":                     s.stopToken,
		"POST /admin/v1/tenants/{tenant}/tokens/{token}/resume":                   s.resumeToken,
		"GET /admin/v1/tenants/{tenant}/credentials":                              s.listCredentials,
		"PUT /admin/v1/tenants/{tenant}/credentials/{provider}/{label}":           s.putCredential,
		"GET /admin/v1/tenants/{tenant}/credentials/{provider}/{label}":           s.getCredential,
		"DELETE /admin/v1/tenants/{tenant}/credentials/{provider}/{label}":        s.deleteCredential,
		"POST /admin/v1/tenants/{tenant}/credentials/{provider}/{label}/test":     s.testCredential,
		"POST /admin/v1/tenants/{tenant}/credentials/{provider}/{label}/rollback": s.rollBackCredential,
		"POST /admin/v1/tenants/{tenant}/rotate":                                  s.rotate,
		"POST /admin/v1/rewrap":                                                   s.startRewrap,
		"GET /admin/v1/rewrap":                                                    s.getRewrap,
		"GET /admin/v1/invoices/{tenant}/{month}":                                 s.getInvoice,
		"GET /admin/v1/doctor":                                                    s.doctor,
		"GET /admin/v1/evidence/{tenant}":                                         s.getEvidence,
		"GET /admin/v1/reconcile":                                                 s.daily,
		"GET /admin/v1/usage":                                                     s.usage,
		"GET /admin/v1/records":                                                   s.records,
		"/": func(http.ResponseWriter, *http.Request) error {
			return &failure{http.StatusNotFound, "not_found", "", "no such admin call; see docs/admin.md"}
		},
	} {
		known := parameters[pattern]
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			err := onlyKnown(r.URL.RawQuery, known)
			if err == nil || pattern == "/" {
				err = handle(w, r)
			}
			if err != nil {
				writeError(w, err)
			}
		})
	}
	mux.Handle(metricsCall, promhttp.HandlerFor(o.Metrics, promhttp.HandlerOpts{}))
	if o.Pprof {
		mux.HandleFunc("GET /debug/pprof/{profile}", profile)
	}
	return s.probes(s.guard(mux))
}

// probes answers the two questions that need no token.
func (s *server) probes(next http.Handler) http.Handler {
	say := func(w http.ResponseWriter, status int, body string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body) // a probe that left needs no answer
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/healthz":
			say(w, http.StatusOK, `{"status":"ok"}`)
		case "/readyz":
			status, body := s.Ready()
			say(w, status, body)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// failure is an answer that is not the one asked for.
type failure struct {
	status  int
	code    string
	param   string
	message string
}

// Error gives the message.
func (f *failure) Error() string { return f.message }

// failureOf is the one place where an error becomes an answer.
func failureOf(err error) *failure {
	var own *failure
	var invalid *directory.InvalidError
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &invalid):
		return &failure{http.StatusBadRequest, "invalid_request", invalid.Field, invalid.Error()}
	case errors.Is(err, directory.ErrNotFound):
		return &failure{http.StatusNotFound, "not_found", "", "there is no such tenant, token or credential"}
	case errors.Is(err, directory.ErrExists):
		return &failure{http.StatusConflict, "already_exists", "id", "the id is taken, or was and is never given out again"}
	case errors.Is(err, directory.ErrChanged):
		return &failure{http.StatusConflict, "conflict", "", "it was changed by somebody else at the same moment; look at it and try again"}
	case errors.Is(err, directory.ErrUnavailable):
		return &failure{http.StatusServiceUnavailable, "store_unavailable", "", "the tenant store can not be reached; try again"}
	case errors.Is(err, invoice.ErrMonth), errors.Is(err, invoice.ErrNotBegun), errors.Is(err, invoice.ErrNoTenantYet):
		return &failure{http.StatusBadRequest, "invalid_request", "month", err.Error()}
	case errors.Is(err, invoice.ErrFormat):
		return &failure{http.StatusBadRequest, "invalid_request", "format", err.Error()}
	case errors.Is(err, invoice.ErrUnavailable):
		return &failure{http.StatusServiceUnavailable, "store_unavailable", "", "the book of memory events can not be reached; try again"}
	case errors.Is(err, invoice.ErrEvents), errors.Is(err, invoice.ErrTooLarge), errors.Is(err, invoice.ErrIncomplete):
		return &failure{http.StatusInternalServerError, "internal_error", "", err.Error()}
	case errors.Is(err, vaultbridge.ErrUnavailable):
		return &failure{http.StatusServiceUnavailable, "vault_unavailable", "", "the key store can not be used (" + err.Error() + "); try again, or ask: ownkey doctor"}
	case errors.Is(err, vaultbridge.ErrKeySettings):
		return &failure{http.StatusConflict, "key_settings", "", err.Error() + "; change the key, or make the tenant under another id"}
	case errors.Is(err, vaultbridge.ErrUnsupported):
		return &failure{http.StatusNotImplemented, "not_supported", "", err.Error()}
	}
	return &failure{http.StatusInternalServerError, "internal_error", "", "the admin plane failed"}
}

func writeError(w http.ResponseWriter, err error) {
	f := failureOf(err)
	w.Header().Set("Ownkey-Error", f.code)
	if f.status == http.StatusServiceUnavailable || f.status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "2")
	}
	_ = write(w, f.status, map[string]any{"error": bodyOf(f)})
}

// bodyOf is a failure in OpenAI's shape.
func bodyOf(f *failure) any {
	type body struct {
		Message string  `json:"message"`
		Type    string  `json:"type"`
		Param   *string `json:"param"`
		Code    string  `json:"code"`
	}
	b := body{Message: f.message, Type: "ownkey_error", Code: f.code}
	if f.param != "" {
		b.Param = &f.param
	}
	return b
}

func write(w http.ResponseWriter, status int, v any) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a client that left needs no answer
	return nil
}

// read decodes a call's body into v: one JSON object, no unknown members.
// Nothing of the body stays in memory: it may hold a secret.
func read(r *http.Request, v any) error {
	raw, err := readBody(r)
	defer clear(raw)
	if err != nil {
		return err
	}
	// Two passes over the bytes, since json.Decoder, which knows unknown
	// members, keeps a copy that can not be wiped.
	var members map[string]unread
	err = json.Unmarshal(raw, &members)
	if err == nil && members == nil {
		err = errNull
	}
	for name := range members {
		if err == nil && !slices.Contains(memberNames(v), name) {
			err = &failure{http.StatusBadRequest, "invalid_request", name, "there is no member " + name}
		}
	}
	if err == nil {
		err = json.Unmarshal(raw, v)
	}
	if err != nil {
		return badBody(err)
	}
	return nil
}

// errNull is a body that encoding/json takes for an object without members.
var errNull = errors.New("null is not an object")

// unread is a value of which nothing is kept, not even where a member stands
// twice.
type unread struct{}

// UnmarshalJSON passes over the value.
func (*unread) UnmarshalJSON([]byte) error { return nil }

// readBody reads a body into a buffer of its own size.
func readBody(r *http.Request) ([]byte, error) {
	size := r.ContentLength
	if size < 0 || size > maxBodyBytes {
		size = maxBodyBytes
	}
	raw := make([]byte, size+1)
	n, err := io.ReadFull(r.Body, raw)
	if err == nil || !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return raw, &failure{http.StatusRequestEntityTooLarge, "too_large", "", "the body is larger than 1 MiB, or was cut"}
	}
	return raw[:n], nil
}

// memberNames lists the members that a call takes: the JSON names of the struct
// that v points to.
func memberNames(v any) []string {
	var names []string
	for field := range reflect.TypeOf(v).Elem().Fields() {
		names = append(names, field.Tag.Get("json"))
	}
	return names
}

// Listener wipes what was read from a connection as soon as the server waits
// for more: a secret that was stored does not stay in its buffer.
func Listener(l net.Listener) net.Listener { return wipingListener{l} }

type wipingListener struct{ net.Listener }

// Accept gives the next connection.
func (l wipingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return wipingConn{c}, nil
}

type wipingConn struct{ net.Conn }

// Read zeroes p and fills its beginning.
func (c wipingConn) Read(p []byte) (int, error) {
	clear(p)
	return c.Conn.Read(p)
}

// badBody says what is wrong with a body without quoting its values.
func badBody(err error) *failure {
	f := &failure{http.StatusBadRequest, "invalid_request", "", "the body is not a JSON object that this call takes"}
	var kind *json.UnmarshalTypeError
	var own *failure
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &kind):
		f.param, f.message = kind.Field, kind.Field+": wrong type"
	}
	return f
}

// changed logs a change; ids only.
func (s *server) changed(message, tenant, object string) {
	s.Log.Info().Str("tenant", tenant).Str("object", object).Msg(message)
}
