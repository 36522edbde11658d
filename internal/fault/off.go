//go:build !faults

// Package fault lets tests break the program at named points, in a binary that
// is built with the tag faults. In any other binary its functions are empty.
package fault

// At does nothing.
func At(string) {}
