package vaultbridge

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	oneKey  = "v1 " + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{1}, masterKeyBytes)) + "\n"
	twoKeys = "v7 " + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, masterKeyBytes)) + "\n" + oneKey
)

// keyFileError is all that an error about a key file may say.
var keyFileError = regexp.MustCompile(`^cannot use master key file: k( holds no key| line \d+: (want: v<version> <base64>|the version is not a positive number|the key is not 32 bytes in base64|version \d+ stands twice))$`)

// FuzzParseKeys: the keys of a file that is accepted make a file of the same
// keys; what is said of one that is refused holds nothing of it.
func FuzzParseKeys(f *testing.F) {
	for _, s := range []string{"", keyFileHeader + oneKey, twoKeys, oneKey + oneKey, "v1 c2VjcmV0\n", strings.Replace(oneKey, "v1", "v-1", 1), "\r\n" + oneKey[:len(oneKey)-1] + "\r\n#", "v99999999999999999999 x", "v1  " + oneKey[3:]} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		l, err := parseKeys("k", content)
		if err != nil {
			if !errors.Is(err, ErrKeyFile) || !keyFileError.MatchString(err.Error()) {
				t.Fatalf("%q: %v", content, err)
			}
			return
		}
		var again bytes.Buffer
		for version, key := range l.keys {
			if version < 1 || version > l.newest || len(key) != masterKeyBytes {
				t.Fatalf("%q: version %d of %d, %d bytes", content, version, l.newest, len(key))
			}
			fmt.Fprintf(&again, "v%d %s\n", version, base64.StdEncoding.EncodeToString(key))
		}
		same, err := parseKeys("k", again.Bytes())
		if err != nil || same.newest != l.newest || !maps.EqualFunc(l.keys, same.keys, bytes.Equal) {
			t.Fatalf("%q was read as\n%s%v", content, &again, err)
		}
	})
}

// FuzzLocal: what was sealed opens with its context alone and as it was, and
// anything else is ErrUnsealable: another blob, another context, a byte changed.
func FuzzLocal(f *testing.F) {
	f.Add([]byte("sk-test"), "acme", "cred_1", "api.openai.com:443", "ownkey:v1:AAAA", uint16(9), byte(1))
	f.Add([]byte{}, "", "", "", "ownkey:v7:"+strings.Repeat("A", 40), uint16(0), byte(0x20))
	f.Add([]byte("\x00"), "a", "b", "c", "ownkey:v1:"+strings.Repeat("\n", 40), uint16(12), byte(0x4b))
	f.Add([]byte("x"), "a\x00", "b", "c", "vault:v1:AAAA", uint16(7), byte(0xff))
	f.Add([]byte("x"), "a", "\x00b", "c", "ownkey:v-1::", uint16(10), byte('1'^'7'))
	l, err := parseKeys("k", []byte(twoKeys))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, secret []byte, tenant, id, host, blob string, at uint16, flip byte) {
		ctx, c := context.Background(), Context{Tenant: tenant, CredentialID: id, Provider: "openai", Address: host}
		refused := func(what string, c Context, blob string) {
			t.Helper()
			if got, err := l.Unseal(ctx, Bound{Context: c, Blob: blob}); !errors.Is(err, ErrUnsealable) || got != nil {
				t.Fatalf("%s: %q opens, %v", what, blob, err)
			}
		}
		sealed, err := l.Seal(ctx, c, secret)
		if err != nil {
			t.Fatal(err)
		}
		if got := opened(t, l, c, sealed.Blob); got != string(secret) {
			t.Fatalf("%q came back as %q", secret, got)
		}
		refused("any blob", c, blob)
		if flip != 0 {
			changed := []byte(sealed.Blob)
			changed[int(at)%len(changed)] ^= flip
			refused("a changed blob", c, string(changed))
		}
		if other := (Context{Tenant: id, CredentialID: tenant, Provider: "openai", Address: host}); other != c {
			refused("names that are exchanged", other, sealed.Blob)
		}
		refused("names that run together", Context{Tenant: tenant + id, Provider: "openai", Address: "x" + host}, sealed.Blob)
	})
}

// FuzzContext: the encoding of a context can be read back, so no two have the
// same.
func FuzzContext(f *testing.F) {
	f.Add("acme", "cred_1", "openai", "api.openai.com:443")
	f.Add("", "\x00\x00\x00\x01a", "", "\xff")
	f.Add("acme", "cred_1", "openai", "https://api.openai.com:443/v1")
	f.Fuzz(func(t *testing.T, tenant, id, provider, address string) {
		want, version := []string{tenant, id, provider, address}, contextOfHost
		if strings.Contains(address, "://") {
			version = contextOfAddress
		}
		b, ok := bytes.CutPrefix(Context{tenant, id, provider, address}.Bytes(), []byte(version))
		var got []string
		for ok && len(b) >= 4 {
			n := binary.BigEndian.Uint32(b)
			if b = b[4:]; int(n) > len(b) {
				break
			}
			got, b = append(got, string(b[:n])), b[n:]
		}
		if !slices.Equal(got, want) || len(b) > 0 {
			t.Fatalf("%q was read as %q, with %q behind it", want, got, b)
		}
	})
}

// FuzzTransitVersion: a blob that is put into a call to Vault ends the string
// that it stands in nowhere.
func FuzzTransitVersion(f *testing.F) {
	for _, s := range []string{"vault:v1:AAAA+/==", "vault:v1:", "vault:v0:A", "vault:v1:A\"", "vault:v1:\xff", "vault:v99999999999999999999:A", "vault:v1", "vault:v1:A:B", "vault:v+1:A"} {
		f.Add(s)
	}
	plain := regexp.MustCompile(`^vault:v\+?0*([1-9][0-9]*):[A-Za-z0-9+/=]*$`)
	f.Fuzz(func(t *testing.T, blob string) {
		version, ok := transitVersion(blob)
		found := plain.FindStringSubmatch(blob)
		if ok && (found == nil || found[1] != fmt.Sprint(version)) || !ok && found != nil && len(found[1]) < 19 {
			t.Fatalf("%q: version %d, %v", blob, version, ok)
		}
	})
}
