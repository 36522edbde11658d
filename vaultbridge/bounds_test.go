package vaultbridge

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestBoundsOfTransitBlobs: nothing but vault:v<version>:<base64> is put into a
// call, whatever a row of the database holds.
func TestBoundsOfTransitBlobs(t *testing.T) {
	for blob, want := range map[string]int{
		"vault:v1:AZaz09+/=": 1, "vault:v42:": 42, "vault:v0:AAAA": 0, "vault:v-1:AAAA": 0, "vault:v:AAAA": 0, "vault:vx:AAAA": 0, "vault:v1": 0, "vault:1:AAAA": 0,
		"Vault:v1:AAAA": 0, "v1:AAAA": 0, "": 0, "vault:v1:AA:AA": 0, "vault:v99999999999999999999:AAAA": 0,
	} {
		if version, ok := transitVersion(blob); ok != (want > 0) || version != want {
			t.Errorf("%q: version %d, %v, want %d", blob, version, ok, want)
		}
	}
	const allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
	for c := range rune(0x100) {
		if _, ok := transitVersion("vault:v1:AAAA" + string(c) + "AAAA"); ok != strings.ContainsRune(allowed, c) {
			t.Errorf("%q: %v", c, ok)
		}
	}
}

// TestExactBytesOfAContext: the encoding is what stored ciphertexts are bound to,
// so it can never change.
func TestExactBytesOfAContext(t *testing.T) {
	c := Context{Tenant: "acme", CredentialID: "c1", Provider: "openai", Address: "https://h:443/v1"}
	want := "ownkey-context-v2\x00\x00\x00\x04acme\x00\x00\x00\x02c1\x00\x00\x00\x06openai\x00\x00\x00\x10https://h:443/v1"
	if got := string(c.Bytes()); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	c.Address = "h:443"
	want = "ownkey-context-v1\x00\x00\x00\x04acme\x00\x00\x00\x02c1\x00\x00\x00\x06openai\x00\x00\x00\x05h:443"
	if got := string(c.Bytes()); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestStateAfterARefusal: Vault's health says nothing of our token, so a probe
// cannot excuse a refusal for ten seconds; a decrypt that works does at once.
func TestStateAfterARefusal(t *testing.T) {
	noon := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	var s state
	s.probed("", noon)
	if s.now() != "" {
		t.Errorf("%q at first", s.now())
	}
	s.heard(ReasonDenied, noon)
	for _, f := range []struct {
		after time.Duration
		want  Reason
	}{{0, ReasonDenied}, {deniedFor - 1, ReasonDenied}, {deniedFor, ""}} {
		s.probed("", noon.Add(f.after))
		if s.now() != f.want {
			t.Errorf("a good probe after %s: %q", f.after, s.now())
		}
	}
	s.heard(ReasonDenied, noon)
	s.heard("", noon)
	s.probed("", noon.Add(1))
	if s.now() != "" {
		t.Errorf("%q after a decrypt", s.now())
	}
	s.heard(ReasonTimeout, noon)
	if s.now() != ReasonTimeout {
		t.Errorf("%q after a timeout", s.now())
	}
	s.probed("", noon)
	if s.now() != "" {
		t.Errorf("%q: a timeout is excused by the next probe", s.now())
	}
	s.probed(ReasonSealed, noon)
	if s.now() != ReasonSealed {
		t.Errorf("%q after a bad probe", s.now())
	}
}

// TestBoundsOfABatch: as many as fit go together, in their order; none ends the
// line.
func TestBoundsOfABatch(t *testing.T) {
	for _, n := range []int{1, maxBatch - 1, maxBatch, maxBatch + 1, 2*maxBatch + 1} {
		l := &line{}
		for i := range n {
			l.waiting = append(l.waiting, &pending{id: fmt.Sprint(i)})
		}
		k := &Transit{}
		k.lines.byKey = map[string]*line{"k": l}
		seen := 0
		for batch := k.take("k", l); batch != nil; batch = k.take("k", l) {
			if want := min(maxBatch, n-seen); len(batch) != want {
				t.Errorf("of %d, after %d: %d together, want %d", n, seen, len(batch), want)
			}
			for _, p := range batch {
				if p.id != fmt.Sprint(seen) {
					t.Fatalf("of %d: number %d is %s", n, seen, p.id)
				}
				seen++
			}
		}
		if seen != n || len(k.lines.byKey) != 0 {
			t.Errorf("%d of %d, %d lines are left", seen, n, len(k.lines.byKey))
		}
	}
	for timeout, want := range map[time.Duration]time.Duration{time.Second: 200 * time.Millisecond, 5 * minHedge: minHedge, 50 * time.Millisecond: minHedge, 0: minHedge} {
		if got := (&Transit{o: TransitOptions{Timeout: timeout}}).hedgeDelay(); got != want {
			t.Errorf("within %s the second question comes after %s, want %s", timeout, got, want)
		}
	}
}

// TestExactBodyOfABatch: JSON with each blob, its context and its reference, and a
// bound that the answer fits into.
func TestExactBodyOfABatch(t *testing.T) {
	for _, n := range []int{1, 2, 3, maxBatch} {
		var batch []*pending
		var ids []string
		size := 0
		for i := range n {
			p := &pending{id: fmt.Sprint("id-", i), bound: Bound{Context: testContext, Blob: "vault:v1:" + strings.Repeat("A", 5000*(i%3))}}
			batch, ids = append(batch, p), append(ids, p.id)
			size += len(p.bound.Blob) + 200 // a plaintext is shorter than its ciphertext, and names stand around it
		}
		body, header, limit := batchBody(batch)
		var got struct {
			Partial int `json:"partial_failure_response_code"`
			Items   []struct {
				Ciphertext, Context, Reference string
			} `json:"batch_input"`
		}
		if err := json.Unmarshal(body, &got); err != nil || got.Partial != 200 || len(got.Items) != n {
			t.Fatalf("%s: %v", body, err)
		}
		for i, item := range got.Items {
			if item.Ciphertext != batch[i].bound.Blob || item.Reference != batch[i].id || item.Context != base64.StdEncoding.EncodeToString(testContext.Bytes()) {
				t.Errorf("item %d of %d: %.80s", i, n, fmt.Sprint(item))
			}
		}
		if header != strings.Join(ids, ",") || limit < size || limit > size+n<<10+8<<10 {
			t.Errorf("ids %s, an answer of up to %d bytes; want %v, at least %d", header, limit, ids, size)
		}
	}
}

func TestEdgesOfAPlaintext(t *testing.T) {
	for raw, want := range map[string]string{`""`: "", `"c2s="`: "sk", `"c2stdGVzdA=="`: "sk-test"} {
		var p plaintext
		b := []byte(raw)
		if err := p.UnmarshalJSON(b); err != nil || string(p) != want || bytes.Contains(b, []byte("s")) {
			t.Errorf("%s: %q, %v; the answer holds %q", raw, p, err, b)
		}
	}
	for _, raw := range []string{``, `"`, `7`, `77`, `null`, `"c2s"`, `"!"`, `"c2s=c2s="`} {
		var p plaintext
		if err := p.UnmarshalJSON([]byte(raw)); err == nil {
			t.Errorf("%s: %q", raw, p)
		}
	}
}

// TestEdgesOfLocalBlobs: what is too short or of another form does not open, and
// is no panic.
func TestEdgesOfLocalBlobs(t *testing.T) {
	l, _ := newLocal(t)
	good := seal(t, l, testContext, "sk").Blob
	for n := range 40 {
		blob := blobPrefix + "1:" + base64.StdEncoding.EncodeToString(make([]byte, n))
		if _, err := l.Unseal(t.Context(), Bound{Context: testContext, Blob: blob}); !errors.Is(err, ErrUnsealable) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	for _, blob := range []string{"", blobPrefix, blobPrefix + "1", blobPrefix + "1:", blobPrefix + "2:" + good[len(blobPrefix)+2:], blobPrefix + "x:AAAA", "v1:AAAA", good + "=", "x" + good} {
		if _, err := l.Unseal(t.Context(), Bound{Context: testContext, Blob: blob}); !errors.Is(err, ErrUnsealable) {
			t.Errorf("%q: %v", blob, err)
		}
	}
	if s := opened(t, l, testContext, seal(t, l, testContext, "").Blob); s != "" {
		t.Errorf("an empty secret opened as %q", s)
	}
}

// TestCacheHoldsForTTLAndGrace: until the last secret in memory ends, and no later
// than both together.
func TestCacheHoldsForTTLAndGrace(t *testing.T) {
	c, k, ref := newGraceCache(t, CacheOptions{TTL: time.Hour, Grace: time.Hour, OnGrace: func() {}})
	now := time.Now()
	if c.Holds(now) {
		t.Error("an empty cache holds something")
	}
	lease(t, c, ref)
	for after, want := range map[time.Duration]bool{0: true, 90 * time.Minute: true, 150 * time.Minute: false} {
		if got := c.Holds(now.Add(after)); got != want {
			t.Errorf("after %s: %v", after, got)
		}
	}
	held := c.until.Load()
	c.until.Store(now.Add(10 * time.Hour).UnixNano()) // another secret that ends later
	c.entries.Wait()
	again := *ref
	again.Generation = 2
	lease(t, c, &again)
	if !c.Holds(now.Add(9*time.Hour)) || k.unseals.Load() != 2 {
		t.Errorf("a later end was forgotten: %d, then %d", held, c.until.Load())
	}
	if c.Holds(time.Unix(0, c.until.Load())) {
		t.Error("it holds at the end itself")
	}
}

// TestWipedCredentialBounds: a secret that was wiped is lent to nobody any more, and
// is zeroed when the last one who has it leaves.
func TestWipedCredentialBounds(t *testing.T) {
	secret := []byte("sk-test")
	c := NewCredential(secret, 3, "id")
	if c.Version() != 3 || c.UnsealID() != "id" || !c.acquire() || !c.acquire() {
		t.Fatalf("version %d of %s", c.Version(), c.UnsealID())
	}
	c.release()
	c.Wipe()
	c.Wipe()
	if string(secret) != "sk-test" || c.acquire() || c.Use(func([]byte) { t.Error("lent after the wipe") }) {
		t.Errorf("%q while it is used", secret)
	}
	c.release()
	if string(secret) != "\x00\x00\x00\x00\x00\x00\x00" {
		t.Errorf("%q after its last user", secret)
	}
	unused := []byte("sk")
	NewCredential(unused, 1, "id").Wipe()
	if string(unused) != "\x00\x00" {
		t.Errorf("%q without a user", unused)
	}
}

// TestRingKeyringBounds: each row goes to the keyring of its name, and two keyrings
// of one name are none.
func TestRingKeyringBounds(t *testing.T) {
	one, _ := newLocal(t)
	other, _ := newLocal(t)
	if _, err := NewRing(one, other); err == nil {
		t.Error("two keyrings of one name")
	}
	k := &named{other, "other"}
	ring, err := NewRing(one, k)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]Keyring{LocalName: one, "other": k} {
		if got, err := ring.Of(name); err != nil || got != want {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if _, err := ring.Of("gone"); !errors.Is(err, ErrUnsealable) {
		t.Errorf("%v", err)
	}
	if all := ring.All(); len(all) != 2 || all[0] != Keyring(one) {
		t.Errorf("%v", all)
	}
	alone, err := NewRing(one, nil)
	if err != nil || len(alone.All()) != 1 {
		t.Errorf("%v", err)
	}
}

// named is a keyring under another name.
type named struct {
	*Local
	name string
}

func (n *named) Name() string { return n.name }
