package config

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"

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
		d.add(nil, "", "not valid YAML: "+strings.TrimPrefix(err.Error(), "yaml: "))
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
	info, err := os.Stat(file)
	if err != nil {
		d.add(n, path, fmt.Sprintf("cannot read %s: %v", file, errors.Unwrap(err)))
		return nil
	}
	if info.Mode().Perm()&0o077 != 0 {
		d.add(n, path, fmt.Sprintf("others can access %s (mode %04o); run: chmod 600 %s", file, info.Mode().Perm(), file))
		return nil
	}
	value, err := os.ReadFile(file)
	if err != nil {
		d.add(n, path, fmt.Sprintf("cannot read %s: %v", file, errors.Unwrap(err)))
	}
	return value
}
