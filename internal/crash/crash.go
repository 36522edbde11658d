// Package crash ends what a bug has broken without telling what it had in
// hand: Go prints the value of a panic that nobody recovers, and a value can
// quote a prompt or a key.
package crash

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// exitStatus is that of a Go program that panics.
const exitStatus = 2

// Exit is deferred as the first thing of every goroutine that has nobody to
// answer to. After a panic it ends the process, with the places on stderr.
func Exit() {
	if recover() == nil {
		return
	}
	Say("ownkey: ended by a bug at "+strings.Join(Places(), ", ")+"\n", exitStatus)
	os.Exit(exitStatus)
}

// sayTime bounds how long a process that ends waits for somebody to read its
// last words.
const sayTime = time.Second

// Say writes the last words of a process to stderr. If nobody reads there, the
// process ends with status instead of waiting.
func Say(text string, status int) {
	end := time.AfterFunc(sayTime, func() { os.Exit(status) })
	_, _ = os.Stderr.WriteString(text)
	end.Stop()
}

// Places gives the innermost functions and lines of a panic that is being
// recovered, by the deferred function that calls it or one below.
func Places() (at []string) {
	const most = 8
	pc := make([]uintptr, 32)
	frames := runtime.CallersFrames(pc[:runtime.Callers(2, pc)])
	panicked := false
	for frame, more := frames.Next(); more && len(at) < most; frame, more = frames.Next() {
		if panicked && !strings.HasPrefix(frame.Function, "runtime.") {
			at = append(at, frame.Function+":"+strconv.Itoa(frame.Line))
		}
		panicked = panicked || frame.Function == "runtime.gopanic"
	}
	return at
}
