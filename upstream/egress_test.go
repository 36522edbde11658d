package upstream

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestPublic(t *testing.T) {
	f := func(address string, want bool) {
		t.Helper()
		if got := public(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: %v", address, got)
		}
	}
	for _, yes := range []string{"1.1.1.1", "8.8.8.8", "104.18.6.192", "172.32.0.1", "2606:4700::6812:6c0", "2a00:1450:4001:80b::200a", "::ffff:1.1.1.1"} {
		f(yes, true)
	}
	for _, no := range []string{
		"0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.8.8.8", "169.254.169.254", "172.16.0.1", "192.168.1.1", "192.0.0.192",
		"192.0.2.1", "198.18.0.1", "203.0.113.9", "224.0.0.1", "240.0.0.1", "255.255.255.255", "168.63.129.16",
		"::", "::1", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1",
		"64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2001::1", "2001:db8::1", "100::1", "fec0::1",
	} {
		f(no, false)
	}
}

func TestEgressCheck(t *testing.T) {
	e := NewEgress([]string{"10.1.0.0/16", "llm.internal:8443", "Models.Internal"})
	f := func(base string, want error) {
		t.Helper()
		u, err := url.Parse(base)
		if err != nil {
			t.Fatal(err)
		}
		if got := e.Check(u.Scheme, HostPort(u)); !errors.Is(got, want) {
			t.Errorf("%s: %v, want %v", base, got, want)
		}
	}
	f("https://api.example.com/v1", nil)
	f("https://10.1.2.3/v1", nil)
	f("http://10.1.2.3/v1", nil)
	f("https://llm.internal:8443/v1", nil)
	f("http://models.internal/v1", nil)
	f("https://llm.internal:9443/v1", nil) // judged by what it resolves to
	f("https://10.2.0.1/v1", ErrNotPublic)
	f("https://169.254.169.254/latest", ErrNotPublic)
	f("https://[::1]:8443/v1", ErrNotPublic)
	f("https://[::ffff:10.2.0.1]/v1", ErrNotPublic)
	e = NewEgress(nil)
	f("http://api.example.com/v1", ErrClearText)
	f("http://1.1.1.1/v1", ErrClearText)
}

// nameServer answers every question for an IPv4 address with the next of its
// list, as one does that rebinds a name.
func nameServer(t *testing.T, addresses ...string) (r *net.Resolver, asked *atomic.Int64) {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	asked = &atomic.Int64{}
	go func() {
		b := make([]byte, 512)
		for {
			n, from, err := server.ReadFrom(b)
			if err != nil {
				return
			}
			end := 12
			for b[end] != 0 {
				end += int(b[end]) + 1
			}
			end += 5 // the root label, type and class
			answer := append([]byte(nil), b[:min(n, end)]...)
			binary.BigEndian.PutUint16(answer[2:], 0x8180)
			binary.BigEndian.PutUint16(answer[8:], 0)
			binary.BigEndian.PutUint16(answer[10:], 0)
			if binary.BigEndian.Uint16(answer[end-4:]) == 1 { // A
				binary.BigEndian.PutUint16(answer[6:], 1)
				ip := netip.MustParseAddr(addresses[min(int(asked.Add(1)), len(addresses))-1]).As4()
				answer = append(answer, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
				answer = append(answer, ip[:]...)
			}
			_, _ = server.WriteTo(answer, from)
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", server.LocalAddr().String())
	}}, asked
}

// A name may resolve to anything at any time: what is refused is the address
// that would be dialed, and nothing arrives there.
func TestForbiddenAddressesAreNotDialed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var arrived atomic.Int64
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			arrived.Add(1)
			_ = c.Close()
		}
	}()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	client := NewClient()
	defer client.Close()
	send := func(base string, e *Egress, r *net.Resolver) error {
		t.Helper()
		u, err := url.Parse(strings.ReplaceAll(base, "PORT", port))
		if err != nil {
			t.Fatal(err)
		}
		target := client.NewTarget(u, nil, e, Limits{Connect: 2 * time.Second, FirstByte: time.Second})
		target.place.resolver = r
		var a Attempt
		a.Begin(target, time.Now())
		err = a.Send(&Request{Method: []byte("GET"), Path: []byte("/models")})
		a.End(time.Now())
		return err
	}
	rebinding, asked := nameServer(t, "127.0.0.1", "10.0.0.7", "169.254.169.254", "127.0.0.1")
	for _, base := range []string{
		"https://rebind.example:PORT/v1", "https://rebind.example:PORT/v1", "https://rebind.example:PORT/v1", "http://rebind.example:PORT/v1",
		"https://127.0.0.1:PORT/v1", "https://localhost:PORT/v1", "https://[::ffff:127.0.0.1]:PORT/v1", "https://0.0.0.0:PORT/v1",
	} {
		if err := send(base, NewEgress(nil), rebinding); !errors.Is(err, ErrForbidden) {
			t.Errorf("%s: %v", base, err)
		}
	}
	if asked.Load() < 4 {
		t.Errorf("the name server was asked %d times", asked.Load())
	}
	if n := arrived.Load(); n != 0 {
		t.Fatalf("%d connections arrived", n)
	}
	allowed, _ := nameServer(t, "127.0.0.1")
	if err := send("http://rebind.example:PORT/v1", NewEgress([]string{"127.0.0.0/8"}), allowed); !errors.Is(err, ErrUnreachable) {
		t.Errorf("an allowed range: %v", err)
	}
	if err := send("http://rebind.example:PORT/v1", NewEgress([]string{"rebind.example:" + port}), allowed); !errors.Is(err, ErrUnreachable) {
		t.Errorf("an allowed name: %v", err)
	}
	if err := send("http://rebind.example:PORT/v1", nil, allowed); !errors.Is(err, ErrUnreachable) {
		t.Errorf("the operator's own host: %v", err)
	}
	if n := arrived.Load(); n != 3 {
		t.Errorf("%d of 3 connections arrived", n)
	}
}
