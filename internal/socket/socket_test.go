package socket

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"testing"
	"time"
)

// pair is a connection with one of ours at each end.
func pair(t testing.TB) (ours, peer net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	p, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); p.Close() })
	return New(c), p
}

// TestAllArrives: more than any buffer of the kernel's takes at once, both ways
// at the same time, with a peer that reads late.
func TestAllArrives(t *testing.T) {
	ours, peer := pair(t)
	const size = 24 << 20
	sent := make([]byte, size)
	random := rand.NewChaCha8(sha256.Sum256(nil))
	_, _ = random.Read(sent)
	echoed := make(chan error, 1)
	go func() {
		time.Sleep(50 * time.Millisecond)
		_, err := io.Copy(peer, peer)
		echoed <- errors.Join(err, peer.Close())
	}()
	wrote := make(chan error, 1)
	go func() {
		n, err := ours.Write(sent)
		if n != size && err == nil {
			err = io.ErrShortWrite
		}
		wrote <- errors.Join(err, ours.(*Conn).Conn.(*net.TCPConn).CloseWrite())
	}()
	got, err := io.ReadAll(ours)
	if err := errors.Join(err, <-wrote, <-echoed); err != nil || !bytes.Equal(got, sent) {
		t.Errorf("%d of %d bytes came back: %v", len(got), size, err)
	}
	if _, err := ours.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("after the end: %v", err)
	}
}

// TestWaitsEnd: by a deadline and by Close, for reading and for writing, and
// whoever asks is told which it was.
func TestWaitsEnd(t *testing.T) {
	for name, wait := range map[string]func(net.Conn) error{
		"read": func(c net.Conn) error { _, err := c.Read(make([]byte, 1)); return err },
		"write": func(c net.Conn) error {
			for {
				if _, err := c.Write(make([]byte, 1<<20)); err != nil {
					return err
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			ours, _ := pair(t)
			_ = ours.SetDeadline(time.Now().Add(30 * time.Millisecond))
			err := wait(ours)
			var network net.Error
			if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &network) || !network.Timeout() {
				t.Errorf("a deadline ends it with %v", err)
			}
			_ = ours.SetDeadline(time.Time{})
			time.AfterFunc(30*time.Millisecond, func() { _ = ours.Close() })
			if err := wait(ours); !errors.Is(err, net.ErrClosed) {
				t.Errorf("Close ends it with %v", err)
			}
		})
	}
}

// TestPeerIsGone: a reset shows as an error, not as an end.
func TestPeerIsGone(t *testing.T) {
	ours, peer := pair(t)
	_ = peer.(*net.TCPConn).SetLinger(0)
	_ = peer.Close()
	n, err := ours.Read(make([]byte, 8))
	var op *net.OpError
	if n != 0 || err == nil || errors.Is(err, io.EOF) || !errors.As(err, &op) || op.Op != "read" {
		t.Errorf("%d, %v", n, err)
	}
}

func TestNothingIsAllocated(t *testing.T) {
	ours, peer := pair(t)
	go func() { _, _ = io.Copy(peer, peer) }()
	b := make([]byte, 1<<10)
	round := func() {
		if _, err := ours.Write(b); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(ours, b); err != nil {
			t.Fatal(err)
		}
	}
	round()
	if n := testing.AllocsPerRun(100, round); n > 0 {
		t.Errorf("%v allocations a round", n)
	}
}
