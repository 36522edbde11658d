package directory

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"time"

	"github.com/ownkey/ownkey/internal/origin"
	"github.com/ownkey/ownkey/internal/retention"
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

// Token is what a program presents, without its secret. It is a snapshot.
type Token struct {
	ID        string
	TenantID  string
	Label     string
	Scopes    []string
	Models    []string // that it may ask for, as AllowsModel reads them
	Endpoints []string // that it may call although their model is not read; counts beside a list of models
	// Credentials are the labels that it may use, and Buckets the bucket names;
	// both are patterns.
	Credentials []string
	Buckets     Buckets
	// Unconfined: it was made before buckets were walls, and has them all.
	Unconfined bool
	// AllowFrom are the IP ranges that its calls may come from; none is any.
	AllowFrom []string
	Memory    string // off, on, recall or capture
	// MemoryTTL is how long what its calls have captured is kept; zero where it does not
	// say, retention.Never for ever.
	MemoryTTL time.Duration
	Bucket    string // where it works if a call names none; empty: each call names one
	Limits    Limits
	CreatedAt time.Time
	ExpiresAt time.Time // zero: never
	RevokedAt time.Time // zero: not
	StoppedAt time.Time // zero: not
	// StopReason says why it was stopped, in words of ours.
	StopReason string

	digest     [digestLen]byte
	origins    origin.Prefixes // AllowFrom
	ofProvider []bool          // for each of Models: it begins with the name of a provider
	revision   int64
}

type tokenID [idLen]byte

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

// NewToken is what a token may be made with. A list that is nil is all of its
// kind, but for Endpoints: no others.
type NewToken struct {
	Label       string
	Scopes      []string
	Models      []string
	Endpoints   []string
	Credentials []string
	AllowFrom   []string // IP ranges or addresses; none: from anywhere
	ExpiresAt   time.Time
	Memory      string   // empty: off
	MemoryTTL   string   // as retention.Parse reads it
	Bucket      string   // a name or pattern, which is a wall for reading and writing; empty: default, and no wall
	Buckets     *Buckets // reading and writing apart; a nil list is Bucket's
	Limits      Limits
}

// token gives what is to be stored, if it is valid.
func (n *NewToken) token(now time.Time) (*Token, error) {
	t := &Token{
		Label: n.Label, Scopes: orAll(n.Scopes), Models: orAll(n.Models), Endpoints: n.Endpoints, Credentials: orAll(n.Credentials),
		AllowFrom: n.AllowFrom, ExpiresAt: n.ExpiresAt, Memory: cmp.Or(n.Memory, "off"), Limits: n.Limits,
	}
	ttl, err := memoryTTL(n.MemoryTTL)
	t.MemoryTTL = ttl
	errs := []error{err, check("label", n.Label, labelName), t.confine(n.Bucket, n.Buckets), t.check()}
	if !n.ExpiresAt.IsZero() && !n.ExpiresAt.After(now) {
		errs = append(errs, &InvalidError{"expires_at", "must lie in the future"})
	}
	return t, errors.Join(errs...)
}

// memoryTTL reads how long what is captured is kept.
func memoryTTL(text string) (time.Duration, error) {
	ttl, err := retention.Parse(text)
	if err != nil {
		return 0, &InvalidError{"memory_ttl", err.Error()}
	}
	return ttl, nil
}

// secondsOf is a time to keep something as it is stored.
func secondsOf(ttl time.Duration) int64 {
	if ttl < 0 {
		return -1
	}
	return int64(ttl / time.Second)
}

// check says what is wrong with what can change of a token.
func (t *Token) check() error {
	errs := []error{t.checkLists(), t.Limits.check()}
	if !slices.Contains([]string{"off", "on", "recall", "capture"}, t.Memory) {
		errs = append(errs, &InvalidError{"memory", "must be off, on, recall or capture"})
	}
	return errors.Join(errs...)
}

// randomness is where new tokens come from.
var randomness = rand.Reader
