package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
)

// peer is another gateway, installed outside of the repository and started by
// peers/NAME/start.sh in the fastest configuration that its own documentation
// recommends. What is published as a package, peers/NAME/install.sh installs.
type peer struct {
	name, about string
	version     string
	path        string // of chat completions
	header      string // besides the key; %d is the provider's port
	model       string
	noDone      bool // its streams end without [DONE]
}

var peers = []peer{
	{name: "litellm", about: "LiteLLM proxy", version: "1.108.7", path: chatPath},
	{
		name: "portkey", about: "Portkey AI gateway", version: "1.15.2", path: chatPath,
		header: "x-portkey-provider: openai\r\nx-portkey-custom-host: http://127.0.0.1:%d/v1\r\n",
	},
	{name: "bifrost", about: "Bifrost", version: "1.4.19, 5978108", path: chatPath, model: "openai/gpt-4o-mini"},
	{name: "agentgateway", about: "agentgateway", version: "75b4e6c", path: chatPath},
	{name: "tensorzero", about: "TensorZero gateway", version: "2026.4.1, 7a6159a", path: "/openai/v1/chat/completions", model: "tensorzero::model_name::gpt-4o-mini"},
	{name: "helicone", about: "Helicone AI gateway", version: "0.2.0-beta.30, 42d2998", path: "/ai/chat/completions", model: "openai/gpt-4o-mini", noDone: true},
}

// notInstalled is a peer that can not be measured here, and why.
type notInstalled struct{ why string }

func (n notInstalled) Error() string { return n.why }

func (p peer) dir(b *bed) string { return filepath.Join(b.peers, p.name) }

func (p peer) start(_ context.Context, b *bed, _ string) (*instance, error) {
	if _, err := os.Stat(p.dir(b)); err != nil {
		return nil, notInstalled{"not installed, see benchmarks/peers/" + p.name}
	}
	i, err := b.runScript("peers", p.name, p.dir(b))
	if err != nil {
		return nil, err
	}
	i.target.Path, i.model = p.path, p.model
	if p.header != "" {
		i.target.Header = []string{bearer + fmt.Sprintf(p.header, b.ends.Provider().Port())}
	}
	i.version, i.target.NoDone = p.version, p.noDone
	return i, nil
}

// install runs a peer's install script, if it has one.
func (p peer) install(dir string) error {
	script := filepath.Join("benchmarks", "peers", p.name, "install.sh")
	if _, err := os.Stat(script); errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintf(os.Stderr, "%s: no published package; benchmarks/peers/%s/README.md says where it is to be had. Put the program into %s\n",
			p.name, p.name, filepath.Join(dir, p.name))
		return nil
	}
	c := exec.Command("sh", script, filepath.Join(dir, p.name))
	c.Stdout, c.Stderr = os.Stderr, os.Stderr
	if err := c.Run(); err != nil {
		return fmt.Errorf("cannot install %s: %w", p.name, err)
	}
	return nil
}
