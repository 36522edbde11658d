package main

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/ownkey/ownkey/config"
	"github.com/ownkey/ownkey/internal/secretfile"
	"github.com/ownkey/ownkey/vaultbridge"
)

// CheckCmd validates a configuration file and the files that it names.
type CheckCmd struct {
	Config string `required:"" type:"path" help:"Configuration file (docs/config.md)." placeholder:"FILE"`
}

// Run lists every problem and exits with 2, or says that there is none.
func (c *CheckCmd) Run() error {
	cfg, err := config.Load(c.Config, os.LookupEnv)
	if err != nil {
		return usageError{err}
	}
	if err := checkFiles(cfg); err != nil {
		return usageError{err}
	}
	printf("%s: ok\n", c.Config)
	return nil
}

// namedFile is a file that a configuration names: where, and its path.
type namedFile struct{ member, path string }

// checkFiles opens every file that the configuration names, and reads what the
// gateway will read at its start.
func checkFiles(cfg *config.Config) error {
	var errs []error
	for _, f := range filesOf("", reflect.ValueOf(cfg).Elem()) {
		if err := checkFile(f); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", f.member, err))
		}
	}
	if len(errs) > 0 {
		return errors.Join(errs...) // a pair of files that cannot be read is not judged
	}
	return errors.Join(checkPair("tls", cfg.TLS.CertFile, cfg.TLS.KeyFile), checkPair("admin.tls", cfg.Admin.TLS.CertFile, cfg.Admin.TLS.KeyFile))
}

// checkPair judges a certificate and its key as the start does.
func checkPair(member, certFile, keyFile string) error {
	if certFile == "" || keyFile == "" {
		return nil // config.Load has said so
	}
	pair, err := readPair(certFile, keyFile)
	if err != nil {
		return fmt.Errorf("%s.cert_file and %[1]s.key_file do not fit: %w", member, err)
	}
	if _, err := judge(pair, nil, time.Now()); err != nil {
		return fmt.Errorf("%s.cert_file: %s: %w", member, certFile, err)
	}
	return nil
}

// filesOf finds the members that end in _file and have a value.
func filesOf(at string, v reflect.Value) (all []namedFile) {
	switch v.Kind() {
	case reflect.Struct:
		for field, value := range v.Fields() {
			name, _, _ := strings.Cut(field.Tag.Get("yaml"), ",")
			if name == "" || name == "-" {
				continue
			}
			member := strings.TrimPrefix(at+"."+name, ".")
			if strings.HasSuffix(name, "_file") && value.Kind() == reflect.String && value.String() != "" {
				all = append(all, namedFile{member, value.String()})
				continue
			}
			all = append(all, filesOf(member, value)...)
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			all = append(all, filesOf(at+"."+key.String(), v.MapIndex(key))...)
		}
		slices.SortFunc(all, func(a, b namedFile) int { return strings.Compare(a.member, b.member) })
	case reflect.Slice:
		for i := range v.Len() {
			all = append(all, filesOf(fmt.Sprintf("%s[%d]", at, i), v.Index(i))...)
		}
	}
	return all
}

// checkFile opens a file as what its member's name says.
func checkFile(f namedFile) error {
	switch {
	case strings.HasSuffix(f.member, "master_key_file"):
		_, err := vaultbridge.OpenLocal(f.path)
		return err
	case strings.HasSuffix(f.member, "ca_file"):
		_, err := readRoots(f.path)
		return err
	}
	read := secretfile.Read
	if strings.HasSuffix(f.member, "cert_file") {
		read = os.ReadFile // everybody may see it
	}
	text, err := read(f.path)
	if err == nil && strings.TrimSpace(string(text)) == "" {
		err = fmt.Errorf("%s is empty", f.path)
	}
	clear(text)
	return err
}
