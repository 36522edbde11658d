package proxyheader

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"
)

const sign = "\r\n\r\n\x00\r\nQUIT\n"

// v4 and v6 are the addresses of headers of version 2: 203.0.113.9:51000 to
// 192.0.2.1:443, and 2001:db8::9 to ::1 with the same ports.
const (
	v4 = "\xcb\x00\x71\x09\xc0\x00\x02\x01\xc7\x38\x01\xbb"
	v6 = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x09\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\xc7\x38\x01\xbb"
)

// headers are byte for byte what proxies send, and what only looks like it.
var headers = []struct {
	name, bytes string
	want        string // RemoteAddr behind 10.0.0.1:999; empty where it is refused
}{
	{"TCP4", "PROXY TCP4 203.0.113.9 192.0.2.1 51000 443\r\n", "203.0.113.9:51000"},
	{"TCP4, all at its longest", "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255:65535"},
	{"TCP4, all at its shortest", "PROXY TCP4 1.1.1.1 1.1.1.1 0 0\r\n", "1.1.1.1:0"},
	{"TCP6", "PROXY TCP6 2001:db8::9 ::1 51000 443\r\n", "[2001:db8::9]:51000"},
	{"TCP6, all at its longest", "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
	{"TCP6 with an IPv4 address in it", "PROXY TCP6 ::ffff:203.0.113.9 ::1 51000 443\r\n", "203.0.113.9:51000"},
	{"TCP6 to an IPv4 address, as nginx", "PROXY TCP6 2001:db8::9 192.0.2.1 51000 443\r\n", "[2001:db8::9]:51000"},
	{"UNKNOWN", "PROXY UNKNOWN\r\n", ":0"},
	{"UNKNOWN with addresses", "PROXY UNKNOWN 203.0.113.9 192.0.2.1 51000 443\r\n", ":0"},
	{"UNKNOWN, as long as may be", "PROXY UNKNOWN " + strings.Repeat("x", 91) + "\r\n", ":0"},
	{"UNKNOWN, too long", "PROXY UNKNOWN " + strings.Repeat("x", 92) + "\r\n", ""},
	{"a line without an end", "PROXY TCP4 203.0.113.9 192.0.2.1 51000 443" + strings.Repeat(" ", 300), ""},
	{"a bare line feed", "PROXY TCP4 203.0.113.9 192.0.2.1 51000 443\n", ""},
	{"a carriage return inside", "PROXY TCP4 203.0.113.9 192.0.2.1 51000\r443\r\n", ""},
	{"small letters", "proxy tcp4 203.0.113.9 192.0.2.1 51000 443\r\n", ""},
	{"two spaces", "PROXY TCP4  203.0.113.9 192.0.2.1 51000 443\r\n", ""},
	{"a tab", "PROXY\tTCP4 203.0.113.9 192.0.2.1 51000 443\r\n", ""},
	{"a space at the end", "PROXY TCP4 203.0.113.9 192.0.2.1 51000 443 \r\n", ""},
	{"one part too few", "PROXY TCP4 203.0.113.9 192.0.2.1 51000\r\n", ""},
	{"UDP4", "PROXY UDP4 203.0.113.9 192.0.2.1 51000 443\r\n", ""},
	{"no family", "PROXY \r\nGET / HTTP/1.1\r\n", ""},
	{"an IPv6 address of TCP4", "PROXY TCP4 2001:db8::9 192.0.2.1 51000 443\r\n", ""},
	{"an IPv4 address of TCP6", "PROXY TCP6 203.0.113.9 ::1 51000 443\r\n", ""},
	{"an IPv4 address in IPv6 of TCP4", "PROXY TCP4 ::ffff:203.0.113.9 192.0.2.1 51000 443\r\n", ""},
	{"a zone", "PROXY TCP6 fe80::1%eth0 ::1 51000 443\r\n", ""},
	{"leading zeros", "PROXY TCP4 203.000.113.009 192.0.2.1 51000 443\r\n", ""},
	{"a name", "PROXY TCP4 client.example 192.0.2.1 51000 443\r\n", ""},
	{"a destination that is none", "PROXY TCP4 203.0.113.9 here 51000 443\r\n", ""},
	{"a large port", "PROXY TCP4 203.0.113.9 192.0.2.1 65536 443\r\n", ""},
	{"a port with a zero before", "PROXY TCP4 203.0.113.9 192.0.2.1 051000 443\r\n", ""},
	{"a port with a sign", "PROXY TCP4 203.0.113.9 192.0.2.1 +5100 443\r\n", ""},
	{"a port of the destination that is none", "PROXY TCP4 203.0.113.9 192.0.2.1 51000 https\r\n", ""},
	{"a request", "GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n", ""},
	{"a TLS handshake", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x00", ""},
	{"PROXY as a method", "PROXYTCP4 / HTTP/1.1\r\n\r\n", ""},

	{"version 2, IPv4", sign + "\x21\x11\x00\x0c" + v4, "203.0.113.9:51000"},
	{"version 2, IPv6", sign + "\x21\x21\x00\x24" + v6, "[2001:db8::9]:51000"},
	{"version 2, IPv4 in IPv6", sign + "\x21\x21\x00\x24" + strings.Repeat("\x00", 10) + "\xff\xff\xcb\x00\x71\x09" + v6[16:], "203.0.113.9:51000"},
	{"version 2, datagrams", sign + "\x21\x12\x00\x0c" + v4, "203.0.113.9:51000"},
	{"version 2 with TLVs", sign + "\x21\x11\x00\x17" + v4 + "\x04\x00\x00\x03\x00\x05\x01\x02\x03\x04\x05", "203.0.113.9:51000"},
	{"version 2 with TLVs that lie", sign + "\x21\x11\x00\x0f" + v4 + "\x04\xff\xff", "203.0.113.9:51000"}, // nobody reads them
	{"version 2 with 4 KiB", sign + "\x21\x11\x10\x00" + v4 + strings.Repeat("t", 4084), "203.0.113.9:51000"},
	{"version 2 with more", sign + "\x21\x11\x10\x01" + v4 + strings.Repeat("t", 4085), ""},
	{"version 2 with 64 KiB", sign + "\x21\x11\xff\xff" + v4, ""},
	{"version 2, LOCAL", sign + "\x20\x00\x00\x00", "10.0.0.1:999"},
	{"version 2, LOCAL with addresses", sign + "\x20\x11\x00\x0c" + v4, "10.0.0.1:999"},
	{"version 2, LOCAL of a family that nobody knows", sign + "\x20\x77\x00\x03abc", "10.0.0.1:999"},
	{"version 2, LOCAL with more", sign + "\x20\x00\x10\x01" + strings.Repeat("t", 4097), ""},
	{"version 2, UNSPEC", sign + "\x21\x00\x00\x00", ":0"},
	{"version 2, UNSPEC with TLVs", sign + "\x21\x00\x00\x04\x04\x00\x01\x00", ":0"},
	{"version 2, Unix sockets", sign + "\x21\x31\x00\xd8" + strings.Repeat("\x00", 216), ":0"},
	{"version 2, too short for IPv4", sign + "\x21\x11\x00\x0b" + v4, ""},
	{"version 2, too short for IPv6", sign + "\x21\x21\x00\x0c" + v4, ""},
	{"version 2, too short for Unix sockets", sign + "\x21\x31\x00\x24" + v6, ""},
	{"version 2, no addresses", sign + "\x21\x11\x00\x00", ""},
	{"version 1 in the form of 2", sign + "\x11\x11\x00\x0c" + v4, ""},
	{"version 3", sign + "\x31\x11\x00\x0c" + v4, ""},
	{"a command that nobody knows", sign + "\x22\x11\x00\x0c" + v4, ""},
	{"a family that nobody knows", sign + "\x21\x41\x00\x0c" + v4, ""},
	{"a transport that nobody knows", sign + "\x21\x13\x00\x0c" + v4, ""},
	{"a family without a transport", sign + "\x21\x10\x00\x0c" + v4, ""},
	{"a transport without a family", sign + "\x21\x01\x00\x00", ""},
	{"a signature with another end", sign[:11] + "\r\x21\x11\x00\x0c" + v4, ""},
}

// TestRead reads each header whole and byte by byte: not one byte behind it is
// taken, and one that is cut anywhere is an error.
func TestRead(t *testing.T) {
	const behind = "GET / HTTP/1.1\r\n\r\n"
	peer := &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 999}
	for _, x := range headers {
		for _, slow := range []func(io.Reader) io.Reader{func(r io.Reader) io.Reader { return r }, iotest.OneByteReader} {
			r := strings.NewReader(x.bytes + behind)
			h, err := Read(slow(r))
			if x.want == "" {
				if err == nil {
					t.Errorf("%s: taken as %v", x.name, h)
				}
				continue
			}
			if rest, _ := io.ReadAll(r); err != nil || h.Addr(peer).String() != x.want || string(rest) != behind {
				t.Errorf("%s: %v, %v, %q is left", x.name, h.Addr(peer), err, rest)
			}
		}
		for n := range len(x.bytes) {
			if h, err := Read(strings.NewReader(x.bytes[:n])); err == nil {
				t.Errorf("%s, cut to %d bytes: taken as %v", x.name, n, h)
			}
		}
	}
	for text, want := range map[string]error{"GET / HTTP/1.1\r\n": ErrNone, "PROXY TCP5 x x x x\r\n": ErrInvalid, "": io.EOF, "PROX": io.ErrUnexpectedEOF, sign + "!!!!": ErrInvalid} {
		if _, err := Read(strings.NewReader(text)); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", text, err, want)
		}
	}
}

// FuzzRead: a header has an end: whatever is behind it is left, and changes
// nothing.
func FuzzRead(f *testing.F) {
	for _, x := range headers {
		f.Add([]byte(x.bytes))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		h, err := Read(r)
		if err != nil {
			return
		}
		n := len(b) - r.Len()
		again := bytes.NewReader(append(bytes.Clone(b[:n]), "PROXY"...))
		if h2, err := Read(again); err != nil || h2 != h || again.Len() != len("PROXY") {
			t.Fatalf("%q is %v, and with more behind it %v, %v", b[:n], h, h2, err)
		}
		if n > 16+maxRest || h.Local && h.Client.IsValid() || h.Client.Addr().Is4In6() || h.Client.Addr().Zone() != "" {
			t.Fatalf("%q is %v of %d bytes", b, h, n)
		}
	})
}
