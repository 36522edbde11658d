package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// calls is how many are timed of each kind.
const calls = 2000

// throughGateway measures what recall adds to the time to an answer's first
// byte: the same calls with memory and without, in turns.
func throughGateway(ctx context.Context, texts, questions []string) error {
	provider, stop, err := startProvider(ctx)
	if err != nil {
		return err
	}
	defer stop()
	p, err := startProduct(ctx, provider, "")
	if err != nil {
		return err
	}
	defer p.close()
	fmt.Println("\nThe time to a streamed answer's first byte, through the gateway to a provider on this machine, with memory and without in turns, one connection.")
	fmt.Println()
	fmt.Println("| memories in the bucket | without: p50 | p99 | with recall: p50 | p99 | added p50 | of it recall, by Server-Timing |\n| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
	for _, n := range []int{1000, 20_000} {
		bucket := fmt.Sprintf("bucket-%d", n)
		if err := p.fill(bucket, n, texts); err != nil {
			return err
		}
		if _, _, err := p.ask(bucket, questions[0], 8); err != nil { // loads it
			return err
		}
		var took [2][]time.Duration
		var recalls []time.Duration
		hits := 0
		for i := range calls {
			for mode := range 2 {
				c, err := p.firstByte(bucket, questions[i%len(questions)], mode == 1)
				if err != nil {
					return err
				}
				if c.hit {
					hits++
					recalls = append(recalls, c.recall)
				}
				took[mode] = append(took[mode], c.took)
			}
		}
		fmt.Printf("| %d (%d of %d calls with a block) | %s | %s | %s | %s | %s | %s |\n", n, hits, calls,
			share(took[0], .5), share(took[0], .99), share(took[1], .5), share(took[1], .99), share(took[1], .5)-share(took[0], .5), share(recalls, .5))
	}
	return nil
}

func (p *product) fill(bucket string, n int, texts []string) error {
	for part := range slices.Chunk(someDocuments(texts, 0, n), 1000) {
		var all []map[string]any
		for i := range part {
			all = append(all, map[string]any{"content": part[i].Text, "session": part[i].Session, "observed_at": part[i].Date})
		}
		if err := p.call(http.MethodPost, p.base+"/buckets/"+bucket+"/memories", p.token, map[string]any{"memories": all, "dedup": "off"}, nil); err != nil {
			return err
		}
	}
	return nil
}

// timed is one call.
type timed struct {
	took   time.Duration // to the first byte
	recall time.Duration // as the gateway says
	hit    bool
}

// firstByte makes one call and says when its answer began.
func (p *product) firstByte(bucket, question string, memory bool) (c timed, err error) {
	body := fmt.Sprintf(`{"model":"local/m","stream":true,"messages":[{"role":"user","content":%q}]}`, question)
	r, err := http.NewRequest(http.MethodPost, p.base+"/chat/completions", strings.NewReader(body))
	if err != nil {
		return c, err
	}
	r.Header.Set("Authorization", "Bearer "+p.token)
	r.Header.Set("Content-Type", "application/json")
	if memory {
		r.Header.Set("Ownkey-Memory", "recall")
		r.Header.Set("Ownkey-Bucket", bucket)
	}
	began := time.Now()
	answer, err := p.client.Do(r)
	if err != nil {
		return c, err
	}
	defer answer.Body.Close()
	if _, err := answer.Body.Read(make([]byte, 1)); err != nil || answer.StatusCode != http.StatusOK {
		return c, fmt.Errorf("%d %w", answer.StatusCode, err)
	}
	c.took = time.Since(began)
	c.hit = answer.Header.Get("Ownkey-Memory") == "hit"
	if _, timing, ok := strings.Cut(answer.Header.Get("Server-Timing"), "recall;dur="); ok {
		timing, _, _ = strings.Cut(timing, ",")
		c.recall, err = time.ParseDuration(timing + "ms")
	}
	_, cerr := io.Copy(io.Discard, answer.Body)
	return c, errors.Join(err, cerr)
}

// startProvider runs the fake provider in a process of its own.
func startProvider(ctx context.Context) (url string, stop func(), err error) {
	dir, err := os.MkdirTemp("", "ownkey-provider")
	if err != nil {
		return "", nil, err
	}
	binary := filepath.Join(dir, "fakeprovider")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, "./internal/fakeprovider/cmd/fakeprovider").CombinedOutput(); err != nil {
		return "", nil, fmt.Errorf("%w: %s", err, out)
	}
	cmd := exec.CommandContext(ctx, binary, "-listen", "127.0.0.1:0")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return "", nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	return strings.TrimSpace(line), func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = os.RemoveAll(dir)
	}, err
}

// share gives a percentile.
func share(all []time.Duration, p float64) time.Duration {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[int(float64(len(sorted)-1)*p)].Round(time.Microsecond)
}
