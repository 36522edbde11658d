package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ownkey/ownkey/internal/canary"
)

// feed is a kind of call that carries marked texts.
type feed struct {
	name, method, path string
	body               string // MODEL stands for the model
	contentType        string
	headers            []string
}

// feeds are the endpoints.
func (c *cage) feeds() []feed {
	prompt := c.prompt.Core
	chat := `{"model":"MODEL","messages":[{"role":"system","content":"You are ` + prompt + `"},{"role":"user","content":"Say ` + prompt + ` \"aloud\""}],"user":"` + prompt + `"`
	messages := `{"model":"MODEL","max_tokens":50,"system":"` + prompt + `","messages":[{"role":"user","content":"` + prompt + `"}]`
	responses := `{"model":"MODEL","instructions":"` + prompt + `","input":"` + prompt + `"`
	memory := `{"content":"Ada keeps ` + c.memory.Core + ` on the roof of the library."}`
	all := []feed{
		{name: "chat", path: "/chat/completions", body: chat + "}"},
		{name: "chat stream", path: "/chat/completions", body: chat + `,"stream":true,"stream_options":{"include_usage":true}}`},
		{name: "chat with recall", path: "/chat/completions", headers: []string{"Ownkey-Memory", "recall"}, body: strings.Replace(chat, `\"aloud\"`, "what Ada keeps on the roof of the library", 1) + "}"},
		{name: "chat with capture", path: "/chat/completions", headers: []string{"Ownkey-Memory", "on"}, body: strings.ReplaceAll(chat, prompt, c.captured.Core) + `,"stream":true}`},
		{name: "responses", path: "/responses", body: responses + "}"},
		{name: "responses stream", path: "/responses", body: responses + `,"stream":true}`},
		{name: "messages", path: "/messages", body: messages + "}"},
		{name: "messages stream", path: "/messages", body: messages + `,"stream":true}`},
		{name: "completions", path: "/completions", body: `{"model":"MODEL","prompt":"` + prompt + `"}`},
		{name: "embeddings", path: "/embeddings", body: `{"model":"MODEL","input":"` + prompt + `"}`},
		{name: "models", method: "GET", path: "/models?user=" + c.userID.Core, headers: []string{"X-Client-Request-Id", c.userID.Core, "User-Agent", c.userID.Core, "Cookie", c.wrong.Core}},
		{
			name: "upload", path: "/files", contentType: "multipart/form-data; boundary=b",
			body: "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"" + c.upload.Core + "\"\r\n\r\n" + c.upload.Core + "\r\n--b--\r\n",
		},
		{name: "memory stored", path: "/buckets/default/memories", body: memory},
		{name: "memory query", path: "/query", body: `{"query":"What does Ada keep on the roof? ` + prompt + `","buckets":["default"]}`},
		{name: "memory list", method: "GET", path: "/buckets/default/memories"},
		{name: "usage", method: "GET", path: "/usage?user=" + c.userID.Core},
		{name: "no such path", path: "/" + c.userID.Core + "/%2e%2e/x", body: prompt},
	}
	for i := range all {
		if all[i].method == "" {
			all[i].method = "POST"
		}
		if all[i].contentType == "" {
			all[i].contentType = "application/json"
		}
	}
	return all
}

// send makes a call and keeps what the client gets. A good answer holds what
// the provider or the memory store says; one of the gateway's own holds nothing.
func (c *cage) send(f *feed, model, token string) (status int) {
	ctx, stop := context.WithTimeout(context.Background(), 20*time.Second)
	defer stop()
	request, err := http.NewRequestWithContext(ctx, f.method, c.ready.BaseURL+f.path, strings.NewReader(strings.ReplaceAll(f.body, "MODEL", model)))
	if err != nil {
		c.t.Error(err)
		return 0
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", f.contentType)
	for i := 0; i+1 < len(f.headers); i += 2 {
		request.Header.Set(f.headers[i], f.headers[i+1])
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		return 0 // cut, or the process is down
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body) // cut ones, too
	c.keep("headers to clients", fmt.Appendf(nil, "%s %v", response.Status, response.Header))
	if response.Header.Get("Ownkey-Error") != "" {
		c.keep("errors to clients", body)
	} else {
		c.keep("answers to clients", body, c.completion, c.memory, c.captured, c.prompt, c.upload)
	}
	return response.StatusCode
}

// everyEndpoint sends every kind of call, some at once.
func (c *cage) everyEndpoint(model string, change ...func(*feed)) (calls int) {
	var all sync.WaitGroup
	slots := make(chan struct{}, 6)
	for _, f := range c.feeds() {
		for _, ch := range change {
			ch(&f)
		}
		calls++
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			c.send(&f, model, c.stand.token)
		})
	}
	all.Wait()
	return calls
}

