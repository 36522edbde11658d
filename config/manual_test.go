package config

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"
)

// manual makes docs/config.md of the comments in config.go, limits.go, billing.go and memory.go.
func manual() (string, error) {
	comments := map[string]string{}
	for _, file := range []string{"config.go", "limits.go", "billing.go", "memory.go"} {
		more, err := fieldComments(file)
		if err != nil {
			return "", err
		}
		maps.Copy(comments, more)
	}
	example, err := os.ReadFile("../docs/ownkey.example.yaml")
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString("<!-- Generated from config/config.go, limits.go, billing.go and memory.go by `make docs`; change it there. -->\n# Configuration of `ownkey serve`\n\n" +
		"One YAML file. `ownkey check --config FILE` lists every problem at once, with its path and line, and exits with 0 or 2.\n" +
		"Unknown keys are refused. `${NAME}` stands for an environment variable anywhere in a value; `$$` is a dollar sign.\n" +
		"Durations carry their unit (`30s`, `5m`). A secret never stands in the file: write `${NAME}` or `{file: PATH}`.\n\n" +
		"SIGHUP (`systemctl reload`, `kill -HUP`) makes the gateway read the file again: keys marked *reload* take effect at once, all others with the next start\n" +
		"([operations.md](operations.md)).\n\n" +
		"| key | default | changed by | meaning |\n| --- | --- | --- | --- |\n")
	defaults := Default()
	rows(&b, "", reflect.ValueOf(defaults), comments, false)
	b.WriteString("\n## Built-in providers\n\nAny key of `providers.NAME` may change one of these.\n\n| name | base URL | credential is sent as |\n| --- | --- | --- |\n")
	for _, name := range []string{"openai", "anthropic", "groq", "together", "fireworks", "mistral", "deepseek", "xai", "openrouter", "gemini"} {
		p, _ := BuiltinProvider(name)
		fmt.Fprintf(&b, "| %s | %s | %s |\n", name, p.BaseURL, p.Auth)
	}
	b.WriteString("\n## A whole file\n\n```yaml\n" + string(example) + "```\n")
	return b.String(), nil
}

func rows(b *strings.Builder, path string, v reflect.Value, comments map[string]string, applied bool) {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		at := join(path, field.Tag.Get("yaml"))
		comment := comments[v.Type().Name()+"."+field.Name]
		applied, by := applied || reloaded(&field), "restart"
		if applied {
			by = "reload"
		}
		switch value := v.Field(i).Interface().(type) {
		case Secret:
			fmt.Fprintf(b, "| `%s` | | %s | %s |\n", at, by, comment)
		case map[string]Provider:
			fmt.Fprintf(b, "| `%s` | | | %s |\n", at, comment)
			rows(b, at+".NAME", reflect.ValueOf(DefaultProvider()), comments, applied)
		case map[string]Plan:
			fmt.Fprintf(b, "| `%s` | | | %s |\n", at, comment)
			rows(b, at+".NAME", reflect.ValueOf(Plan{}), comments, applied)
		case map[string]string:
			fmt.Fprintf(b, "| `%s` | | %s | %s |\n", at, by, comment)
		case Addresses:
			fmt.Fprintf(b, "| `%s` | `%s` | %s | %s |\n", at, strings.Join(value, ", "), by, comment)
		case time.Duration:
			fmt.Fprintf(b, "| `%s` | `%s` | %s | %s |\n", at, shortDuration(value), by, comment)
		default:
			if field.Type.Kind() == reflect.Struct {
				fmt.Fprintf(b, "| `%s` | | | %s |\n", at, comment)
				rows(b, at, v.Field(i), comments, applied)
				continue
			}
			shown := fmt.Sprint(value)
			if field.Type.Kind() == reflect.Slice {
				shown = ""
			}
			if shown != "" {
				shown = "`" + shown + "`"
			}
			fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", at, shown, by, comment)
		}
	}
}

// shortDuration is 1m for 1m0s.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// fieldComments reads the comments of struct fields, as Type.Field.
func fieldComments(file string) (map[string]string, error) {
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	comments := map[string]string{}
	ast.Inspect(parsed, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok {
			return true
		}
		if s, ok := spec.Type.(*ast.StructType); ok {
			for _, f := range s.Fields.List {
				comments[spec.Name.Name+"."+f.Names[0].Name] = strings.Join(strings.Fields(f.Doc.Text()), " ")
			}
		}
		return false
	})
	return comments, nil
}

// allKeys lists the last part of every key.
func allKeys() []string {
	var keys []string
	var walk func(t reflect.Type)
	walk = func(t reflect.Type) {
		for f := range t.Fields() {
			keys = append(keys, f.Tag.Get("yaml"))
			if f.Type.Kind() == reflect.Struct && f.Type != reflect.TypeFor[Secret]() {
				walk(f.Type)
			}
		}
	}
	walk(reflect.TypeFor[Config]())
	walk(reflect.TypeFor[Provider]())
	walk(reflect.TypeFor[Plan]())
	slices.Sort(keys)
	return slices.Compact(keys)
}
