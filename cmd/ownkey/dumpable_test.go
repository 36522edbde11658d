package main

import (
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// TestProcessIsNotDumpable asks the kernel, in a child, since neither setting
// can be taken back.
func TestProcessIsNotDumpable(t *testing.T) {
	const name = "OWNKEY_TEST_NOT_DUMPABLE"
	if os.Getenv(name) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestProcessIsNotDumpable$")
		cmd.Env = append(os.Environ(), name+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v %s", err, out)
		}
		return
	}
	if err := sealProcess(); err != nil {
		t.Fatal(err)
	}
	if dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0); err != nil || dumpable != 0 {
		t.Errorf("dumpable is %d, %v", dumpable, err)
	}
	var core unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &core); err != nil || core.Cur != 0 || core.Max != 0 {
		t.Errorf("core dumps of up to %+v, %v", core, err)
	}
}
