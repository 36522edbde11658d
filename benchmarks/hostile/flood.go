package main

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	idleConns  = 10_000
	slowConns  = 2_000
	goodRate   = 500
	quietTime  = 15 * time.Second
	floodTime  = 30 * time.Second
	slowPause  = time.Second // between two bytes of a head that never ends
	rampPause  = 200 * time.Microsecond
	loudRate   = 1000
	loudLimit  = 50 // a twentieth of it
	quietRate  = 196
	quietCount = 49
)

// flood measures 500 requests a second alone, and beside 10,000 connections
// that say nothing and 2,000 that send a head a byte at a time. Each comes again
// when the gateway closes it.
func flood(b *bed, _ []string) error {
	_ = b.load(goodRate, 3*time.Second, b.ready.Token) // connections, caches
	quiet := b.load(goodRate, quietTime, b.ready.Token)
	before := b.resident()
	fmt.Printf("quiet: %s; resident %d MiB\n", quiet, before>>20)
	f := &attackers{address: strings.TrimSuffix(strings.TrimPrefix(b.ready.BaseURL, "http://"), "/v1"), stop: make(chan struct{})}
	for i := range idleConns + slowConns {
		f.all.Go(func() { f.hold(i >= idleConns) })
		time.Sleep(rampPause)
	}
	for end := time.Now().Add(startTime); f.open.Load() < (idleConns+slowConns)*9/10; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			return fmt.Errorf("only %d connections could be opened", f.open.Load())
		}
	}
	opened := f.open.Load()
	flooded := b.load(goodRate, floodTime, b.ready.Token)
	during, open := b.resident(), b.descriptors()
	close(f.stop)
	f.all.Wait()
	fmt.Printf("beside %d connections (%d descriptors, %d closed by the gateway): %s; resident %d MiB, %.1f KiB a connection\n",
		opened, open, f.closed.Load(), flooded, during>>20, float64(during-before)/1024/float64(opened))
	fmt.Printf("p99 × %.2f (target ≤ 2)\n", float64(flooded.at(.99))/float64(quiet.at(.99)))
	return nil
}

// attackers hold connections.
type attackers struct {
	address string
	stop    chan struct{}
	all     sync.WaitGroup
	open    atomic.Int64
	closed  atomic.Int64
}

func (f *attackers) hold(slow bool) {
	for {
		c, err := net.Dial("tcp", f.address)
		if err == nil {
			f.open.Add(1)
			f.keep(c, slow)
			f.open.Add(-1)
			_ = c.Close()
		}
		select {
		case <-f.stop:
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// head never ends within the time that a run takes.
var head = "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nX-Padding: " + strings.Repeat("a", 1000)

// keep holds a connection until either side ends it.
func (f *attackers) keep(c net.Conn, slow bool) {
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = io.Copy(io.Discard, c)
	}()
	tick := time.NewTicker(slowPause)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-f.stop:
			return
		case <-gone:
			f.closed.Add(1)
			return
		case <-tick.C:
			if slow {
				_, _ = c.Write([]byte{head[i]})
			}
		}
	}
}

// loud measures 49 tenants alone, and beside one that sends twenty times what
// it may.
func loud(b *bed, _ []string) error {
	var tokens []string
	for i := range quietCount {
		token, err := b.quietTenant(i)
		if err != nil {
			return err
		}
		tokens = append(tokens, token)
	}
	wild, err := b.tenant("loud", map[string]any{"requests_per_second": loudLimit})
	if err != nil {
		return err
	}
	_ = b.load(quietRate, 3*time.Second, tokens...)
	alone := b.load(quietRate, quietTime, tokens...)
	fmt.Printf("49 quiet tenants alone, %d requests/s: %s\n", quietRate, alone)
	done := make(chan *results)
	go func() { done <- b.load(loudRate, floodTime, wild) }()
	time.Sleep(time.Second)
	beside := b.load(quietRate, floodTime-2*time.Second, tokens...)
	theirs := <-done
	fmt.Printf("beside one with %d requests/s and a limit of %d: %s\n", loudRate, loudLimit, beside)
	fmt.Printf("the loud one: %s\n", theirs)
	fmt.Printf("p99 of the quiet ones × %.2f (target ≤ 1.5)\n", float64(beside.at(.99))/float64(alone.at(.99)))
	return nil
}

func (b *bed) quietTenant(i int) (string, error) { return b.tenant(fmt.Sprintf("quiet-%d", i), nil) }
