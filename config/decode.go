package config

import (
	"fmt"
	"reflect"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// decoder fills structs from YAML nodes and collects what is wrong, with path
// and line. yaml's own decoder knows no paths, and stops short of the rest.
type decoder struct {
	file     string
	env      func(string) (string, bool)
	problems Problems
	lines    map[string]int // where each value stands, for validation
}

// add notes a problem, one for each path: what is unreadable is not also
// missing or out of range.
func (d *decoder) add(n *yaml.Node, path, message string) {
	if path != "" && slices.ContainsFunc(d.problems, func(p Problem) bool { return p.Path == path }) {
		return
	}
	p := Problem{File: d.file, Path: path, Message: message}
	if n != nil {
		p.Line = n.Line
	} else {
		p.Line = d.lines[path]
	}
	d.problems = append(d.problems, p)
}

func (d *decoder) config(n *yaml.Node, c *Config) {
	d.fill(n, "", reflect.ValueOf(c).Elem())
}

// fill sets v from n.
func (d *decoder) fill(n *yaml.Node, path string, v reflect.Value) {
	d.lines[path] = n.Line
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch target := v.Addr().Interface().(type) {
	case *Secret:
		*target = d.secret(n, path)
		return
	case *time.Duration:
		d.duration(n, path, target)
		return
	case *map[string]Provider:
		d.providers(n, path, target)
		return
	case *map[string]Plan:
		d.plans(n, path, target)
		return
	case *map[string]string:
		d.texts(n, path, target)
		return
	case *Addresses:
		if n.Kind == yaml.ScalarNode {
			n = &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{n}}
		}
	}
	if v.Kind() == reflect.Slice {
		d.list(n, path, v)
		return
	}
	if v.Kind() == reflect.Struct {
		d.mapping(n, path, v)
		return
	}
	d.scalar(n, path, v)
}

// mapping sets a struct's fields; every key must be one.
func (d *decoder) mapping(n *yaml.Node, path string, v reflect.Value) {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return // an empty section
	}
	if n.Kind != yaml.MappingNode {
		d.add(n, path, "want a mapping of keys to values")
		return
	}
	fields := map[string]int{}
	for i := range v.NumField() {
		fields[v.Type().Field(i).Tag.Get("yaml")] = i
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		at := join(path, key.Value)
		index, known := fields[key.Value]
		switch {
		case !known:
			d.add(key, at, "no such key; there are: "+strings.Join(sortedKeys(fields), ", "))
		case seen[key.Value]:
			d.add(key, at, "stands twice")
		default:
			d.fill(value, at, v.Field(index))
		}
		seen[key.Value] = true
	}
}

// providers reads the entries: each changes the built-in provider of its name,
// or the defaults.
func (d *decoder) providers(n *yaml.Node, path string, to *map[string]Provider) {
	*to = map[string]Provider{}
	d.entries(n, path, "provider names to settings", func(name, at string, value *yaml.Node) {
		p, _ := BuiltinProvider(name)
		d.fill(value, at, reflect.ValueOf(&p).Elem())
		(*to)[name] = p
	})
}

func (d *decoder) plans(n *yaml.Node, path string, to *map[string]Plan) {
	*to = map[string]Plan{}
	d.entries(n, path, "plan names to prices", func(name, at string, value *yaml.Node) {
		var p Plan
		d.fill(value, at, reflect.ValueOf(&p).Elem())
		(*to)[name] = p
	})
}

func (d *decoder) texts(n *yaml.Node, path string, to *map[string]string) {
	*to = map[string]string{}
	d.entries(n, path, "names to texts", func(name, at string, value *yaml.Node) {
		var text string
		d.fill(value, at, reflect.ValueOf(&text).Elem())
		(*to)[name] = text
	})
}

// entries calls each for every entry of a mapping with names of the operator's
// own; what says of what to what.
func (d *decoder) entries(n *yaml.Node, path, what string, each func(name, at string, value *yaml.Node)) {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return // an empty section
	}
	if n.Kind != yaml.MappingNode {
		d.add(n, path, "want a mapping of "+what)
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name := n.Content[i].Value
		at := join(path, name)
		if seen[name] {
			d.add(n.Content[i], at, "stands twice")
		}
		seen[name] = true
		each(name, at, n.Content[i+1])
	}
}

// list sets a list of texts.
func (d *decoder) list(n *yaml.Node, path string, v reflect.Value) {
	if n.Kind != yaml.SequenceNode {
		d.add(n, path, "want a list, such as [a, b]")
		return
	}
	all := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, element := range n.Content {
		d.fill(element, path+"["+strconv.Itoa(i)+"]", all.Index(i))
	}
	v.Set(all)
}

func (d *decoder) duration(n *yaml.Node, path string, to *time.Duration) {
	value, err := time.ParseDuration(d.expand(n, path))
	if n.Kind != yaml.ScalarNode || err != nil {
		d.add(n, path, "want a duration with its unit, such as 30s or 5m")
		return
	}
	*to = value
}

func (d *decoder) scalar(n *yaml.Node, path string, v reflect.Value) {
	text := d.expand(n, path)
	ok := n.Kind == yaml.ScalarNode && n.Tag != "!!null"
	switch v.Kind() {
	case reflect.String:
		if v.SetString(text); !ok {
			d.add(n, path, "want a text")
		}
	case reflect.Int64:
		i, err := strconv.ParseInt(text, 10, 64)
		if v.SetInt(i); !ok || err != nil {
			d.add(n, path, "want a whole number")
		}
	case reflect.Float64:
		f, err := strconv.ParseFloat(text, 64)
		if v.SetFloat(f); !ok || err != nil || f != f || f > 1e15 {
			d.add(n, path, "want a number")
		}
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		if v.SetBool(b); !ok || err != nil {
			d.add(n, path, "want true or false")
		}
	default:
		panic(fmt.Sprintf("BUG: field %s of kind %s", path, v.Kind()))
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func sortedKeys(m map[string]int) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
