package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// product is the gateway's own program, with a tenant, asked over HTTP.
type product struct {
	dir    string
	cmd    *exec.Cmd
	base   string // of the data plane, with /v1
	admin  string
	token  string
	client *http.Client
}

const adminToken = "recall-benchmark-admin"

// startProduct builds and starts the gateway. provider is the base URL of the
// tenant's only provider, local; embeddings is the model whose vectors the
// tenant uses. Both may be empty.
func startProduct(ctx context.Context, provider, embeddings string) (p *product, err error) {
	p = &product{client: &http.Client{Timeout: time.Minute}}
	started := p
	if p.dir, err = os.MkdirTemp("", "ownkey-recall"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			started.close()
		}
	}()
	binary := filepath.Join(p.dir, "ownkey")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, "./cmd/ownkey").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	if out, err := exec.CommandContext(ctx, binary, "keygen", filepath.Join(p.dir, "master.key")).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	if err := p.configure(provider, embeddings); err != nil {
		return nil, err
	}
	p.cmd = exec.Command(binary, "serve", "--config", filepath.Join(p.dir, "ownkey.yaml"))
	p.cmd.Env = append(os.Environ(), "OWNKEY_ADMIN_TOKEN="+adminToken)
	log, err := os.Create(filepath.Join(p.dir, "log"))
	if err != nil {
		return nil, err
	}
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	if err := p.ready(); err != nil {
		return nil, err
	}
	return p, p.tenant(provider, embeddings)
}

func (p *product) configure(provider, embeddings string) error {
	var ports [2]string
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		ports[i] = l.Addr().String()
		_ = l.Close()
	}
	p.base, p.admin = "http://"+ports[0]+"/v1", "http://"+ports[1]
	text := fmt.Sprintf("listen: %s\nadmin: {listen: %s, token: \"${OWNKEY_ADMIN_TOKEN}\"}\ndata: %s\nkeyring: {master_key_file: %s}\nlog: {level: error}\n",
		ports[0], ports[1], filepath.Join(p.dir, "data"), filepath.Join(p.dir, "master.key"))
	if provider != "" {
		text += fmt.Sprintf("providers: {local: {base_url: %q}}\n", provider)
	}
	if embeddings != "" {
		text += "memory: {query_embedding_timeout: 1s, recall_timeout: 1s}\n"
	}
	return os.WriteFile(filepath.Join(p.dir, "ownkey.yaml"), []byte(text), 0o600)
}

func (p *product) ready() error {
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		r, err := p.client.Get(strings.TrimSuffix(p.base, "/v1") + "/readyz")
		if err == nil {
			_ = r.Body.Close()
			if r.StatusCode == http.StatusOK {
				return nil
			}
		}
		if time.Now().After(end) {
			log, _ := os.ReadFile(filepath.Join(p.dir, "log"))
			return fmt.Errorf("the gateway does not start: %s", log)
		}
	}
}

func (p *product) tenant(provider, embeddings string) error {
	err := p.call(http.MethodPost, p.admin+"/admin/v1/tenants", adminToken, map[string]any{"id": "bench"}, nil)
	if err == nil && provider != "" {
		err = errors.Join(
			p.call(http.MethodPut, p.admin+"/admin/v1/tenants/bench/credentials/local/default", adminToken, map[string]any{"secret": "sk-local"}, nil),
			p.call(http.MethodPatch, p.admin+"/admin/v1/tenants/bench", adminToken, map[string]any{"memory": map[string]any{"embeddings_model": embeddings}}, nil))
	}
	var made struct {
		Token string `json:"token"`
	}
	if err == nil {
		err = p.call(http.MethodPost, p.admin+"/admin/v1/tenants/bench/tokens", adminToken, map[string]any{"label": "bench"}, &made)
	}
	p.token = made.Token
	return err
}

func (p *product) call(method, url, token string, in, out any) error {
	b, err := json.Marshal(in)
	if err != nil {
		return err
	}
	r, err := http.NewRequest(method, url, bytes.NewReader(b))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	answer, err := p.client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %d %s", method, url, answer.StatusCode, body)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(body, out)
}

// store stores a conversation in a bucket of its own, and gives the turn of
// each memory.
func (p *product) store(c *conversation) (map[string]string, error) {
	type one struct {
		Content    string    `json:"content"`
		Speaker    string    `json:"speaker"`
		Session    string    `json:"session"`
		ObservedAt time.Time `json:"observed_at"`
	}
	turns := map[string]string{}
	for from := 0; from < len(c.turns); from += 500 {
		part := c.turns[from:min(from+500, len(c.turns))]
		var all []one
		for _, t := range part {
			all = append(all, one{t.text, t.speaker, t.session, t.day})
		}
		var out struct {
			Memories []struct {
				ID     string `json:"id"`
				Status string `json:"status"`
			} `json:"memories"`
		}
		if err := p.call(http.MethodPost, p.base+"/buckets/"+c.name+"/memories", p.token, map[string]any{"memories": all}, &out); err != nil {
			return nil, err
		}
		for i, m := range out.Memories {
			if m.Status != "stored" {
				return nil, fmt.Errorf("turn %s is %s", part[i].id, m.Status)
			}
			turns[m.ID] = part[i].id
		}
	}
	return turns, nil
}

// ask gives the ids of the memories that a question finds, best first.
func (p *product) ask(bucket, question string, k int) (ids []string, cosines bool, err error) {
	var out struct {
		Explanation struct {
			Memories []struct {
				ID    string `json:"memory_id"`
				Parts struct {
					Cosine float64 `json:"cosine"`
				} `json:"parts"`
			} `json:"retrieved_memories"`
		} `json:"explanation"`
	}
	err = p.call(http.MethodPost, p.base+"/query", p.token, map[string]any{
		"query": question, "buckets": []string{bucket}, "options": map[string]any{"skip_synthesis": true, "top_k": k, "explain": true},
	}, &out)
	for _, m := range out.Explanation.Memories {
		ids = append(ids, m.ID)
		cosines = cosines || m.Parts.Cosine != 0
	}
	return ids, cosines, err
}

// embedded waits until all vectors are there.
func (p *product) embedded(ctx context.Context, n int) error {
	for {
		r, err := http.NewRequest(http.MethodGet, p.admin+"/metrics", nil)
		if err != nil {
			return err
		}
		r.Header.Set("Authorization", "Bearer "+adminToken)
		answer, err := p.client.Do(r)
		if err != nil {
			return err
		}
		text, _ := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		done := 0.0
		for line := range strings.Lines(string(text)) {
			if _, err := fmt.Sscanf(line, "ownkey_memory_embedded_total %g", &done); err == nil {
				break
			}
		}
		if int(done) >= n {
			return nil
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (p *product) close() {
	if p.cmd != nil && p.cmd.Process != nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	}
	_ = os.RemoveAll(p.dir)
}
