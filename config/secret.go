package config

import (
	"errors"
	"fmt"
	"io"
)

// Secret is a value that the file names and does not hold. It prints as
// [credential].
type Secret struct{ b []byte }

// NewSecret makes a secret of a value from elsewhere than a file.
func NewSecret(value string) Secret { return Secret{[]byte(value)} }

// Use lends the value to f for the call.
func (s Secret) Use(f func(value []byte)) { f(s.b) }

// Empty reports whether there is no value.
func (s Secret) Empty() bool { return len(s.b) == 0 }

// Format prints [credential], whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[credential]") }

// MarshalText always fails.
func (s Secret) MarshalText() ([]byte, error) {
	return nil, errors.New("a secret can not be marshaled")
}
