package crash

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestPlacesNameTheBug(t *testing.T) {
	var at []string
	func() {
		defer func() {
			_ = recover()
			at = Places()
		}()
		bug(3)
	}()
	if len(at) < 2 || !strings.Contains(at[0], "crash.bug:") || !strings.Contains(at[1], "TestPlacesNameTheBug") {
		t.Errorf("%q", at)
	}
}

func bug(i int) int { return []int{1}[i] }

// The process ends, and says where and not what.
func TestExitDoesNotQuote(t *testing.T) {
	if os.Getenv("CRASH") != "" {
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer Exit()
			panic("the secret prompt")
		}()
		<-done
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=TestExitDoesNotQuote")
	cmd.Env = append(os.Environ(), "CRASH=1")
	out, err := cmd.CombinedOutput()
	exit := &exec.ExitError{}
	if !errors.As(err, &exit) || exit.ExitCode() != exitStatus {
		t.Errorf("%v", err)
	}
	if s := string(out); !strings.Contains(s, "crash.TestExitDoesNotQuote") || strings.Contains(s, "secret prompt") {
		t.Errorf("%s", s)
	}
}
