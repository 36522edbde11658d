// Package config reads the one YAML file of `ownkey serve` into one struct. It
// is strict: unknown keys, missing values and secrets written in plain are
// refused, and every problem is listed at once with its path and line.
//
// It does not dial, log or change what it reads, and imports none of our
// rooms. docs/config.md is generated from the comments of this package's
// types.
package config

//go:generate go test -run "Test(Reference|HeadersPage)IsCurrent" -update .
