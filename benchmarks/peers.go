package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// peer is another gateway, installed outside of the repository by
// peers/NAME/install.sh and started by peers/NAME/start.sh in the fastest
// configuration that its own documentation recommends.
type peer struct {
	name, about string
	path        string // of chat completions
	header      string // besides the key; %d is the provider's port
	model       string
}

var peers = []peer{
	{name: "litellm", about: "LiteLLM proxy", path: chatPath},
	{name: "portkey", about: "Portkey AI gateway", path: chatPath, header: "x-portkey-provider: openai\r\nx-portkey-custom-host: http://127.0.0.1:%d/v1\r\n"},
	{name: "bifrost", about: "Bifrost", path: chatPath, model: "openai/gpt-4o-mini"},
	{name: "agentgateway", about: "agentgateway", path: chatPath},
	{name: "tensorzero", about: "TensorZero gateway", path: "/openai/v1/chat/completions", model: "tensorzero::model_name::gpt-4o-mini"},
	{name: "helicone", about: "Helicone AI gateway", path: chatPath},
}

// notInstalled is a peer that can not be measured here, and why.
type notInstalled struct{ why string }

func (n notInstalled) Error() string { return n.why }

func (p peer) dir(b *bed) string { return filepath.Join(b.peers, p.name) }

func (p peer) start(_ context.Context, b *bed, _ string) (*instance, error) {
	if _, err := os.Stat(p.dir(b)); err != nil {
		return nil, notInstalled{"not installed (make bench-peers)"}
	}
	i, err := b.runScript("peers", p.name, p.dir(b))
	if err != nil {
		return nil, err
	}
	i.target.Path, i.model = p.path, p.model
	if p.header != "" {
		i.target.Header = []string{bearer + fmt.Sprintf(p.header, b.ends.Provider().Port())}
	}
	i.version = p.version()
	return i, nil
}

// version is what the peer's install script installs.
func (p peer) version() string {
	text, _ := os.ReadFile(filepath.Join("benchmarks", "peers", p.name, "install.sh"))
	var all []string
	for line := range strings.Lines(string(text)) {
		for _, name := range []string{"VERSION=", "COMMIT="} {
			if v, ok := strings.CutPrefix(line, name); ok {
				all = append(all, strings.Trim(strings.TrimSpace(v), `"'`))
			}
		}
	}
	return strings.Join(all, " ")
}

// install runs a peer's install script.
func (p peer) install(dir string) error {
	c := exec.Command("sh", filepath.Join("benchmarks", "peers", p.name, "install.sh"), filepath.Join(dir, p.name))
	c.Stdout, c.Stderr = os.Stderr, os.Stderr
	if err := c.Run(); err != nil {
		return fmt.Errorf("cannot install %s: %w", p.name, err)
	}
	return nil
}
