package config

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/ownkey/ownkey/internal/secretfile"
	"go.yaml.in/yaml/v3"
)

// Load reads and checks the file at path; env looks up the environment. The
// error is Problems: everything that is wrong, at once.
func Load(path string, env func(string) (string, bool)) (*Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, Problems{{File: path, Message: fmt.Sprintf("cannot read: %v", errors.Unwrap(err))}}
	}
	return Parse(path, data, env)
}

// Parse is Load for a file that was read already.
func Parse(name string, data []byte, env func(string) (string, bool)) (*Config, error) {
	d := &decoder{file: name, env: env, lines: map[string]int{}}
	c := Default()
	var root yaml.Node
	if err := yaml.Unmarshal(data, &root); err != nil {
		d.add(nil, "", "not valid YAML: "+unquoted(err))
		return nil, d.problems
	}
	if len(root.Content) > 0 {
		d.config(root.Content[0], &c)
	}
	d.validate(&c)
	if len(d.problems) > 0 {
		return nil, d.problems
	}
	return &c, nil
}

// unquoted is what yaml says about a file, without the words that it quotes from
// there: one of them could be a secret.
func unquoted(err error) string {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	switch {
	case strings.Contains(text, "anchor"):
		return "a value begins with * or &, which YAML takes for a reference; put it in quotes"
	case !fromScanner.MatchString(text):
		return "a value is not what its tag says"
	}
	return text
}

// fromScanner are the messages of yaml's scanner, which are fixed. What it
// quotes is punctuation.
var fromScanner = regexp.MustCompile(`^(line \d+: )?[a-zA-Z ,%-]+( '[^a-zA-Z0-9]{1,3}'[a-zA-Z ,'-]*)*$`)

// reference is ${NAME}, or $$ for a dollar sign.
var reference = regexp.MustCompile(`\$\$|\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)

// expand replaces references to the environment in a scalar.
func (d *decoder) expand(n *yaml.Node, path string) string {
	return reference.ReplaceAllStringFunc(n.Value, func(ref string) string {
		if ref == "$$" {
			return "$"
		}
		name := ref[2 : len(ref)-1]
		value, ok := d.env(name)
		if !ok {
			d.add(n, path, "the environment has no variable "+name)
		}
		return value
	})
}

// secret reads a value that must come from the environment or from a file.
func (d *decoder) secret(n *yaml.Node, path string) Secret {
	if n.Kind == yaml.ScalarNode {
		if m := reference.FindStringSubmatch(n.Value); m == nil || m[0] != n.Value || m[1] == "" {
			d.add(n, path, "a secret may not stand in this file; write ${NAME} for an environment variable, or {file: PATH}")
			return Secret{}
		}
		return d.filled(n, path, []byte(d.expand(n, path)))
	}
	if n.Kind != yaml.MappingNode || len(n.Content) != 2 || n.Content[0].Value != "file" {
		d.add(n, path, "want ${NAME} for an environment variable, or {file: PATH}")
		return Secret{}
	}
	return d.filled(n, path, d.secretFile(n, path, n.Content[1].Value))
}

func (d *decoder) filled(n *yaml.Node, path string, value []byte) Secret {
	value = bytes.TrimSpace(value)
	if len(value) == 0 {
		d.add(n, path, "the secret is empty")
	}
	return Secret{value}
}

func (d *decoder) secretFile(n *yaml.Node, path, file string) []byte {
	value, err := secretfile.Read(file)
	if err != nil {
		d.add(n, path, err.Error())
	}
	return value
}
