package memory

import (
	"encoding/json"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Memory is a text that a tenant wants remembered. Zero times are none.
type Memory struct {
	ID       string
	Bucket   string // its name
	Content  string
	Role     string // who said it: user, assistant, tool, or empty for a plain memory
	Speaker  string // name of who said it
	Session  string // the conversation that it is a turn of
	Facts    []string
	Metadata json.RawMessage // a JSON object, or nil
	Pinned   bool            // recalled always
	// Context: a turn that states nothing. It helps to find the turns beside it, and is
	// itself not recalled, listed, counted or changed.
	Context    bool
	CreatedAt  time.Time
	ObservedAt time.Time // when it was said; CreatedAt if unknown
	ValidFrom  time.Time
	ValidTo    time.Time
	ExpiresAt  time.Time
	// Supersedes is the memory that this one takes the place of, and
	// SupersededBy the one that has taken its place.
	Supersedes   string
	SupersededBy string
	Version      int // 1 until it is changed

	seq      int64
	tenant   string
	bucketID string
	hash     []byte // of the content, as it is
	shape    []byte // of what it says: see shapeOf
	origin   []byte
}

// Bucket is a namespace of memories.
type Bucket struct {
	ID          string
	Name        string
	Description string
	// TTL is how long what is captured into it is kept; zero where it does not say, and
	// retention.Never for ever.
	TTL       time.Duration
	CreatedAt time.Time
	Memories  int64
}

// Caller is on whose behalf something is done: names for the meter.
type Caller struct {
	Tenant    string
	Token     string
	RequestID [16]byte
}

// Sentinels of the room. Test with errors.Is.
var (
	// ErrNotFound: there is no such bucket or memory of this tenant.
	ErrNotFound = errors.New("not found")
	// ErrBusy: too many writers wait for the bucket.
	ErrBusy = errors.New("too many writes wait for this bucket")
	// ErrFull: the bucket has as many memories as it may have.
	ErrFull = errors.New("bucket is full")
	// ErrTooLarge: the bucket has as many bytes as it may have.
	ErrTooLarge = errors.New("bucket is too large")
	// ErrTenantFull: the tenant has as many bytes as it may have.
	ErrTenantFull = errors.New("tenant has too many bytes")
	// ErrErasePending: all is deleted, and no recall finds it; its text stays in a
	// file until a reader of that file has ended.
	ErrErasePending = errors.New("deleted text is erased from the files when a long reader has ended")
	// ErrTooManyBuckets: the tenant has as many buckets as it may have.
	ErrTooManyBuckets = errors.New("tenant has too many buckets")
	// ErrKeyReused: an Idempotency-Key came again with another request.
	ErrKeyReused = errors.New("idempotency key was used for another request")
	// ErrUnavailable: the database can not be used now.
	ErrUnavailable = errors.New("cannot reach memory store")
	// ErrTimeout: recall was not ready by its deadline.
	ErrTimeout = errors.New("recall took too long")
)

// InvalidError names the field that can not be as asked, and why. It quotes no
// text.
type InvalidError struct {
	Field  string
	Reason string
}

// Error gives field and reason.
func (e *InvalidError) Error() string { return e.Field + ": " + e.Reason }

// unavailable marks a failure of the database.
func unavailable(err error) error {
	if err == nil {
		return nil
	}
	return errors.Join(ErrUnavailable, err)
}

// DefaultBucket is the bucket where none is named.
const DefaultBucket = "default"

// Bounds of what one memory may hold. Content that is longer than the block's
// budget is stored and found, but never injected: memories are whole or not at
// all.
const (
	MaxContentBytes  = 100 << 10
	maxNameBytes     = 200
	maxIDBytes       = 64
	maxMetadataBytes = 16 << 10
	maxFactBytes     = 2000
	// maxMetadataDepth is how deep metadata may be nested: SQLite, which looks for
	// members, reads 1,000 levels.
	maxMetadataDepth = 100
	// MaxFacts is how many facts a memory may have.
	MaxFacts = 64
	// MaxBatch is how many memories one call may store: one transaction.
	MaxBatch = 1000
)

// bucketName is what a bucket may be called; the same as the directory allows
// for a token's buckets. Each part between slashes begins with a letter or digit,
// so that no name is a dot segment of a path.
var bucketName = regexp.MustCompile(`^[\p{L}\p{N}][\p{L}\p{N}\p{M}._:@ -]*(/[\p{L}\p{N}][\p{L}\p{N}\p{M}._:@ -]*)*$`)

// maxBucketName is how many characters a bucket's name has at most.
const maxBucketName = 128

// CheckBucket says what is wrong with a bucket's name. A space inside was allowed
// once, and buckets that have one stay usable.
func CheckBucket(name string) error {
	if !bucketName.MatchString(name) || utf8.RuneCountInString(name) > maxBucketName {
		return &InvalidError{"bucket", "must be 1 to 128 letters, digits and . _ - : @ or spaces, in parts divided by /, each beginning with a letter or digit"}
	}
	return nil
}

// memoryID is what the id of a memory from a file may be: it is written into
// blocks and headers, where other characters mean something.
var memoryID = regexp.MustCompile(`^[0-9A-Za-z._-]{0,` + strconv.Itoa(maxIDBytes) + `}$`)

// check says what is wrong with a memory that is about to be stored. prefix
// stands before the names of fields.
func (m *Memory) check(prefix string, now time.Time) error {
	invalid := func(field, reason string) error { return &InvalidError{prefix + field, reason} }
	switch {
	case strings.TrimSpace(m.Content) == "":
		return invalid("content", "must be a text that is not empty")
	case len(m.Content) > MaxContentBytes:
		return invalid("content", "must not be longer than "+strconv.Itoa(MaxContentBytes)+" bytes")
	case len(m.Metadata) > maxMetadataBytes:
		return invalid("metadata", "must not be longer than "+strconv.Itoa(maxMetadataBytes)+" bytes")
	case len(m.Metadata) > 0 && (m.Metadata[0] != '{' || !json.Valid(m.Metadata)):
		return invalid("metadata", "must be a JSON object")
	case tooDeep(m.Metadata):
		return invalid("metadata", "must not be nested deeper than "+strconv.Itoa(maxMetadataDepth)+" levels")
	case !memoryID.MatchString(m.ID):
		return invalid("id", "must be at most "+strconv.Itoa(maxIDBytes)+" letters and digits of ASCII, and - _ .; leave it out to get a new one")
	case len(m.Facts) > MaxFacts:
		return invalid("facts", "must not be more than "+strconv.Itoa(MaxFacts))
	case !m.ExpiresAt.IsZero() && !m.ExpiresAt.After(now):
		return invalid("expires_at", "must lie in the future")
	case !m.ValidTo.IsZero() && !m.ValidFrom.IsZero() && !m.ValidFrom.Before(m.ValidTo):
		return invalid("valid_to", "must lie after valid_from")
	}
	for field, t := range map[string]time.Time{
		"created_at": m.CreatedAt, "observed_at": m.ObservedAt, "valid_from": m.ValidFrom, "valid_to": m.ValidTo, "expires_at": m.ExpiresAt,
	} {
		if !writable(t) {
			return invalid(field, wantedTime)
		}
	}
	for _, t := range []struct {
		field, value string
		most         int
	}{{"content", m.Content, MaxContentBytes}, {"role", m.Role, maxNameBytes}, {"speaker", m.Speaker, maxNameBytes}, {"session", m.Session, maxNameBytes}} {
		if len(t.value) > t.most {
			return invalid(t.field, "must not be longer than "+strconv.Itoa(t.most)+" bytes")
		}
		if !utf8.ValidString(t.value) {
			return invalid(t.field, "must be valid UTF-8")
		}
	}
	for i, f := range m.Facts {
		if len(f) > maxFactBytes || !utf8.ValidString(f) {
			return invalid("facts["+strconv.Itoa(i)+"]", "must be valid UTF-8 of at most "+strconv.Itoa(maxFactBytes)+" bytes")
		}
	}
	return nil
}

// Check says what would be wrong with storing a memory of a file, whenever that
// is: an [*InvalidError]. What has expired is passed over then, and is not wrong.
func (m *Memory) Check() error { return m.check("", time.Time{}) }

// wantedTime is what a time must be.
const wantedTime = "must be a time of the years 1 to 9999 in UTC"

// writable reports whether a time, or none, can be written as RFC 3339 has it:
// near the year's ends a zone may lead out of what four digits can say.
func writable(t time.Time) bool {
	year := t.UTC().Year()
	return year >= 1 && year <= 9999
}

// tooDeep reports whether valid JSON is nested deeper than metadata may be.
func tooDeep(raw json.RawMessage) bool {
	depth, inString := 0, false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth > maxMetadataDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// Tokens estimates how many tokens a text costs, rather too many than too few:
// a tokenizer for every model has no place in a request's path. English prose
// has four to five characters a token; a third is the estimate for ASCII, a
// half of the bytes for what lies beyond.
func Tokens(text string) int {
	ascii := 0
	for i := range len(text) {
		if text[i] < utf8.RuneSelf {
			ascii++
		}
	}
	return (ascii+2)/3 + (len(text)-ascii+1)/2
}

// live reports whether a memory can be recalled at a time.
func (m *Memory) live(now time.Time) bool { return m.ExpiresAt.IsZero() || now.Before(m.ExpiresAt) }

// valid reports whether a memory says what was so at a time. Without a time to
// ask for, what was superseded is not.
func (m *Memory) valid(asOf, now time.Time) bool {
	if asOf.IsZero() {
		return m.SupersededBy == "" && (m.ValidFrom.IsZero() || !now.Before(m.ValidFrom)) && (m.ValidTo.IsZero() || now.Before(m.ValidTo))
	}
	from := m.ValidFrom
	if from.IsZero() {
		from = m.ObservedAt
	}
	return !asOf.Before(from) && (m.ValidTo.IsZero() || asOf.Before(m.ValidTo))
}

// closed reports whether a memory says what was so and is over.
func (m *Memory) closed(now time.Time) bool {
	return m.SupersededBy != "" || !m.ValidTo.IsZero() && !now.Before(m.ValidTo)
}
