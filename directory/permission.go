package directory

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/ownkey/ownkey/internal/origin"
)

// This file is what a token may do. Lists are read when a token comes into the
// replica; to judge a call by them takes no lock and no memory.

// Scopes of a token.
const (
	ScopeInference = "inference"
	ScopeMemory    = "memory"
	ScopeUsage     = "usage"
)

// All is the entry that stands for everything, and what a list that was left out
// becomes. Of scopes, it is those of everyScope and never a later one.
const All = "*"

var everyScope = []string{ScopeInference, ScopeMemory, ScopeUsage}

// Buckets are the patterns of bucket names that a token may read and write. No
// pattern is no bucket.
type Buckets struct {
	Read  []string `json:"read"`
	Write []string `json:"write"`
}

// AllowsScope reports whether the token may be used for something.
func (t *Token) AllowsScope(scope string) bool {
	return slices.Contains(t.Scopes, scope) || slices.Contains(t.Scopes, All) && slices.Contains(everyScope, scope)
}

// Listed reports whether the token has a list of models.
func (t *Token) Listed() bool { return !slices.Contains(t.Models, All) }

// AllowsModel reports whether the token may ask for a model of a provider. An
// entry of the list is a model's name, or provider/model; a trailing * stands
// for any rest. An entry that begins with the name of a provider means that
// provider's models, and not one that another provider calls so.
func (t *Token) AllowsModel(provider string, model []byte) bool {
	for i, entry := range t.Models {
		own := i < len(t.ofProvider) && t.ofProvider[i]
		if !own && matches(entry, model) || matchesOf(entry, provider, model) {
			return true
		}
	}
	return false
}

// matchesOf is matches for provider/model.
func matchesOf(pattern, provider string, model []byte) bool {
	if rest, ok := strings.CutPrefix(pattern, provider); ok && strings.HasPrefix(rest, "/") {
		return matches(rest[1:], model)
	}
	return pattern == All
}

// AllowsEndpoint reports whether the token, which has a list of models, may call
// a path below /v1 that names no model, or whose model is not read.
func (t *Token) AllowsEndpoint(path []byte) bool {
	return slices.ContainsFunc(t.Endpoints, func(pattern string) bool {
		return matches(strings.TrimPrefix(pattern, endpointBase), path)
	})
}

// endpointBase stands before patterns of endpoints, as clients write them.
const endpointBase = "/v1"

// AllowsAddress reports whether the token's calls may come from an address. One
// that is not known is in no range.
func (t *Token) AllowsAddress(a netip.Addr) bool { return len(t.origins) == 0 || t.origins.Contain(a) }

// BoundToAddresses reports whether the token's calls may come from some addresses only.
func (t *Token) BoundToAddresses() bool { return len(t.origins) > 0 }

const originRule = "must be an IP range such as 203.0.113.0/24 or 2001:db8::/32, without bits beyond its mask, or an address"

func validOrigin(s string) bool {
	_, ok := origin.Parse(s)
	return ok
}

// AllowsCredential reports whether the token may use a credential of that label.
func (t *Token) AllowsCredential(label string) bool { return anyMatches(t.Credentials, label) }

// ReadsBucket reports whether the token may read a bucket.
func (t *Token) ReadsBucket(name string) bool { return t.allowsBucket(t.Buckets.Read, name) }

// WritesBucket reports whether the token may write to a bucket.
func (t *Token) WritesBucket(name string) bool { return t.allowsBucket(t.Buckets.Write, name) }

// allowsBucket applies one of the lists. Without the scope memory, a token whose
// list is open has the bucket of its own setting only. A token from before
// buckets were walls keeps what it could do.
func (t *Token) allowsBucket(list []string, name string) bool {
	if t.Unconfined {
		return true
	}
	if slices.Contains(list, All) && !t.AllowsScope(ScopeMemory) {
		return name == t.Bucket
	}
	return anyMatches(list, name)
}

// UsableBuckets are the lists as they count: what a reader of them would expect.
func (t *Token) UsableBuckets() Buckets {
	usable := func(list []string) []string {
		switch {
		case t.Unconfined:
			return []string{All}
		case slices.Contains(list, All) && !t.AllowsScope(ScopeMemory):
			return []string{t.Bucket}
		}
		return append([]string{}, list...)
	}
	return Buckets{usable(t.Buckets.Read), usable(t.Buckets.Write)}
}

