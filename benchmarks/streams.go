package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

var streamBody = []byte(`{"model":"gpt-4o-mini","stream":true,"messages":[{"role":"user","content":"Hello"}]}`)

const streamsAtOnce = 20

// streams measures, at the client, when the first byte and each next chunk
// come: straight from the provider and through the ways. The provider's own
// sleep drifts, so the gaps are compared as distributions.
func streams(b *bed) error {
	ways := []*way{b.direct, b.nginx, b.ownkey}
	first, gap := map[string][]time.Duration{}, map[string][]time.Duration{}
	for range 4 {
		for _, w := range ways {
			f, g, err := w.streams()
			if err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
			first[w.name] = append(first[w.name], f...)
			gap[w.name] = append(gap[w.name], g...)
		}
	}
	fmt.Printf("Streams of %d chunks, %v apart, %d at once\n\n", streamChunks, streamGap, streamsAtOnce)
	fmt.Println("| way | first byte p50 ms (added) | p99 ms (added) | gap p50 ms (added) | gap p99 ms (added) |")
	fmt.Println("| --- | ---: | ---: | ---: | ---: |")
	for _, w := range ways {
		fmt.Printf("| %s", w.name)
		for _, m := range []map[string][]time.Duration{first, gap} {
			for _, q := range []float64{0.50, 0.99} {
				value := quantile(m[w.name], q)
				fmt.Printf(" | %.3f (%+.3f)", ms(value), ms(value-quantile(m[b.direct.name], q)))
			}
		}
		fmt.Println(" |")
	}
	fmt.Println()
	return nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func quantile(d []time.Duration, q float64) time.Duration {
	s := slices.Sorted(slices.Values(d))
	return s[int(q*float64(len(s)-1))]
}

func (w *way) streams() (first, gaps []time.Duration, err error) {
	var mu sync.Mutex
	var all sync.WaitGroup
	for i := range streamsAtOnce {
		all.Go(func() {
			time.Sleep(time.Duration(i) * time.Millisecond) // not all in step
			f, g, e := w.stream()
			mu.Lock()
			defer mu.Unlock()
			if e != nil {
				err = e
			}
			first, gaps = append(first, f), append(gaps, g...)
		})
	}
	all.Wait()
	return first, gaps, err
}

// open sends a streaming call on a connection of its own.
func (w *way) open(body []byte) (net.Conn, *bufio.Reader, error) {
	conn, err := net.Dial("tcp", w.addr)
	if err != nil {
		return nil, nil, err
	}
	request := fasthttp.AcquireRequest()
	defer fasthttp.ReleaseRequest(request)
	w.prepare(request, body)
	out := bufio.NewWriter(conn)
	if err := request.Write(out); err != nil {
		return nil, nil, err
	}
	return conn, bufio.NewReader(conn), out.Flush()
}

// stream reads one stream and times each chunk as it arrives.
func (w *way) stream() (first time.Duration, gaps []time.Duration, err error) {
	began := time.Now()
	conn, r, err := w.open(streamBody)
	if err != nil {
		return 0, nil, err
	}
	defer conn.Close()
	n := 0
	last := began
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return 0, nil, err
		}
		if bytes.HasPrefix(line, []byte("data: [DONE]")) {
			break
		}
		if !bytes.HasPrefix(line, []byte("data: ")) {
			continue
		}
		now := time.Now()
		if n++; n == 1 {
			first = now.Sub(began)
		} else {
			gaps = append(gaps, now.Sub(last))
		}
		last = now
	}
	if n != streamChunks {
		return 0, nil, fmt.Errorf("%d chunks, want %d: %w", n, streamChunks, io.ErrUnexpectedEOF)
	}
	return first, gaps, nil
}
