// Package proxyheader reads what a proxy says of its client before a connection's
// first byte: the PROXY protocol, versions 1 and 2 (HAProxy's proxy-protocol.txt,
// 2020-03-05).
package proxyheader

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// ErrNone is a connection that begins with something else.
var ErrNone = errors.New("there is no PROXY header")

// ErrInvalid is a header that breaks the protocol.
var ErrInvalid = errors.New("the PROXY header is not valid")

// Header is what a proxy says.
type Header struct {
	// Client is whom the connection is relayed for; invalid where the proxy does
	// not say.
	Client netip.AddrPort
	// Local: nobody; the connection is the proxy's own, such as a health check.
	Local bool
}

// Addr is the address of the connection's other end, where peer is the proxy's:
// one without an IP where it is not known.
func (h Header) Addr(peer net.Addr) net.Addr {
	switch {
	case h.Local:
		return peer
	case h.Client.IsValid():
		return net.TCPAddrFromAddrPort(h.Client)
	}
	return &net.TCPAddr{}
}

const (
	begin2 = "\r\n\r\n\x00\r\nQUIT\n"
	begin1 = "PROXY "
	// first is read before the version is known: no header is shorter, of either
	// version.
	first = len(begin2)
	// maxLine is the longest line of version 1, its end included.
	maxLine = 107
	// maxRest bounds what follows the first 16 bytes of version 2: addresses, and
	// what proxies add, of which a client's certificate is the largest, at one or
	// two KiB.
	maxRest = 4096
)

// Read reads a header, and not a byte more.
func Read(r io.Reader) (Header, error) {
	var buf [256]byte
	if _, err := io.ReadFull(r, buf[:first]); err != nil {
		return Header{}, err
	}
	switch {
	case string(buf[:first]) == begin2:
		return read2(r, &buf)
	case string(buf[:len(begin1)]) == begin1:
		return read1(r, &buf)
	}
	return Header{}, ErrNone
}

// read1 reads the rest of a line. It goes byte by byte, since nobody knows where
// the line ends, and what follows is not ours to read.
func read1(r io.Reader, buf *[256]byte) (Header, error) {
	n := first
	for buf[n-1] != '\n' {
		if n == maxLine {
			return Header{}, ErrInvalid
		}
		if _, err := io.ReadFull(r, buf[n:n+1]); err != nil {
			return Header{}, err
		}
		n++
	}
	line, ok := strings.CutSuffix(string(buf[len(begin1):n]), "\r\n")
	if !ok {
		return Header{}, ErrInvalid
	}
	return parse1(line)
}

// parse1 reads what stands behind "PROXY ".
func parse1(line string) (Header, error) {
	part := strings.Split(line, " ")
	if part[0] == "UNKNOWN" {
		return Header{}, nil // whatever follows is to be ignored
	}
	if len(part) != 5 || part[0] != "TCP4" && part[0] != "TCP6" {
		return Header{}, ErrInvalid
	}
	from, err := netip.ParseAddr(part[1])
	_, errTo := netip.ParseAddr(part[2]) // of either family: nginx writes an IPv4 one behind TCP6
	port, ok := portOf(part[3])
	_, okTo := portOf(part[4])
	if err != nil || errTo != nil || !ok || !okTo || from.Zone() != "" || from.Is4() != (part[0] == "TCP4") {
		return Header{}, ErrInvalid
	}
	return Header{Client: netip.AddrPortFrom(from.Unmap(), port)}, nil
}

func portOf(text string) (uint16, bool) {
	port, err := strconv.ParseUint(text, 10, 16)
	return uint16(port), err == nil && text == strconv.FormatUint(port, 10)
}

// Commands and families of version 2, and how long a family's two addresses are.
const (
	commandLocal, commandProxy         = 0x20, 0x21
	familyIPv4, familyIPv6, familyUnix = 1, 2, 3
)

var addressBytes = [...]int{0, familyIPv4: 12, familyIPv6: 36, familyUnix: 216}

// read2 reads a header of version 2 behind its first bytes.
func read2(r io.Reader, buf *[256]byte) (Header, error) {
	if _, err := io.ReadFull(r, buf[:4]); err != nil {
		return Header{}, err
	}
	command, family, left := buf[0], buf[1], int(binary.BigEndian.Uint16(buf[2:4]))
	h := Header{Local: command == commandLocal} // whose family means nothing
	if !h.Local && (command != commandProxy || !known(family) || left < addressBytes[family>>4]) || left > maxRest {
		return Header{}, ErrInvalid
	}
	for begun := false; left > 0; begun = true {
		n := min(left, len(buf))
		if _, err := io.ReadFull(r, buf[:n]); err != nil {
			return Header{}, err
		}
		if left -= n; !begun && !h.Local {
			h.Client = client2(buf[:n], family>>4)
		}
	}
	return h, nil
}

// known reports whether a byte is one of the seven that stand for a family and a
// transport: none, and streams and datagrams over IPv4, IPv6 and Unix sockets.
func known(family byte) bool {
	over, transport := family>>4, family&15
	return family == 0 || over >= familyIPv4 && over <= familyUnix && (transport == 1 || transport == 2)
}

// client2 gives the source of two addresses.
func client2(b []byte, family byte) netip.AddrPort {
	switch family {
	case familyIPv4:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[:4])), binary.BigEndian.Uint16(b[8:]))
	case familyIPv6:
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[:16])).Unmap(), binary.BigEndian.Uint16(b[32:]))
	}
	return netip.AddrPort{}
}
