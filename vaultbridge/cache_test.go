package vaultbridge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// counting is the local keyring with its unseals counted.
type counting struct {
	*Local
	unseals atomic.Int64
	hold    chan struct{} // when set, Unseal waits for it
	away    atomic.Bool   // Unseal is ErrUnavailable
	last    atomic.Pointer[Credential]
}

func (k *counting) Unseal(ctx context.Context, b Bound) (*Credential, error) {
	k.unseals.Add(1)
	if k.hold != nil {
		<-k.hold
	}
	if k.away.Load() {
		return nil, ErrUnavailable
	}
	credential, err := k.Local.Unseal(ctx, b)
	k.last.Store(credential)
	return credential, err
}

func newCache(t *testing.T, ttl time.Duration) (*Cache, *counting, *Ref) {
	t.Helper()
	return newGraceCache(t, CacheOptions{TTL: ttl})
}

func newGraceCache(t *testing.T, o CacheOptions) (*Cache, *counting, *Ref) {
	t.Helper()
	l, _ := newLocal(t)
	k := &counting{Local: l}
	ring, err := NewRing(k, nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := NewCache(ring, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, k, &Ref{Bound: Bound{Context: testContext, Blob: seal(t, l, testContext, "sk-test").Blob}, Keyring: LocalName, Generation: 1}
}

func lease(t *testing.T, c *Cache, ref *Ref) (secret string, hit bool) {
	t.Helper()
	l, err := c.Credential(context.Background(), ref)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Release()
	l.Use(func(b []byte) { secret = string(b) })
	return secret, l.Hit
}

// eventually waits for a condition that another goroutine brings about.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("not in 10 s: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

func wiped(c *Credential) bool {
	return !c.Use(func([]byte) {}) && len(bytes.Trim(c.secret, "\x00")) == 0
}

func TestCacheKeepsAndThenWipes(t *testing.T) {
	c, k, ref := newCache(t, 200*time.Millisecond)
	if secret, hit := lease(t, c, ref); secret != "sk-test" || hit {
		t.Fatalf("got %q %v", secret, hit)
	}
	c.entries.Wait()
	if secret, hit := lease(t, c, ref); secret != "sk-test" || !hit {
		t.Errorf("got %q, hit %v, want a hit", secret, hit)
	}
	credential := k.last.Load()
	eventually(t, "the plaintext is zeroed after its time", func() bool { return wiped(credential) })
	if secret, hit := lease(t, c, ref); secret != "sk-test" || hit {
		t.Errorf("got %q, hit %v, want a new unseal", secret, hit)
	}
}

func TestCacheOfAnotherGenerationIsNotUsed(t *testing.T) {
	c, k, ref := newCache(t, time.Minute)
	lease(t, c, ref)
	c.entries.Wait()
	old := k.last.Load()
	replaced := *ref
	replaced.Generation = 2
	replaced.Blob = seal(t, k.Local, testContext, "sk-new").Blob
	if secret, hit := lease(t, c, &replaced); secret != "sk-new" || hit {
		t.Errorf("got %q, hit %v", secret, hit)
	}
	eventually(t, "the replaced secret is zeroed", func() bool { return wiped(old) })
}

func TestCacheOfNothingUnsealsForEachRequest(t *testing.T) {
	c, k, ref := newCache(t, 0)
	l, err := c.Credential(context.Background(), ref)
	if err != nil {
		t.Fatal(err)
	}
	lease(t, c, ref)
	if n := k.unseals.Load(); n != 2 {
		t.Errorf("%d unseals, want 2", n)
	}
	credential := l.credential
	l.Release()
	l.Release() // harmless
	if !wiped(credential) || l.Use(func([]byte) {}) {
		t.Error("a released secret is still there")
	}
}

func TestMissesShareOneUnseal(t *testing.T) {
	c, k, ref := newCache(t, time.Minute)
	k.hold = make(chan struct{})
	gone, leave := context.WithCancel(context.Background())
	leave() // one caller that has left does not spoil it for the others
	var all, asked sync.WaitGroup
	asked.Add(50)
	for i := range 50 {
		all.Go(func() {
			asked.Done()
			ctx := context.Background()
			if i == 0 {
				ctx = gone
			}
			l, err := c.Credential(ctx, ref)
			if err != nil {
				t.Error(err)
				return
			}
			defer l.Release()
			l.Use(func(b []byte) {
				if string(b) != "sk-test" {
					t.Errorf("got %q", b)
				}
			})
		})
	}
	asked.Wait()
	time.Sleep(50 * time.Millisecond) // from being asked to waiting for the unseal
	close(k.hold)
	all.Wait()
	if n := k.unseals.Load(); n > 25 {
		t.Errorf("%d unseals for 50 requests at once", n)
	}
}

func TestLeaseOutlivesEvictionAndClose(t *testing.T) {
	c, k, ref := newCache(t, time.Minute)
	l, err := c.Credential(context.Background(), ref)
	if err != nil {
		t.Fatal(err)
	}
	c.entries.Wait()
	credential := k.last.Load()
	c.Close()
	l.Use(func(b []byte) {
		if string(b) != "sk-test" {
			t.Errorf("the lease lost its secret: %q", b)
		}
	})
	l.Release()
	if !wiped(credential) {
		t.Error("the secret outlived cache and lease")
	}
}

// TestUseNeverSeesWipedBytes lets users and a wiper race.
func TestUseNeverSeesWipedBytes(t *testing.T) {
	for range 200 {
		credential := NewCredential([]byte("sk-test"), 1, "")
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for credential.Use(func(b []byte) {
					if string(b) != "sk-test" {
						t.Errorf("saw %q", b)
					}
				}) {
				}
			})
		}
		credential.Wipe()
		credential.Wipe()
		all.Wait()
		if !wiped(credential) {
			t.Fatal("not zeroed")
		}
	}
}