// providersWays are what a provider can do to a call.
var providersWays = []string{
	"gpt-4o-mini", "fake:status=400", "fake:status=401", "fake:status=404", "fake:status=429,retry-after=1", "fake:status=500", "fake:status=503",
	"fake:stall", "fake:refuse", "fake:garbage", "fake:lie-length", "fake:chunks=4,cut-after=2", "fake:chunks=4,cut-after=2,cut-mid", "fake:chunks=4,stall-after=2",
	"fake:chunks=3,error-event", "fake:chunks=3,no-done", "fake:header-echo", "fake:gzip", "fake:chunks=3,trickle", "fake:interim", "fake:big=200000",
}

// points are where the program breaks: one at least in each room.
var points = []string{
	"gateway.serve", "gateway.finish", "admission.enter", "directory.authenticate", "wire.head", "wire.scanner", "memory.recall", "memory.store",
	"vaultbridge.credential", "upstream.send", "upstream.next", "meter.close", "admin.put",
}

// TestCanaries plants marked prompts, completions, memories, keys and tokens,
// drives every endpoint through every failure, and searches whatever the
// gateway leaves behind, in every form.
func TestCanaries(t *testing.T) {
	c := newCage(t)
	data := filepath.Join(c.dir, "data")
	c.breakAt()
	calls, failures := 0, 0
	way := func(name string, n int) {
		t.Helper()
		calls += n
		failures++
	}
	if f := c.feeds(); c.send(&f[0], "gpt-4o-mini", c.stand.token) != 200 {
		t.Fatalf("no call succeeds: %s", c.stderr.String())
	}
	for _, model := range providersWays {
		way(model, c.everyEndpoint(model))
	}
	c.look()

	way("broken JSON", c.everyEndpoint("x", func(f *feed) { f.body = strings.TrimSuffix(f.body, "}") + `,"x":` }))
	way("invalid UTF-8", c.everyEndpoint("x", func(f *feed) { f.body = strings.Replace(f.body, c.prompt.Core, c.prompt.Core+"\xff", 1) }))
	way("members twice", c.everyEndpoint(`a","model":"`+c.prompt.Core))
	way("a prompt as the model", c.everyEndpoint("please say "+c.prompt.Core))
	way("too large", c.everyEndpoint("x", func(f *feed) { f.body += strings.Repeat(c.prompt.Core, 5000) }))
	way("compressed", c.everyEndpoint("x", func(f *feed) { f.headers = append(f.headers, "Content-Encoding", "gzip") }))
	way("another provider's path", c.everyEndpoint("nobody/model"))
	way("provider away", c.everyEndpoint("away/gpt-4o"))
	way("wrong label", c.everyEndpoint("x", func(f *feed) { f.headers = append(f.headers, "Ownkey-Credential", c.userID.Core) }))
	way("wrong memory header", c.everyEndpoint("x", func(f *feed) {
		f.headers = append(f.headers, "Ownkey-Memory", c.userID.Core, "Ownkey-Bucket", c.userID.Core+"/?")
	}))
	for _, wrong := range []string{"ok_" + c.wrong.Core + strings.Repeat("0", 27), "sk-" + c.wrong.Core, c.stand.token[:len(c.stand.token)-1] + "x", c.stand.token + c.wrong.Core} {
		for _, f := range c.feeds() {
			if status := c.send(&f, "x", wrong); status != 401 {
				t.Errorf("%s with a wrong token: %d", f.name, status)
			}
			calls++
		}
		failures++
	}
	way("the client leaves", c.leave())
	for _, refused := range []string{c.ready.AdminToken + c.wrong.Core, "oka_" + c.wrong.Core} {
		_, _ = c.adminAs(refused)
		failures++
	}
	c.look()

	for _, point := range points {
		c.breakAt(point)
		way("panic at "+point, c.everyEndpoint("gpt-4o-mini")+c.everyEndpoint("fake:chunks=3"))
		out, _ := c.verb("sk-"+c.providerKey.Core, "credential", "put", "--tenant", "acme", "--provider", "openai", "--label", "other")
		c.keep("output of verbs", []byte(out))
		c.breakAt()
		c.eventually("a call succeeds after a panic at "+point, func() bool {
			f := c.feeds()
			return c.send(&f[0], "gpt-4o-mini", c.stand.token) == 200
		})
	}
	c.look()
	for _, point := range []string{"vaultbridge.open", "meter.drain"} { // these end the process
		c.breakAt(point)
		time.Sleep(1100 * time.Millisecond) // what is cached is forgotten
		way("panic at "+point, c.everyEndpoint("gpt-4o-mini"))
		if err := c.cmd.Wait(); err == nil || c.cmd.ProcessState.ExitCode() != 2 {
			t.Errorf("at %s the process ended with %v", point, err)
		}
		c.breakAt()
		c.serve()
	}

	if err := c.vault.Pause(context.Background()); err != nil {
		t.Fatal(err)
	}
	time.Sleep(1100 * time.Millisecond)
	way("Vault hangs", c.everyEndpoint("gpt-4o-mini"))
	out, _ := c.verb("sk-"+c.providerKey.Core, "credential", "put", "--tenant", "acme", "--provider", "openai", "--label", "third")
	c.keep("output of verbs", []byte(out))
	if err := c.vault.Resume(); err != nil {
		t.Fatal(err)
	}
	if err := c.engine.Kill(); err != nil {
		t.Fatal(err)
	}
	way("ClickHouse is away", c.everyEndpoint("gpt-4o-mini"))
	c.look()
	if err := c.engine.Restart(context.Background()); err != nil {
		t.Fatal(err)
	}
	c.eventually("calls succeed again", func() bool {
		f := c.feeds()
		return c.send(&f[0], "gpt-4o-mini", c.stand.token) == 200
	})
	c.reconfigure("cache_ttl: 1s", "cache_ttl: 0s")
	way("another configuration", c.everyEndpoint("gpt-4o-mini"))
	lock := c.lockStore()
	way("the tenants' store is locked", c.everyEndpoint("gpt-4o-mini"))
	out, _ = c.verb("", "tenant", "update", "acme", "--name", "Acme again")
	c.keep("output of verbs", []byte(out))
	lock()
	time.Sleep(3 * time.Second) // what waits goes to ClickHouse
	c.gather(data)
	c.tables()
	stays := c.feeds()[1]
	go c.send(&stays, "fake:chunks=1000,gap=20ms", c.stand.token)
	time.Sleep(300 * time.Millisecond)
	_ = c.cmd.Process.Signal(syscall.SIGQUIT) // with a stream open
	_ = c.cmd.Wait()
	failures++
	if s := c.stderr.String(); !strings.Contains(s, "SIGQUIT") || !strings.Contains(s, "goroutine ") {
		t.Error("the crash output is not on stderr")
	}
	c.gather(data)

	for _, leak := range c.leaks() {
		t.Error(leak)
	}
	c.meta()
	names := make([]string, 0, len(c.sinks))
	size := 0
	for name, s := range c.sinks {
		names = append(names, name)
		size += s.b.Len()
	}
	slices.Sort(names)
	t.Logf("%d sinks × %d endpoints × %d failures: %d calls, %d MB searched for %d marks in %d forms\nsinks: %s",
		len(names), len(c.feeds()), failures, calls, size>>20, len(c.marks()), len(canary.Forms()), strings.Join(names, ", "))
	if len(names) < 30 || failures < 40 {
		t.Errorf("only %d sinks, %d failures", len(names), failures)
	}
	for _, must := range []struct {
		sink string
		mark canary.Mark
	}{{"data: " + memoryFile, c.memory}, {"data: " + memoryFile, c.captured}, {"answers to clients", c.completion}} {
		held := ""
		for name, s := range c.sinks {
			if strings.HasPrefix(name, must.sink) { // with its write-ahead log
				held += s.b.String()
			}
		}
		if !strings.Contains(held, must.mark.Core) {
			t.Errorf("%s does not hold the %s: it was never planted", must.sink, must.mark.Name)
		}
	}
}

