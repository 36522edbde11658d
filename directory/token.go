package directory

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"time"
)

// A token is `ok_` + id (12) + secret (32) + checksum (6), in base62: the
// secret has 190 bits, the checksum is the CRC-32 (IEEE) of all before it, so
// that a scanner of secrets can tell a token from noise without asking us.
const (
	tokenPrefix = "ok_"
	idLen       = 12
	secretLen   = 32
	checksumLen = 6
	checksumAt  = len(tokenPrefix) + idLen + secretLen
	tokenLen    = checksumAt + checksumLen
	base62      = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	evenBytes   = 256 / len(base62) * len(base62) // bytes below are spread evenly over the digits
	digestLen   = sha256.Size
)

// TokenSeedBytes is how many pseudo-random bytes EnsureToken needs: enough for
// 44 digits although one byte in thirty-two is dropped.
const TokenSeedBytes = 128

// Scopes of a token.
const (
	ScopeInference = "inference"
	ScopeMemory    = "memory"
	ScopeUsage     = "usage"
)

// Token is what a program presents, without its secret. It is a snapshot.
type Token struct {
	ID        string
	TenantID  string
	Label     string
	Scopes    []string // empty: all
	Models    []string // allow-list; empty: all
	Memory    string   // off, on, recall or capture
	Bucket    string
	Limits    Limits
	CreatedAt time.Time
	ExpiresAt time.Time // zero: never
	RevokedAt time.Time // zero: not
	StoppedAt time.Time // zero: not
	// StopReason says why it was stopped, in words of ours.
	StopReason string

	digest   [digestLen]byte
	revision int64
}

type tokenID [idLen]byte

// AllowsScope reports whether the token may be used for something.
func (t *Token) AllowsScope(scope string) bool {
	return len(t.Scopes) == 0 || slices.Contains(t.Scopes, scope)
}

// AllowsModel reports whether the token may ask for a model of a provider. An
// entry of the list is a model's name, or provider/model; a trailing * stands
// for any rest.
func (t *Token) AllowsModel(provider string, model []byte) bool {
	if len(t.Models) == 0 {
		return true
	}
	full := append(append([]byte(provider), '/'), model...)
	return slices.ContainsFunc(t.Models, func(entry string) bool {
		return matches(entry, model) || matches(entry, full)
	})
}

// mint makes a token of random bytes.
func mint(random io.Reader) (string, error) {
	b := make([]byte, 0, tokenLen)
	b = append(b, tokenPrefix...)
	var one [1]byte
	for len(b) < checksumAt {
		if _, err := io.ReadFull(random, one[:]); err != nil {
			return "", fmt.Errorf("cannot mint token: %w", err)
		}
		if int(one[0]) < evenBytes {
			b = append(b, base62[int(one[0])%len(base62)])
		}
	}
	sum := checksum(b)
	return string(append(b, sum[:]...)), nil
}

func checksum(b []byte) (digits [checksumLen]byte) {
	sum := crc32.ChecksumIEEE(b)
	for i := range digits {
		digits[checksumLen-1-i] = base62[sum%uint32(len(base62))]
		sum /= uint32(len(base62))
	}
	return digits
}

// idOf gives the id of a token whose shape and checksum are right.
func idOf(token []byte) (id tokenID, ok bool) {
	if len(token) != tokenLen || string(token[:len(tokenPrefix)]) != tokenPrefix {
		return id, false
	}
	if sum := checksum(token[:checksumAt]); string(sum[:]) != string(token[checksumAt:]) {
		return id, false
	}
	copy(id[:], token[len(tokenPrefix):])
	return id, true
}

// NewToken is what a token may be made with.
type NewToken struct {
	Label     string
	Scopes    []string
	Models    []string
	ExpiresAt time.Time
	Memory    string // empty: off
	Bucket    string // empty: default
	Limits    Limits
}

func (n *NewToken) check(now time.Time) error {
	errs := []error{check("label", n.Label, labelName)}
	for i, s := range n.Scopes {
		if s != ScopeInference && s != ScopeMemory && s != ScopeUsage {
			errs = append(errs, &InvalidError{fmt.Sprintf("scopes[%d]", i), "must be inference, memory or usage"})
		}
	}
	for i, m := range n.Models {
		errs = append(errs, check(fmt.Sprintf("models[%d]", i), m, modelPattern))
		if m == "" {
			errs = append(errs, &InvalidError{fmt.Sprintf("models[%d]", i), "must not be empty"})
		}
	}
	if !n.ExpiresAt.IsZero() && !n.ExpiresAt.After(now) {
		errs = append(errs, &InvalidError{"expires_at", "must lie in the future"})
	}
	if !slices.Contains([]string{"", "off", "on", "recall", "capture"}, n.Memory) {
		errs = append(errs, &InvalidError{"memory", "must be off, on, recall or capture"})
	}
	if n.Bucket != "" {
		errs = append(errs, check("bucket", n.Bucket, labelName))
	}
	errs = append(errs, n.Limits.check())
	return errors.Join(errs...)
}

// randomness is where new tokens come from.
var randomness = rand.Reader