func TestCredentialDoesNotPrint(t *testing.T) {
	credential := NewCredential([]byte("sk-test"), 1, "")
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		fmt.Fprintf(&out, verb+"\n", credential)
	}
	if got := strings.ReplaceAll(out.String(), "[credential]\n", ""); got != "" {
		t.Errorf("printed %q", got)
	}
	if b, err := json.Marshal(credential); err == nil {
		t.Errorf("marshaled as %s", b)
	}
}

func TestUnsealErrorIsPassedOn(t *testing.T) {
	c, _, ref := newCache(t, time.Minute)
	bad := *ref
	bad.Context.Address = "elsewhere:443"
	if _, err := c.Credential(context.Background(), &bad); !errors.Is(err, ErrUnsealable) {
		t.Errorf("got %v", err)
	}
}

// TestGraceIsForAnOutageOnly: after its TTL a secret is asked for again; the
// one in memory goes on only while the key store is away, and not for ever.
func TestGraceIsForAnOutageOnly(t *testing.T) {
	used := 0
	c, k, ref := newGraceCache(t, CacheOptions{TTL: 300 * time.Millisecond, Grace: 1500 * time.Millisecond, OnGrace: func() { used++ }})
	lease(t, c, ref)
	c.entries.Wait()
	first := k.last.Load()
	time.Sleep(350 * time.Millisecond)
	if secret, hit := lease(t, c, ref); secret != "sk-test" || hit || k.unseals.Load() != 2 || used != 0 {
		t.Errorf("after its time: hit %v, %d unseals, grace used %d times", hit, k.unseals.Load(), used)
	}
	eventually(t, "the replaced secret is zeroed", func() bool { return wiped(first) })
	c.entries.Wait()
	k.away.Store(true)
	second := k.last.Load()
	time.Sleep(350 * time.Millisecond)
	if secret, hit := lease(t, c, ref); secret != "sk-test" || !hit || used != 1 {
		t.Errorf("in an outage: got %q, hit %v, grace used %d times", secret, hit, used)
	}
	time.Sleep(1600 * time.Millisecond) // ristretto alone would take up to five seconds
	if !wiped(second) {
		t.Error("the secret is there after the grace")
	}
	if _, err := c.Credential(context.Background(), ref); !errors.Is(err, ErrUnavailable) {
		t.Errorf("after the grace: %v", err)
	}
}

func BenchmarkWarm(b *testing.B) {
	c, ref := benchCache(b)
	b.ReportAllocs()
	for b.Loop() {
		l, _ := c.Credential(context.Background(), ref)
		l.Use(func([]byte) {})
		l.Release()
	}
}

// BenchmarkWarmParallel is Warm on all cores at once, over a hundred
// credentials: what it costs more is contention.
func BenchmarkWarmParallel(b *testing.B) {
	c, one := benchCache(b)
	refs := make([]*Ref, 100)
	for i := range refs {
		ref := *one
		ref.Context.CredentialID = fmt.Sprint("cred_", i)
		sealed, err := c.ring.Current().Seal(context.Background(), ref.Context, []byte("sk-test"))
		if err != nil {
			b.Fatal(err)
		}
		ref.Blob = sealed.Blob
		refs[i] = &ref
		if _, err := c.Credential(context.Background(), &ref); err != nil {
			b.Fatal(err)
		}
	}
	c.entries.Wait()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			l, _ := c.Credential(context.Background(), refs[i%len(refs)])
			l.Use(func([]byte) {})
			l.Release()
		}
	})
}

func BenchmarkCold(b *testing.B) {
	c, ref := benchCache(b)
	c.entries = nil
	b.ReportAllocs()
	for b.Loop() {
		l, _ := c.Credential(context.Background(), ref)
		l.Release()
	}
}

func benchCache(b *testing.B) (*Cache, *Ref) {
	b.Helper()
	l, err := CreateLocal(b.TempDir() + "/k")
	if err != nil {
		b.Fatal(err)
	}
	sealed, _ := l.Seal(context.Background(), testContext, []byte("sk-test"))
	ring, _ := NewRing(l, nil)
	c, _ := NewCache(ring, CacheOptions{TTL: time.Minute})
	ref := &Ref{Bound: Bound{Context: testContext, Blob: sealed.Blob}, Keyring: LocalName}
	_, _ = c.Credential(context.Background(), ref)
	c.entries.Wait()
	return c, ref
}
