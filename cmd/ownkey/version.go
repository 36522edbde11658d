package main

import (
	"fmt"
	"runtime/debug"
)

// VersionCmd prints what the binary was built from.
type VersionCmd struct{}

// Run prints the module version, the commit and the Go version.
func (VersionCmd) Run() error {
	_, err := fmt.Println(version())
	return err
}

func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "ownkey (unknown build)"
	}
	commit := "unknown commit"
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			commit = s.Value
		}
	}
	return fmt.Sprintf("ownkey %s (%s, %s)", info.Main.Version, commit, info.GoVersion)
}
