package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/ownkey/ownkey/benchmarks/load"
)

// contender is a way to the provider.
type contender struct {
	name  string
	about string
	kind  kind
	part  bool // of the whole: measured with unary calls only
	start func(ctx context.Context, b *bed, name string) (*instance, error)
}

type kind string

const (
	kindDirect kind = "direct"
	kindProxy  kind = "proxy" // the floor: checks, counts and records nothing
	kindOwnkey kind = "ownkey"
	kindPeer   kind = "peer"
)

// instance is a contender that runs, or waits to go on.
type instance struct {
	*process      // nil for direct
	target        load.Target
	model         string // empty: gpt-4o-mini
	configuration string
	version       string
	records       func(context.Context) (records, error) // nil if it has no books
	profile       string                                 // where to ask for a CPU profile

	asked int64 // calls so far that must be in the books
}

const startPatience = 2 * time.Minute

// The one that counts is named as the product: what a platform would run.
const (
	nameDirect = "direct"
	nameNginx  = "nginx"
	nameOwnkey = "ownkey"
	nameMemory = "ownkey-memory"
)

const (
	cacheTTL = "30s" // the default
	memories = 1000
)

// contenders are all, the floor first.
func contenders() []contender {
	gateway := func(name, about string, o ownkey) contender {
		return contender{name: name, about: about, kind: kindOwnkey, start: o.start}
	}
	part := func(name, about string, o ownkey) contender {
		c := gateway(name, about, o)
		c.part = true
		return c
	}
	all := []contender{
		{name: nameDirect, about: "no proxy", kind: kindDirect, start: startDirect},
		{name: nameNginx, about: "plain proxy", kind: kindProxy, start: script("proxies", "nginx", "nginx -v")},
		{name: "haproxy", about: "plain proxy", kind: kindProxy, start: script("proxies", "haproxy", "haproxy -v")},
		part("ownkey-sqlite", "local key, records in SQLite", ownkey{cacheTTL: cacheTTL}),
		part("ownkey-clickhouse", "local key, records in ClickHouse", ownkey{cacheTTL: cacheTTL, clickHouse: true}),
		gateway(nameOwnkey, "Vault, credentials cached 30 s, records in ClickHouse", ownkey{vault: true, cacheTTL: cacheTTL, clickHouse: true}),
		part("ownkey-unseal", "Vault asked for every call, records in ClickHouse", ownkey{vault: true, cacheTTL: "0s", clickHouse: true}),
		gateway(nameMemory, "as ownkey, with recall from 1,000 memories", ownkey{vault: true, cacheTTL: cacheTTL, clickHouse: true, memories: memories}),
	}
	for _, p := range peers {
		all = append(all, contender{name: p.name, about: p.about, kind: kindPeer, start: p.start})
	}
	return all
}

func startDirect(_ context.Context, b *bed, _ string) (*instance, error) {
	return &instance{target: load.Target{Addr: b.ends.Provider(), Path: chatPath, Header: []string{bearer}}}, nil
}

const (
	chatPath = "/v1/chat/completions"
	bearer   = "Authorization: Bearer " + providerKey + "\r\n"
)

// script starts what benchmarks/KIND/NAME/start.sh says.
func script(kind, name, version string) func(context.Context, *bed, string) (*instance, error) {
	return func(_ context.Context, b *bed, _ string) (*instance, error) {
		i, err := b.runScript(kind, name, filepath.Join(b.peers, name))
		if err != nil {
			return nil, err
		}
		out, _ := exec.Command("sh", "-c", version+" 2>&1 | head -n 1").Output()
		i.version = strings.TrimSpace(string(out))
		return i, nil
	}
}

// runScript starts a program by its script: where it is installed, its port,
// the provider's, a directory for what it writes.
func (b *bed) runScript(kind, name, installed string) (*instance, error) {
	addr, err := freePort()
	if err != nil {
		return nil, err
	}
	work := filepath.Join(b.dir, name)
	if err := os.MkdirAll(work, 0o711); err != nil {
		return nil, err
	}
	path := filepath.Join("benchmarks", kind, name, "start.sh")
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	port := func(n uint16) string { return strconv.Itoa(int(n)) }
	p, err := startProcess(contenderCore, filepath.Join(b.dir, name+".log"), nil, "sh", path, installed, port(addr.Port()), port(b.ends.Provider().Port()), work)
	if err != nil {
		return nil, err
	}
	i := &instance{process: p, target: load.Target{Addr: addr, Path: chatPath, Header: []string{bearer}}, configuration: string(text)}
	if err := b.await(addr, p); err != nil {
		p.stop()
		return nil, err
	}
	return i, nil
}