// meta plants each mark in each sink in each form, and wants each to be found.
func (c *cage) meta() {
	c.t.Helper()
	for name, s := range c.sinks {
		b := s.b.Bytes()
		b = b[:min(len(b), 1<<20)] // of the large ones the beginning does
		for i, m := range c.marks() {
			if slices.Contains(s.may, m) {
				continue
			}
			forms := canary.Forms()
			form := forms[(i*7+len(name))%len(forms)]
			found := s.leaks(name, canary.Plant(b, m, form), []canary.Mark{m})
			if len(found) == 0 {
				c.t.Errorf("the %s was planted in %s as %s, and not found", m.Name, name, form)
			}
		}
	}
}

// leave begins calls and goes away in the middle.
func (c *cage) leave() (calls int) {
	for _, f := range c.feeds() {
		for _, model := range []string{"fake:stall", "fake:chunks=50,gap=20ms"} {
			ctx, stop := context.WithTimeout(context.Background(), 60*time.Millisecond)
			request, err := http.NewRequestWithContext(ctx, f.method, c.ready.BaseURL+f.path, strings.NewReader(strings.ReplaceAll(f.body, "MODEL", model)))
			if err != nil {
				c.t.Fatal(err)
			}
			request.Header.Set("Authorization", "Bearer "+c.stand.token)
			request.Header.Set("Content-Type", f.contentType)
			if response, err := http.DefaultTransport.RoundTrip(request); err == nil {
				_, _ = io.ReadAll(response.Body)
				_ = response.Body.Close()
			}
			stop()
			calls++
		}
	}
	return calls
}

