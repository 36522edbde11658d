package exchange

import (
	"encoding/json"
	"iter"
)

// parts gives the elements of a list, or the members of an object with their
// names, as they stand in raw, which is valid JSON. Nothing is copied but names: a
// list of millions of elements takes no memory.
func parts(raw []byte) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		if len(raw) == 0 || raw[0] != '[' && raw[0] != '{' {
			return
		}
		for rest := next(raw[1:]); len(rest) > 0 && rest[0] != ']' && rest[0] != '}'; rest = next(rest) {
			var name string
			if raw[0] == '{' {
				end := valueEnd(rest)
				if json.Unmarshal(rest[:end], &name) != nil {
					return // it was valid
				}
				rest = next(rest[end:])
			}
			end := valueEnd(rest)
			if !yield(name, rest[:end:end]) {
				return
			}
			rest = rest[end:]
		}
	}
}

// next is where the next value or end stands: behind white space and what divides
// values.
func next(b []byte) []byte {
	for i, c := range b {
		switch c {
		case ' ', '\t', '\n', '\r', ',', ':':
		default:
			return b[i:]
		}
	}
	return nil
}

// valueEnd is where the value that b begins with ends.
func valueEnd(b []byte) int {
	depth, inString := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			if inString = !inString; !inString && depth == 0 {
				return i + 1
			}
		case inString:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			if depth == 0 { // behind a number or a word
				return i
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case depth == 0 && (c == ',' || c == ' ' || c == '\t' || c == '\n' || c == '\r'):
			return i
		}
	}
	return len(b)
}
