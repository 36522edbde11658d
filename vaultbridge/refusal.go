package vaultbridge

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"

	"github.com/ownkey/ownkey/internal/durable"
)

// RefusalPrefix begins the names of files that remember a refused secret id.
const RefusalPrefix = "vault-refused-"

// refusal remembers which role id and secret id Vault has refused, across
// processes: a gateway that is started again and again, or a command beside it,
// would lock the role out with them. The file has a salt and a MAC under it,
// which give nothing away. It belongs to its session's goroutine.
type refusal struct {
	path string // empty to remember in this process only
	here *ids
}

// openRefusal makes the memory of an identity in a directory; empty for none.
func openRefusal(dir, identity string) *refusal {
	if dir == "" {
		return &refusal{}
	}
	return &refusal{path: filepath.Join(dir, RefusalPrefix+identity)}
}

// holds reports whether these were refused. Whoever removes the file has them
// presented again.
func (r *refusal) holds(of ids) bool {
	if r.path == "" {
		return r.here != nil && *r.here == of
	}
	content, err := os.ReadFile(r.path)
	if err != nil {
		return false
	}
	salt, mac, _ := strings.Cut(strings.TrimSpace(string(content)), " ")
	key, err := hex.DecodeString(salt)
	return err == nil && hmac.Equal([]byte(mac), []byte(macOf(key, of)))
}

func macOf(key []byte, of ids) string {
	h := hmac.New(sha256.New, key)
	h.Write(of[:])
	return hex.EncodeToString(h.Sum(nil))
}

// keep remembers them: in this process alone where the directory takes no file.
func (r *refusal) keep(of ids) {
	if r.path != "" {
		key := make([]byte, sha256.Size)
		_, _ = rand.Read(key) // it never fails
		if os.MkdirAll(filepath.Dir(r.path), 0o700) == nil &&
			durable.WriteFile(r.path, []byte(hex.EncodeToString(key)+" "+macOf(key, of)+"\n")) == nil {
			return
		}
		r.path = ""
	}
	r.here = &of
}

// forget ends it: others were taken.
func (r *refusal) forget() {
	if r.path != "" {
		_ = os.Remove(r.path) // mostly there is none
	}
	r.here = nil
}

// error is what a login comes to that is not made.
func (r *refusal) error() error {
	text := "Vault refused the secret id or role id: put a valid one into its file; the old one is not presented again"
	if r.path != "" {
		text += ". If the role was wrong and is mended, remove " + r.path
	}
	return &loginError{ReasonRefused, text}
}
