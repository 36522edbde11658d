package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"time"
)

// The environment of this program when it is called as the go command.
const (
	realGo  = "OWNKEY_MUTANTS_GO"      // the path of the real one
	profile = "OWNKEY_MUTANTS_PROFILE" // the file with what the tests reach
)

// coverTime is how long gremlins waits for the profile. It allows a change a
// multiple of that, so that a round time makes the multiple a limit, whatever
// else the machine was doing at that moment.
const coverTime = time.Second

const (
	failed   = 1 // what go test exits with if a test fails, or if nothing builds
	notBuilt = 2 // what gremlins takes for a change that does not compile
)

var unbuilt = regexp.MustCompile(`(?m)^FAIL\t\S+ \[(build|setup) failed\]$`)

// test is the go command as gremlins sees it. It keeps apart two things that
// go test has one exit code for: a test has failed, and the changed package
// does not compile, which no test can take credit for.
func test(tool string, args []string, out io.Writer) (exit int) {
	if i := slices.Index(args, "-coverprofile"); i >= 0 {
		time.Sleep(coverTime)
		if err := copyFile(os.Getenv(profile), args[i+1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return failed
		}
		return 0
	}
	var said bytes.Buffer
	c := exec.Command(tool, args...)
	c.Stdout, c.Stderr = io.MultiWriter(out, &said), out
	err := c.Run()
	if exited, ok := errors.AsType[*exec.ExitError](err); ok {
		if exited.ExitCode() == failed && unbuilt.Match(said.Bytes()) {
			return notBuilt
		}
		return exited.ExitCode()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return failed
	}
	return 0
}