func anyMatches(patterns []string, name string) bool {
	for _, p := range patterns {
		if prefix, open := strings.CutSuffix(p, "*"); p == name || open && strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// Names of a bucket, as package memory allows them, and patterns of them.
const (
	bucketPart = `[\p{L}\p{N}][\p{L}\p{N}\p{M}._:@ -]*`
	bucketText = bucketPart + `(/` + bucketPart + `)*`
	maxBucket  = 128 // characters
)

var (
	bucketPattern   = regexp.MustCompile(`^(` + bucketText + `|(` + bucketText + `/?)?\*)$`)
	labelPattern    = regexp.MustCompile(`^([A-Za-z0-9][A-Za-z0-9._@ -]{0,63})?\*?$`)
	endpointPattern = regexp.MustCompile(`^/v1/[A-Za-z0-9._~:@!$&'()+,;=%/-]{0,200}\*?$`)
)

const (
	bucketRule   = "must be 1 to 128 letters, digits and . _ - : @ or spaces, in parts divided by /, each beginning with a letter or digit; a * at the end stands for any rest"
	labelRule    = "must be a credential's label; a * at the end stands for any rest"
	endpointRule = "must be a path such as /v1/files; a * at the end stands for any rest"
	emptyRule    = "must not be empty; leave it out, or write [\"*\"], for all"
	maxEntries   = 256 // of a list
)

// checkList says what is wrong with a list. What was left out is nil.
func checkList(field string, list []string, mayBeEmpty bool, valid func(string) bool, rule string) error {
	switch {
	case list != nil && len(list) == 0 && !mayBeEmpty:
		return &InvalidError{field, emptyRule}
	case len(list) > maxEntries:
		return &InvalidError{field, fmt.Sprintf("must not have more than %d entries", maxEntries)}
	}
	var errs []error
	for i, entry := range list {
		if !valid(entry) {
			errs = append(errs, &InvalidError{fmt.Sprintf("%s[%d]", field, i), rule})
		}
	}
	return errors.Join(errs...)
}

func validScope(s string) bool { return s == All || slices.Contains(everyScope, s) }

func validModel(s string) bool { return s != "" && modelPattern.MatchString(s) }

func validEndpoint(s string) bool { return endpointPattern.MatchString(s) }

func validLabel(s string) bool { return s != "" && labelPattern.MatchString(s) }

func validBucket(s string) bool {
	return bucketPattern.MatchString(s) && utf8.RuneCountInString(s) <= maxBucket
}

// checkLists says what is wrong with what a token may use.
func (t *Token) checkLists() error {
	return errors.Join(
		checkList("scopes", t.Scopes, false, validScope, "must be inference, memory, usage or *"),
		checkList("models", t.Models, false, validModel, "must be a model or provider/model; a * at the end stands for any rest"),
		checkList("endpoints", t.Endpoints, true, validEndpoint, endpointRule),
		checkList("credentials", t.Credentials, false, validLabel, labelRule),
		checkList("buckets.read", t.Buckets.Read, true, validBucket, bucketRule),
		checkList("buckets.write", t.Buckets.Write, true, validBucket, bucketRule),
		checkList("allow_from", t.AllowFrom, true, validOrigin, originRule),
		t.checkBucket(), t.checkEndpoints(),
	)
}

// checkBucket refuses a token that could not use the bucket that it works with.
func (t *Token) checkBucket() error {
	if t.Bucket != "" && !t.ReadsBucket(t.Bucket) && !t.WritesBucket(t.Bucket) {
		return &InvalidError{"bucket", "must be one that buckets.read or buckets.write allows"}
	}
	return nil
}

// checkEndpoints refuses what would look like a wall and is none.
func (t *Token) checkEndpoints() error {
	if len(t.Endpoints) > 0 && !t.Listed() {
		return &InvalidError{"endpoints", "are what a token with a list of models may call besides; give models, too"}
	}
	return nil
}

// confine sets what buckets a token may use, from what was asked for: a bucket
// or pattern is a wall for both, lists are for reading and writing apart, and
// neither is all. The bucket it works with is the one that was named; without
// one it is default, if it may use that.
func (t *Token) confine(bucket string, lists *Buckets) error {
	if bucket == "" && lists == nil && !t.Unconfined && len(t.Buckets.Read)+len(t.Buckets.Write) > 0 {
		return &InvalidError{"bucket", "must not be empty: it would open every bucket; say buckets: {\"read\": [\"*\"], \"write\": [\"*\"]} for that"}
	}
	if bucket != "" && !validBucket(bucket) {
		return &InvalidError{"bucket", bucketRule}
	}
	wall := []string{bucket}
	if bucket == "" {
		wall = []string{All}
	}
	t.Buckets, t.Unconfined = Buckets{wall, wall}, false
	if lists != nil {
		for _, l := range []struct {
			field   string
			asked   []string
			allowed *[]string
		}{{"buckets.read", lists.Read, &t.Buckets.Read}, {"buckets.write", lists.Write, &t.Buckets.Write}} {
			if l.asked == nil && bucket == "" {
				return &InvalidError{l.field, "must be given, too: patterns, [\"*\"] for all buckets, or [] for none"}
			}
			if l.asked != nil {
				*l.allowed = l.asked
			}
		}
	}
	t.Bucket = bucket
	if bucket == "" || strings.HasSuffix(bucket, "*") {
		t.Bucket = defaultBucket
		if !t.ReadsBucket(defaultBucket) && !t.WritesBucket(defaultBucket) {
			t.Bucket = ""
		}
	}
	return nil
}

// defaultBucket is where a token works that names no other.
const defaultBucket = "default"

// orAll gives a list, or the one that stands for all.
func orAll(list []string) []string {
	if list == nil {
		return []string{All}
	}
	return list
}

// text is how buckets are stored. Empty is a token from before they were walls.
func (b *Buckets) text() string {
	raw, err := json.Marshal(Buckets{append([]string{}, b.Read...), append([]string{}, b.Write...)})
	if err != nil {
		panic("BUG: lists of strings: " + err.Error())
	}
	return string(raw)
}

// readLists fills a token from its columns.
func (t *Token) readLists(scopes, models, endpoints, credentials, from, buckets string) error {
	var errs []error
	for _, l := range []struct {
		raw string
		to  *[]string
	}{{scopes, &t.Scopes}, {models, &t.Models}, {endpoints, &t.Endpoints}, {credentials, &t.Credentials}, {from, &t.AllowFrom}} {
		errs = append(errs, json.Unmarshal([]byte(l.raw), l.to))
	}
	if t.Unconfined = buckets == ""; !t.Unconfined {
		errs = append(errs, json.Unmarshal([]byte(buckets), &t.Buckets))
	}
	return errors.Join(errs...)
}

// ofProvider says which entries of a list of models begin with the name of a
// provider.
func (d *Directory) ofProvider(models []string) []bool {
	own, known := make([]bool, len(models)), *d.providers.Load()
	for i, entry := range models {
		provider, _, ok := strings.Cut(entry, "/")
		own[i] = ok && known[provider]
	}
	return own
}

// SetProviders gives the names that routes and entries of tokens' models may
// mean a provider by from now on; none is any. What is stored stays.
func (d *Directory) SetProviders(names []string) {
	known := make(map[string]bool, len(names))
	for _, name := range names {
		known[name] = true
	}
	d.feed.Lock()
	defer d.feed.Unlock()
	d.providers.Store(&known)
	d.tokens.Range(func(id tokenID, t *Token) bool {
		if own := d.ofProvider(t.Models); !slices.Equal(own, t.ofProvider) {
			next := *t
			next.ofProvider = own
			d.tokens.Store(id, &next)
		}
		return true
	})
}

// checkProviders refuses a default provider and routes that lead nowhere.
func (d *Directory) checkProviders(c *TenantChange) error {
	known := *d.providers.Load()
	refuse := func(field, name string) error {
		if name == "" || len(known) == 0 || known[name] {
			return nil
		}
		return &InvalidError{field, "there is no such provider; known are: " + strings.Join(slices.Sorted(maps.Keys(known)), ", ")}
	}
	var errs []error
	if c.DefaultProvider != nil {
		errs = append(errs, refuse("default_provider", *c.DefaultProvider))
	}
	if c.Routes != nil {
		for i := range *c.Routes {
			errs = append(errs, refuse(fmt.Sprintf("routes[%d].provider", i), (*c.Routes)[i].Provider))
		}
	}
	return errors.Join(errs...)
}
