package main

import (
	"bytes"
	"fmt"
	"net"
	"time"
)

const openStreams = 5000

// memory opens many streams that have begun and stay open, and sees what they
// cost.
func memory(b *bed) error {
	fmt.Printf("%d streams open at once\n\n", openStreams)
	fmt.Println("| way | resident KiB per stream |")
	fmt.Println("| --- | ---: |")
	for _, w := range []*way{b.nginx, b.ownkey} {
		perStream, err := w.hold()
		if err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		fmt.Printf("| %s | %.1f |\n", w.name, perStream/1024)
	}
	fmt.Println()
	return nil
}

func (w *way) hold() (bytesPerStream float64, err error) {
	before := w.resident()
	conns := make([]net.Conn, 0, openStreams)
	defer func() {
		for _, c := range conns {
			_ = c.Close()
		}
	}()
	body := bytes.Replace(streamBody, []byte("gpt-4o-mini"), []byte(holdModel), 1)
	for range openStreams {
		conn, r, err := w.open(body)
		if err != nil {
			return 0, err
		}
		conns = append(conns, conn)
		if _, err := r.ReadSlice('\n'); err != nil { // the answer has begun
			return 0, err
		}
	}
	time.Sleep(time.Second) // the last first chunks pass
	return float64(w.resident()-before) / openStreams, nil
}
