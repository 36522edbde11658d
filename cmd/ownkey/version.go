package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// commit is set by make build, which leaves out what go build stamps by itself:
// that depends on which tags a clone has.
var commit string

// VersionCmd prints what the binary was built from.
type VersionCmd struct{}

// Run prints the module version, the commit and the Go version.
func (VersionCmd) Run() error {
	_, err := fmt.Fprintln(stdout, version())
	return err
}

func version() string {
	module, from := build()
	return fmt.Sprintf("ownkey %s (%s, %s)", module, from, runtime.Version())
}

// build gives the program's module version and the commit that it was built
// from.
func build() (module, from string) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown", "unknown commit"
	}
	from = commit
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && from == "" {
			from = s.Value
		}
	}
	if from == "" {
		from = "unknown commit"
	}
	return info.Main.Version, from
}
