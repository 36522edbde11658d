package config

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// leaves calls each for every key of a configuration that is a value.
func leaves(path string, v reflect.Value, applied bool, each func(path string, v reflect.Value, applied bool)) {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		at, applied := join(path, field.Tag.Get("yaml")), applied || reloaded(&field)
		if isSection(field.Type) {
			leaves(at, v.Field(i), applied, each)
		} else {
			each(at, v.Field(i), applied)
		}
	}
}

// other gives a value that differs from v.
func other(t *testing.T, v reflect.Value) reflect.Value {
	t.Helper()
	switch v.Interface().(type) {
	case Secret:
		return reflect.ValueOf(NewSecret("0123456789abcdefg"))
	case map[string]Provider:
		p, _ := BuiltinProvider("groq")
		p.BaseURL = "https://eu.groq.example/v1"
		return reflect.ValueOf(map[string]Provider{"groq": p})
	case map[string]Plan:
		return reflect.ValueOf(map[string]Plan{"pro": {Retrievals: 1}})
	case map[string]string:
		return reflect.ValueOf(map[string]string{"acme": FreePlan})
	case Addresses:
		return reflect.ValueOf(Addresses{"127.0.0.1:9"})
	case []string:
		return reflect.ValueOf([]string{"10.0.0.0/8"})
	case time.Duration:
		return reflect.ValueOf(time.Duration(v.Int()) + time.Millisecond)
	}
	next := reflect.New(v.Type()).Elem()
	switch v.Kind() {
	case reflect.Bool:
		next.SetBool(!v.Bool())
	case reflect.Int64:
		next.SetInt(v.Int() + 1)
	case reflect.Float64:
		next.SetFloat(v.Float() + 2)
	case reflect.String:
		next.SetString(map[string]string{"info": "debug", "https://hook.example": "https://other.example"}[v.String()])
		if next.String() == "" {
			next.SetString("other")
		}
	default:
		t.Fatalf("no other value for %v", v.Type())
	}
	return next
}

// TestMerge changes each key alone: the result has the new value if a reload
// applies the key, and the old one if it waits for a restart, and the key is
// named as what it is.
func TestMerge(t *testing.T) {
	running := Default()
	running.Admin.Token = NewSecret("0123456789abcdef")
	running.Keyring.MasterKeyFile = "/etc/ownkey/master.key"
	running.Billing.Plans = map[string]Plan{"other": {}}
	running.Runaway.Webhook = "https://hook.example"
	var keys []string
	leaves("", reflect.ValueOf(running), false, func(path string, _ reflect.Value, _ bool) { keys = append(keys, path) })
	value := func(c *Config, key string) (found reflect.Value) {
		leaves("", reflect.ValueOf(c).Elem(), false, func(path string, v reflect.Value, _ bool) {
			if path == key {
				found = v
			}
		})
		return found
	}
	leaves("", reflect.ValueOf(running), false, func(key string, v reflect.Value, applied bool) {
		next := running
		value(&next, key).Set(other(t, v))
		merged, d, err := Merge(&running, &next)
		if err != nil {
			t.Errorf("%s: %v", key, err)
			return
		}
		named, silent, want := d.Waiting, d.Applied, running
		if applied {
			named, silent, want = d.Applied, d.Waiting, next
		}
		if !reflect.DeepEqual(value(merged, key).Interface(), value(&want, key).Interface()) {
			t.Errorf("%s: has the wrong value after a reload", key)
		}
		if len(named) == 0 || len(silent) != 0 || !strings.HasPrefix(named[0], key) {
			t.Errorf("%s (applied: %v): %+v", key, applied, d)
		}
	})
	if len(keys) < 90 {
		t.Errorf("%d keys", len(keys))
	}
}

// TestDifferencesAreNamed: what was added, changed and removed in a mapping is
// named to the single key, and never by its value.
func TestDifferencesAreNamed(t *testing.T) {
	parse := func(text string) *Config {
		c, err := Parse("x.yaml", []byte(text), func(string) (string, bool) { return "0123456789abcdef", true })
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	const common = "keyring: {master_key_file: /k}\nadmin: {token: '${T}'}\n"
	running := parse(common + "providers:\n  a: {base_url: https://a.example/v1}\n  gone: {base_url: https://b.example/v1}\n  openai: {idle_timeout: 1s}\negress: {allow: []}\n")
	next := parse(common + "listen: 127.0.0.1:1\nproviders:\n  a: {base_url: https://aa.example/v1, auth: x-api-key}\n  new: {base_url: https://c.example/v1}\n  openai: {idle_timeout: 1s}\n")
	_, d, err := Merge(running, next)
	if want := []string{"providers.a.base_url", "providers.a.auth", "providers.gone", "providers.new"}; err != nil || !slices.Equal(d.Applied, want) {
		t.Errorf("%v %v, want %v", d.Applied, err, want)
	}
	if !slices.Equal(d.Waiting, []string{"listen"}) {
		t.Errorf("%v", d.Waiting)
	}
}

// TestMergeRefuses what is valid on either side and not together.
func TestMergeRefuses(t *testing.T) {
	running := Default()
	running.Admin.Token, running.Keyring.MasterKeyFile = NewSecret("0123456789abcdef"), "/k"
	next := running
	next.Limits.MaxBodyBytes, next.Limits.MaxBufferedBytes = 1<<30, 1<<31
	running.Limits.MaxBufferedBytes = 1 << 28
	_, _, err := Merge(&running, &next)
	if err == nil || !strings.Contains(err.Error(), "limits.max_buffered_bytes") {
		t.Errorf("%v", err)
	}
}
