package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// sample is the gateway's state at a moment.
type sample struct {
	at          time.Duration
	goroutines  float64
	descriptors float64
	resident    float64 // MiB
}

const sampleEvery = 10 * time.Second

// soak lets random things happen for some minutes and looks whether anything
// grows: goroutines, descriptors, memory.
func soak(b *bed, args []string) error {
	minutes := 30
	if len(args) > 0 {
		n, err := strconv.Atoi(args[0])
		if err != nil {
			return errors.New("soak: want a number of minutes")
		}
		minutes = n
	}
	ctx, stop := context.WithTimeout(context.Background(), time.Duration(minutes)*time.Minute)
	defer stop()
	var done, failed atomic.Int64
	var all sync.WaitGroup
	for range 12 {
		all.Go(func() {
			for ctx.Err() == nil {
				if err := b.something(ctx); err != nil {
					failed.Add(1)
					fmt.Fprintln(os.Stderr, err)
				}
				done.Add(1)
				time.Sleep(time.Duration(rand.IntN(60)) * time.Millisecond)
			}
		})
	}
	all.Go(func() { b.operate(ctx) })
	begin := time.Now()
	var samples []sample
	for tick := time.NewTicker(sampleEvery); ctx.Err() == nil; {
		select {
		case <-ctx.Done():
		case <-tick.C:
			s, err := b.sample(time.Since(begin))
			if err != nil {
				return err
			}
			samples = append(samples, s)
		}
	}
	all.Wait()
	client.CloseIdleConnections()
	time.Sleep(sampleEvery)
	last, err := b.sample(time.Since(begin))
	if err != nil {
		return err
	}
	fmt.Printf("%d things in %d minutes, %d of them not as they should be\n", done.Load(), minutes, failed.Load())
	report(samples, &last)
	if len(args) > 1 {
		return os.WriteFile(args[1], plot(samples), 0o600)
	}
	return nil
}

// sample asks the gateway for its own numbers.
func (b *bed) sample(at time.Duration) (s sample, err error) {
	r, err := http.NewRequest(http.MethodGet, b.ready.AdminURL+"/metrics", http.NoBody)
	if err != nil {
		return s, err
	}
	r.Header.Set("Authorization", "Bearer "+b.ready.AdminToken)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return s, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return s, err
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name == "go_goroutines" {
			s.goroutines, err = strconv.ParseFloat(value, 64)
		}
	}
	s.at, s.descriptors, s.resident = at, float64(b.descriptors()), float64(b.resident())/(1<<20)
	return s, err
}

// something is one call, good or bad.
func (b *bed) something(ctx context.Context) error {
	model := func(m string, stream bool) string {
		return fmt.Sprintf(`{"model":"%s","stream":%v,"messages":[{"role":"user","content":"Hello %d"}]}`, m, stream, rand.IntN(1000))
	}
	patience := func(ms int) (context.Context, context.CancelFunc) {
		return context.WithTimeout(ctx, time.Duration(rand.IntN(ms)+1)*time.Millisecond)
	}
	want := func(status int, token, body string) error {
		if got := b.chat(ctx, token, body); got != status && ctx.Err() == nil {
			return fmt.Errorf("%d in place of %d: %s", got, status, body)
		}
		return nil
	}
	token := b.ready.Token
	switch rand.IntN(16) {
	case 0, 1, 2:
		return want(200, token, model("openai/gpt-4o-mini", false))
	case 3, 4:
		return want(200, token, model("openai/fake:chunks=20,gap=5ms", true))
	case 5: // the client leaves
		leave, stop := patience(200)
		defer stop()
		_ = b.chat(leave, token, model("openai/fake:chunks=200,gap=5ms", true))
	case 6: // before the first byte
		leave, stop := patience(300)
		defer stop()
		_ = b.chat(leave, token, model("openai/fake:stall", rand.IntN(2) == 0))
	case 7:
		status := []int{400, 429, 500, 503}[rand.IntN(4)]
		return want(status, token, model("openai/fake:status="+strconv.Itoa(status), rand.IntN(2) == 0))
	case 8:
		return want(502, token, model([]string{"openai/fake:refuse", "openai/fake:garbage", "openai/fake:lie-length"}[rand.IntN(3)], false))
	case 9:
		_ = b.chat(ctx, token, model("openai/fake:chunks=10,cut-after=4", true))
	case 10:
		return want(400, token, `{"model":`)
	case 11:
		return want(401, "ok_nobody", model("x", false))
	case 12:
		return b.halfRequest()
	case 13:
		return b.slowReader(model("openai/fake:big=3000000", false))
	case 14:
		return b.remember(ctx)
	default:
		return want(200, token, model("openai/fake:chunks=5,trickle", true))
	}
	return nil
}

