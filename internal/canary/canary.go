// Package canary makes texts that are known nowhere else, and finds them in
// whatever a program has left behind, also in other clothes.
package canary

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
)

// Mark is a text to be planted and looked for.
type Mark struct {
	Name string
	// Core is random letters and digits: it reads the same in JSON, in a URL, in
	// a log and in a quoted string.
	Core string
}

// New makes a mark.
func New(name string) Mark { return Mark{name, "Kn" + strings.ToLower(rand.Text()[:18])} }

// form is how a mark may look.
type form struct {
	name  string
	bytes []byte
}

// Forms lists the names of the forms that are looked for.
func Forms() []string {
	var names []string
	for _, f := range (Mark{Core: "Knxxxxxxxxxxxxxxxx"}).forms() {
		names = append(names, f.name)
	}
	return append(names, "gzip", "zlib")
}

// forms are those that a search for bytes finds.
func (m Mark) forms() []form {
	core := []byte(m.Core)
	all := make([]form, 0, 17)
	all = append(all, []form{
		{"plain", core},
		{"lower", bytes.ToLower(core)},
		{"upper", bytes.ToUpper(core)},
		{"hex", []byte(hex.EncodeToString(core))},
		{"HEX", []byte(strings.ToUpper(hex.EncodeToString(core)))},
		{"reversed", reversed(core)},
		{"JSON-escaped", each(core, `\u%04x`)},
		{"URL-encoded", each(core, "%%%02X")},
		{"URL-encoded lower", each(core, "%%%02x")},
		{"bytes of Go", bytes.TrimSpace(each(core, "%d "))},
		{"UTF-16", each(core, "%c\x00")},
	}...)
	// Of base64 what does not hang on the neighbors, at each of three offsets;
	// both alphabets agree on letters and digits for these bytes, or nearly so.
	for offset := range 3 {
		for name, encoding := range map[string]*base64.Encoding{"base64": base64.RawStdEncoding, "base64url": base64.RawURLEncoding} {
			coded := encoding.EncodeToString(append(make([]byte, offset), core...))
			from := []int{0, 2, 3}[offset]
			all = append(all, form{fmt.Sprintf("%s+%d", name, offset), []byte(coded[from : len(coded)-2])})
		}
	}
	return all
}

func each(b []byte, format string) []byte {
	var out []byte
	for _, c := range b {
		out = fmt.Appendf(out, format, c)
	}
	return out
}

func reversed(b []byte) []byte {
	out := make([]byte, len(b))
	for i, c := range b {
		out[len(b)-1-i] = c
	}
	return out
}

// Hit is a mark that was found.
type Hit struct {
	Mark   string
	Form   string
	Offset int
}

// Find looks for marks, in every form, and inside of what is compressed.
func Find(in []byte, marks []Mark) (hits []Hit) {
	hits = search(in, marks, "")
	for _, packed := range []struct {
		name  string
		magic []byte
		open  func(io.Reader) (io.Reader, error)
	}{
		{"gzip", []byte{0x1f, 0x8b, 8}, func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }},
		{"zlib", []byte{0x78, 0x01}, zlibReader},
		{"zlib", []byte{0x78, 0x9c}, zlibReader},
		{"zlib", []byte{0x78, 0xda}, zlibReader},
	} {
		for at := 0; ; at++ {
			next := bytes.Index(in[at:], packed.magic)
			if next < 0 {
				break
			}
			at += next
			r, err := packed.open(bytes.NewReader(in[at:]))
			if err != nil {
				continue
			}
			// What was unpacked before an error counts: the rest may be cut.
			plain, _ := io.ReadAll(io.LimitReader(r, 16<<20))
			for _, h := range search(plain, marks, packed.name+" ") {
				h.Offset = at
				hits = append(hits, h)
			}
		}
	}
	return hits
}

func zlibReader(r io.Reader) (io.Reader, error) { return zlib.NewReader(r) }

func search(in []byte, marks []Mark, within string) (hits []Hit) {
	for _, m := range marks {
		for _, f := range m.forms() {
			if at := bytes.Index(in, f.bytes); at >= 0 {
				hits = append(hits, Hit{m.Name, within + f.name, at})
			}
		}
	}
	return hits
}

// Plant puts a mark into bytes in one of the [Forms].
func Plant(in []byte, m Mark, name string) []byte {
	text := append([]byte("said "), m.Core...)
	var planted bytes.Buffer
	switch name {
	case "gzip":
		z := gzip.NewWriter(&planted)
		_, _ = z.Write(text) // memory does not fail
		_ = z.Close()
	case "zlib":
		z := zlib.NewWriter(&planted)
		_, _ = z.Write(text)
		_ = z.Close()
	default:
		for _, f := range m.forms() {
			if f.name == name {
				planted.Write(f.bytes)
			}
		}
	}
	half := len(in) / 2
	return append(append(bytes.Clone(in[:half]), planted.Bytes()...), in[half:]...)
}