// adminAs makes an admin call with a token and a body that hold marks.
func (c *cage) adminAs(token string) (int, error) {
	request, err := http.NewRequest("PUT", c.ready.AdminURL+"/admin/v1/tenants/acme/credentials/openai/"+c.userID.Core,
		strings.NewReader(`{"secret":"sk-`+c.providerKey.Core+`","unknown":"`+c.prompt.Core+`"}`))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	c.keep("admin errors", fmt.Appendf(nil, "%v %s", response.Header, b))
	return response.StatusCode, err
}

// The same on a disk that is full: nothing is said in a hurry.
func TestCanariesOnAFullDisk(t *testing.T) {
	c := newCage(t, func(c *cage) {
		data := filepath.Join(c.dir, "data")
		if err := os.MkdirAll(data, 0o700); err != nil {
			t.Fatal(err)
		}
		c.wrap = []string{"unshare", "--map-root-user", "--mount", "sh", "-c", `mount -t tmpfs -o size=160m tmpfs "$0" && exec "$@"`, data}
	})
	c.breakAt()
	data := fmt.Sprintf("/proc/%d/root%s", c.cmd.Process.Pid, filepath.Join(c.dir, "data"))
	f := c.feeds()
	if c.send(&f[0], "gpt-4o-mini", c.stand.token) != 200 {
		t.Fatalf("no call succeeds: %s", c.stderr.String())
	}
	filler, err := os.Create(filepath.Join(data, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = filler.Write(make([]byte, 4096))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	calls, statuses := 0, map[int]int{}
	for _, model := range []string{"gpt-4o-mini", "fake:chunks=20", "fake:status=500", "fake:chunks=4,cut-after=2"} {
		calls += c.everyEndpoint(model)
	}
	for range 3000 { // until what is set aside for records is used up
		statuses[c.send(&f[0], "gpt-4o-mini", c.stand.token)]++
	}
	out, status := c.verb("sk-"+c.providerKey.Core, "credential", "put", "--tenant", "acme", "--provider", "openai", "--label", "other")
	if status == 0 {
		t.Error("a credential was stored on a full disk")
	}
	c.keep("output of verbs", []byte(out))
	c.look()
	if err := errors.Join(filler.Close(), os.Remove(filler.Name())); err != nil {
		t.Fatal(err)
	}
	c.eventually("calls succeed again", func() bool { return c.send(&f[0], "gpt-4o-mini", c.stand.token) == 200 })
	c.gather(data)
	for _, leak := range c.leaks() {
		t.Error(leak)
	}
	t.Logf("%d calls, then by status: %v", calls, statuses)
}

// A leak in a real place turns the suite red: in a file, a row, the environment,
// an admin answer, a log.
func TestPlantedLeaksAreFound(t *testing.T) {
	c := newCage(t)
	c.breakAt()
	if f := c.feeds(); c.send(&f[0], "gpt-4o-mini", c.stand.token) != 200 {
		t.Fatal("no call succeeds")
	}
	c.look()
	c.gather(filepath.Join(c.dir, "data"))
	if found := c.leaks(); len(found) > 0 {
		t.Fatalf("before anything was planted: %v", found)
	}
	c.env = append(c.env, "LEFT="+c.upload.Core)
	c.kill()
	c.serve()
	c.want("", "tenant", "update", "acme", "--name", "Acme of "+c.captured.Core)
	for _, planted := range []string{"notes.txt", "segments/x", "ledger/x"} {
		path := filepath.Join(c.dir, "data", planted)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, canary.Plant([]byte("x"), c.prompt, "gzip"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c.stderr.mu.Lock()
	c.stderr.b.Write(canary.Plant([]byte("{}"), c.completion, "base64+1"))
	c.stderr.mu.Unlock()
	c.insertLeak(c.memory)
	c.sinks = map[string]*sink{}
	c.look()
	c.gather(filepath.Join(c.dir, "data"))
	c.tables()
	found := strings.Join(c.leaks(), "\n")
	for _, want := range []string{
		"/proc/PID/environ holds the upload", "admin answers holds the captured turn", "data: notes.txt holds the prompt", "data: segments holds the prompt",
		"data: ledger holds the prompt", "data: ownkey.db", "stderr holds the completion", "ClickHouse: ",
	} {
		if !strings.Contains(found, want) {
			t.Errorf("not found: %s", want)
		}
	}
}
