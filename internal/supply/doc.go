// Package supply has no code: its tests hold what the program is made of
// against docs/dependencies.md, and build it twice.
package supply
