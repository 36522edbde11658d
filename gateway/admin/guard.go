package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"time"

	"github.com/ownkey/ownkey/internal/crash"
	"github.com/rs/zerolog"
)

const (
	// callsPerSecond is more than any script of an operator needs, and little
	// enough to leave the machine to the data plane.
	callsPerSecond = 1000
	// failuresPerSecond is how often somebody may guess: nothing, against 128
	// bits, and not enough to fill a log.
	failuresPerSecond = 5
)

// guard lets only the admin token in, writes down who did what, and keeps a bug
// to the call that met it.
func (s *server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := &statusWriter{ResponseWriter: w}
		began := time.Now()
		actor, known := s.knows(r)
		defer func() {
			bug := recover()
			if bug == http.ErrAbortHandler {
				defer panic(bug) // the connection is cut, so that what was sent does not look whole
			} else if bug != nil {
				s.Log.Error().Strs("at", crash.Places()).Str("call", r.Pattern).Msg("admin call failed by a bug")
				if answer.status == 0 {
					writeError(answer, errors.New("a bug"))
				}
			}
			if known {
				s.audit(r, actor, answer.status, time.Since(began))
			}
		}()
		switch {
		case !known:
			s.stranger(answer, r)
		case !s.calls.Allow():
			writeError(answer, &failure{http.StatusTooManyRequests, "rate_limited", "", "too many admin calls; try again"})
		default:
			r.Body = http.MaxBytesReader(w, r.Body, maxBodyBytes)
			next.ServeHTTP(answer, r)
		}
	})
}

// knows reports whether a call has the token. It compares digests, so that the
// time it takes says nothing. The beginning of the digest is the caller's name
// in the log.
func (s *server) knows(r *http.Request) (actor string, known bool) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	digest := sha256.Sum256([]byte(strings.TrimSpace(token)))
	s.Token().Use(func(value []byte) {
		want := sha256.Sum256(value)
		known = subtle.ConstantTimeCompare(digest[:], want[:]) == 1 && strings.EqualFold(scheme, "bearer")
	})
	return fmt.Sprintf("admin-token:%x", digest[:4]), known
}

// stranger refuses a call without the token, and beyond some calls a second
// does no more than that.
func (s *server) stranger(w http.ResponseWriter, r *http.Request) {
	if !s.failures.Allow() {
		writeError(w, &failure{http.StatusTooManyRequests, "rate_limited", "", "too many calls without the admin token; try again"})
		return
	}
	s.Log.Warn().Str("from", s.from(r)).Msg("admin call without the token")
	writeError(w, &failure{http.StatusUnauthorized, "invalid_token", "", "send the admin token as Authorization: Bearer"})
}

// plainName is what ids of ours look like. Anything else in a path is the
// caller's text, and stays out of the log.
var plainName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$`)

// audit writes down a call: which one, about whom, from where, and its end.
func (s *server) audit(r *http.Request, actor string, status int, took time.Duration) {
	level := zerolog.InfoLevel
	if r.Pattern == metricsCall {
		level = zerolog.DebugLevel // scrapers ask several times a minute
	}
	e := s.Log.WithLevel(level)
	if !e.Enabled() {
		return
	}
	for _, part := range []string{"tenant", "token", "provider", "label"} {
		if value := r.PathValue(part); plainName.MatchString(value) {
			e.Str(part, value)
		}
	}
	e.Str("actor", actor).Str("call", r.Pattern).Int("status", status).Str("from", s.from(r)).Dur("took_ms", took).Msg("admin call")
}

// from is the address of a call's client, as far as the proxies that are trusted
// say it; empty where it is not known.
func (s *server) from(r *http.Request) string {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	if a := s.Proxies.Client(peer.Addr().WithZone(""), r.Header.Values("Forwarded"), r.Header.Values("X-Forwarded-For")); a.IsValid() {
		return a.String()
	}
	return ""
}

// statusWriter remembers the status.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader notes the status and passes it on.
func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Write notes the status that is sent when nobody sets one.
func (w *statusWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap lets [http.ResponseController] through.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
