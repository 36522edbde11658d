package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ownkey/ownkey/config"
	"github.com/ownkey/ownkey/vaultbridge"
)

// fill gives every string that is named *_file a path, and puts an entry into
// each map.
func fill(v reflect.Value, path string) (n int) {
	for field, value := range v.Fields() {
		switch {
		case strings.HasSuffix(field.Tag.Get("yaml"), "_file") && value.Kind() == reflect.String:
			value.SetString(path)
			n++
		case value.Kind() == reflect.Struct && field.IsExported() && field.Type.PkgPath() == v.Type().PkgPath():
			n += fill(value, path)
		case value.Kind() == reflect.Map && field.Type.Elem().Kind() == reflect.Struct && field.Type.Key().Kind() == reflect.String:
			entry := reflect.New(field.Type.Elem()).Elem()
			n += fill(entry, path)
			value.Set(reflect.MakeMap(field.Type))
			value.SetMapIndex(reflect.ValueOf("x"), entry)
		}
	}
	return n
}

// TestCheckOpensEveryFile: whatever file a configuration can name is named in
// the problems when it is not there, and when it holds nothing of use.
func TestCheckOpensEveryFile(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(dir, "nothing"), empty} {
		cfg := &config.Config{}
		n := fill(reflect.ValueOf(cfg).Elem(), path)
		err := checkFiles(cfg)
		if err == nil || n < 20 {
			t.Fatalf("%d files, %v", n, err)
		}
		lines := 0
		for line := range strings.Lines(err.Error()) {
			if !strings.HasPrefix(line, "tls.cert_file and") {
				lines++
			}
		}
		if lines != n || !strings.Contains(err.Error(), "providers.x.ca_file: ") || !strings.Contains(err.Error(), "keyring.vault.data.secret_id_file: ") {
			t.Errorf("%d files, %d problems:\n%v", n, lines, err)
		}
	}
	key := filepath.Join(dir, "master.key")
	if _, err := vaultbridge.CreateLocal(key); err != nil {
		t.Fatal(err)
	}
	good := &config.Config{}
	good.Keyring.MasterKeyFile = key
	if err := checkFiles(good); err != nil {
		t.Error(err)
	}
}

// TestCheckJudgesAsTheStartDoes: certificates of both planes, and who may read a
// secret.
func TestCheckJudgesAsTheStartDoes(t *testing.T) {
	dir := t.TempDir()
	root := newAuthority(t)
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for what, c := range map[string]struct {
		begins, ends time.Duration
		mode         os.FileMode
		want         string
	}{
		"good":                   {-time.Minute, time.Hour, 0o600, ""},
		"expired":                {-time.Hour, -time.Minute, 0o600, "it ended on"},
		"not yet":                {time.Hour, 2 * time.Hour, 0o600, "it begins on"},
		"a key that all may set": {-time.Minute, time.Hour, 0o666, "key.pem"},
	} {
		root.leaf(cert, key, c.begins, c.ends)
		if err := os.Chmod(key, c.mode); err != nil {
			t.Fatal(err)
		}
		for member, set := range map[string]func(*config.Config){
			"tls":       func(cfg *config.Config) { cfg.TLS.CertFile, cfg.TLS.KeyFile = cert, key },
			"admin.tls": func(cfg *config.Config) { cfg.Admin.TLS.CertFile, cfg.Admin.TLS.KeyFile = cert, key },
		} {
			cfg := &config.Config{}
			set(cfg)
			err := checkFiles(cfg)
			if (err == nil) != (c.want == "") || err != nil && (!strings.HasPrefix(err.Error(), member+".") || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%s, %s: %v", what, member, err)
			}
		}
	}
}
