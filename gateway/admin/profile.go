package admin

import (
	"net/http"
	"runtime/pprof"
	"strconv"
	"time"
)

// maxProfileTime keeps a profile within the admin plane's time for an answer.
const maxProfileTime = 50 * time.Second

// profile serves Go's profiles as `go tool pprof` asks for them. They are the
// runtime's own, not net/http/pprof, which would also show the command line.
func profile(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("profile")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if name == "profile" {
		cpuProfile(w, r)
		return
	}
	p := pprof.Lookup(name)
	if p == nil {
		writeError(w, &failure{http.StatusNotFound, "not_found", "profile", "there is no such profile; there are: profile (CPU), allocs, block, goroutine, heap, mutex, threadcreate"})
		return
	}
	debug, _ := strconv.Atoi(r.URL.Query().Get("debug")) // 0 for the tool, 1 and 2 for people
	w.Header().Set("Content-Type", "application/octet-stream")
	if debug > 0 {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	}
	_ = p.WriteTo(w, debug) // a client that left needs no profile
}

func cpuProfile(w http.ResponseWriter, r *http.Request) {
	seconds, err := strconv.Atoi(r.URL.Query().Get("seconds"))
	if err != nil || seconds <= 0 {
		seconds = 30
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	if err := pprof.StartCPUProfile(w); err != nil {
		writeError(w, &failure{http.StatusConflict, "already_running", "", "another CPU profile is being made"})
		return
	}
	defer pprof.StopCPUProfile()
	select {
	case <-r.Context().Done():
	case <-time.After(min(maxProfileTime, time.Duration(seconds)*time.Second)):
	}
}