// halfRequest sends a part of a request and closes.
func (b *bed) halfRequest() error {
	c, err := net.Dial("tcp", b.address())
	if err != nil {
		return err
	}
	text := "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + b.ready.Token + "\r\nContent-Length: 500\r\n\r\n{\"model\":"
	_, _ = c.Write([]byte(text[:rand.IntN(len(text))]))
	return c.Close()
}

// slowReader takes a few bytes of a large answer and leaves.
func (b *bed) slowReader(body string) error {
	c, err := net.Dial("tcp", b.address())
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(c, "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", b.ready.Token, len(body), body)
	_, _ = io.ReadFull(c, make([]byte, 2000))
	time.Sleep(time.Duration(rand.IntN(300)) * time.Millisecond)
	return c.Close()
}

func (b *bed) address() string {
	return strings.TrimSuffix(strings.TrimPrefix(b.ready.BaseURL, "http://"), "/v1")
}

// remember stores a memory, asks for one in a call, or clears the bucket.
func (b *bed) remember(ctx context.Context) error {
	bucket := "/buckets/soak-" + strconv.Itoa(rand.IntN(20))
	call := func(method, path, body string, headers ...string) error {
		r, err := http.NewRequestWithContext(ctx, method, b.ready.BaseURL+path, strings.NewReader(body))
		if err != nil {
			return err
		}
		r.Header.Set("Authorization", "Bearer "+b.ready.Token)
		r.Header.Set("Content-Type", "application/json")
		for i := 0; i+1 < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		answer, err := client.Do(r)
		if err != nil {
			return nil // the end of the run
		}
		defer answer.Body.Close()
		if _, err := io.Copy(io.Discard, answer.Body); err != nil && ctx.Err() == nil {
			return err
		}
		if answer.StatusCode >= 400 && answer.StatusCode != 404 {
			return fmt.Errorf("%s %s: %d", method, path, answer.StatusCode)
		}
		return nil
	}
	switch rand.IntN(10) {
	case 0:
		return call("DELETE", bucket+"/memories", "")
	case 1, 2, 3:
		return call("POST", "/chat/completions", `{"model":"openai/gpt-4o-mini","messages":[{"role":"user","content":"Who keeps bees on roof 7?"}]}`,
			"Ownkey-Memory", "recall", "Ownkey-Bucket", strings.TrimPrefix(bucket, "/buckets/"))
	default:
		return call("POST", bucket+"/memories", fmt.Sprintf(`{"content":"Person %d keeps bees on roof %d."}`, rand.IntN(1e6), rand.IntN(1000)))
	}
}

// operate is what goes on at the admin plane.
func (b *bed) operate(ctx context.Context) {
	for i := 0; ctx.Err() == nil; i++ {
		id := "soak-" + strconv.Itoa(i)
		token, err := b.tenant(id, map[string]any{"requests_per_second": 5})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return
		}
		for range 20 {
			_ = b.chat(ctx, token, body)
		}
		_ = b.admin("DELETE", "/tenants/"+id, nil, nil)
		_ = b.admin("PUT", "/tenants/dev/credentials/openai/default", map[string]any{"secret": "sk-" + id}, nil)
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Second):
		}
	}
}

// report prints each figure at a tenth of the time, at its end, and how much it
// grows in an hour, by the straight line through the second half.
func report(samples []sample, after *sample) {
	if len(samples) < 4 {
		return
	}
	fmt.Println("| figure | at a tenth | at the end | largest | growth an hour, second half | when all is quiet again |\n| --- | ---: | ---: | ---: | ---: | ---: |")
	for _, f := range figures {
		largest := 0.
		for i := range samples {
			largest = max(largest, f.of(&samples[i]))
		}
		fmt.Printf("| %s | %.0f | %.0f | %.0f | %.1f | %.0f |\n", f.name, f.of(&samples[len(samples)/10]), f.of(&samples[len(samples)-1]),
			largest, slope(samples[len(samples)/2:], f.of)*3600, f.of(after))
	}
}

var figures = []struct {
	name string
	of   func(*sample) float64
}{
	{"goroutines", func(s *sample) float64 { return s.goroutines }},
	{"descriptors", func(s *sample) float64 { return s.descriptors }},
	{"resident MiB", func(s *sample) float64 { return s.resident }},
}

// slope is that of the line with the least squares, a second.
func slope(samples []sample, of func(*sample) float64) float64 {
	var n, x, y, xx, xy float64
	for i := range samples {
		at, v := samples[i].at.Seconds(), of(&samples[i])
		n, x, y, xx, xy = n+1, x+at, y+v, xx+at*at, xy+at*v
	}
	return (n*xy - x*y) / (n*xx - x*x)
}

// plot draws the figures, each on a scale of its own that begins at zero.
func plot(samples []sample) []byte {
	const width, height, left, top = 720., 130., 90., 24.
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%.0f" font-family="sans-serif" font-size="12">`+"\n", width+left+20, 3*(height+60))
	end := samples[len(samples)-1].at.Seconds()
	for i, f := range figures {
		y0 := top + float64(i)*(height+60)
		most := 1.
		for j := range samples {
			most = max(most, f.of(&samples[j])*1.1)
		}
		fmt.Fprintf(&b, `<text x="%.0f" y="%.0f">%s</text><rect x="%.0f" y="%.0f" width="%.0f" height="%.0f" fill="none" stroke="#999"/>`+"\n", left, y0-6, f.name, left, y0, width, height)
		fmt.Fprintf(&b, `<text x="%.0f" y="%.0f" text-anchor="end">%.0f</text><text x="%.0f" y="%.0f" text-anchor="end">0</text>`+"\n", left-6, y0+10, most, left-6, y0+height)
		fmt.Fprintf(&b, `<text x="%.0f" y="%.0f" text-anchor="end">%.0f min</text>`+"\n", left+width, y0+height+16, end/60)
		b.WriteString(`<polyline fill="none" stroke="#06c" points="`)
		for j := range samples {
			fmt.Fprintf(&b, "%.1f,%.1f ", left+samples[j].at.Seconds()/end*width, y0+height-f.of(&samples[j])/most*height)
		}
		b.WriteString("\"/>\n")
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}
