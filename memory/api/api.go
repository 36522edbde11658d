// Package api is the memory API of docs/memory.md: what may be asked below
// /v1/buckets and /v1/query, and the JSON of its answers. It knows no HTTP
// server; the gateway brings a call and sends the answer.
//
// What needs a tenant's model is not done here: such a call gives a [Task],
// whose prompt the gateway sends on the tenant's own credential, the way of
// every other request.
package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/ownkey/ownkey/memory"
	"github.com/ownkey/ownkey/wire"
)

// HTTP statuses of answers (RFC 9110); net/http itself has no place in a room
// that sees text.
const (
	statusOK                  = 200
	statusCreated             = 201
	statusAccepted            = 202
	statusBadRequest          = 400
	statusForbidden           = 403
	statusNotFound            = 404
	statusConflict            = 409
	statusTooManyRequests     = 429
	statusInternalServerError = 500
	statusBadGateway          = 502
	statusServiceUnavailable  = 503
)

// Call is one request to the API.
type Call struct {
	Caller memory.Caller
	Method string
	Path   string // below /v1, raw
	Query  string // raw
	Key    string // Idempotency-Key
	Bucket string // the token's, where a query names none; may be empty
	Access Access // what the token may do with buckets
	Dry    bool   // a query shows ids and scores, and is not billed
	Body   wire.Text
	Room   Room // that an export takes
}

// Room is the memory that a caller may use.
type Room interface {
	// Take takes bytes, if there are so many.
	Take(bytes int) bool
	// Give gives them back.
	Give(bytes int)
}

// Access says which buckets a caller may use.
type Access interface {
	ReadsBucket(name string) bool
	WritesBucket(name string) bool
}

// Answer is what the client gets. With a Task, it is the task that gives it.
type Answer struct {
	Status      int
	Code        string // of an error, as docs/errors.md has it
	RetryAfter  string // seconds
	ContentType string // empty for JSON
	Body        Body
	// Export gives the body part by part, in place of Body. It is the caller's to
	// close.
	Export *Export
	Task   Task
	// Retrieval says what a search is billed as.
	Retrieval Retrieval
	// Cause is why the call failed, for the operator's log; nil where it did as it
	// should. It holds nothing of a memory.
	Cause error
}

// Retrieval is a search that ran.
type Retrieval struct {
	Ran      bool
	Billable bool
	BucketID string
	Found    int
}

// Task is a call that a tenant's model has to answer. Its methods are called in
// this order, Relay as often as there is something.
type Task interface {
	// Model is the one that is asked, as a client would name it.
	Model() string
	// Prepare finds what the model is told. An answer without a task ends the
	// call before the model is asked.
	Prepare(ctx context.Context) Answer
	// Prompt is what the model is asked.
	Prompt() *memory.Prompt
	// Begin says what the model's answer is made of.
	Begin(d wire.Dialect, f wire.Format)
	// Relay takes the next bytes of the model's answer and gives what the client
	// gets for them: nothing, unless the task streams.
	Relay(p []byte) Body
	// Finish gives the answer, or a stream's last events, when the model is
	// done.
	Finish(ctx context.Context, u wire.Usage) Answer
	// Retrieval is what Prepare searched.
	Retrieval() Retrieval
}

// Body is the text of an answer. It prints as [text].
type Body struct{ parts [][]byte }

// bodyOf is a body of one part.
func bodyOf(b []byte) Body { return Body{[][]byte{b}} }

// Len is its length in bytes.
func (b Body) Len() (n int) {
	for _, part := range b.parts {
		n += len(part)
	}
	return n
}

// WriteTo writes it.
func (b Body) WriteTo(w io.Writer) (total int64, err error) {
	for _, part := range b.parts {
		n, err := w.Write(part)
		total += int64(n)
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// String gives [text].
func (b Body) String() string { return "[text]" }

// GoString gives [text].
func (b Body) GoString() string { return "[text]" }

// API answers calls. It is safe for concurrent use.
type API struct {
	keeper  *memory.Keeper
	exports exports
	// synthesis is the model that a tenant's queries are answered by.
	synthesis func(tenant string) string
}

// New makes the API of a keeper. synthesis names the model for a tenant's
// queries and profiles.
func New(k *memory.Keeper, synthesis func(tenant string) string) *API {
	return &API{keeper: k, synthesis: synthesis}
}

// call is a Call with its path taken apart.
type call struct {
	*Call
	segments []string // decoded, without the first
	query    url.Values
}

// Answer answers a call. It waits for the store, not for a model.
func (a *API) Answer(ctx context.Context, c *Call) Answer {
	in := call{Call: c}
	var err error
	if in.query, err = url.ParseQuery(c.Query); err != nil || !valid(in.query) {
		return failure(&memory.InvalidError{Field: "query", Reason: "is not a valid query string in UTF-8"})
	}
	for s := range strings.SplitSeq(strings.Trim(c.Path, "/"), "/") {
		if s, err = url.PathUnescape(s); err != nil || !utf8.ValidString(s) {
			return failure(&memory.InvalidError{Field: "path", Reason: "is not a valid path in UTF-8"})
		}
		in.segments = append(in.segments, s)
	}
	found, ok := a.route(&in)
	if !ok {
		return fail(statusNotFound, "not_found", "no such call of the memory API; see docs/memory.md")
	}
	if err := in.permitted(found.use); err != nil {
		return failure(err)
	}
	if err := in.onlyKnown(found.parameters); err != nil {
		return failure(err)
	}
	out, err := found.handle(ctx, &in)
	if err != nil {
		return failure(err)
	}
	return out
}

// valid reports whether all of a query string is UTF-8.
func valid(query url.Values) bool {
	for name, values := range query {
		if !utf8.ValidString(name) || slices.ContainsFunc(values, func(v string) bool { return !utf8.ValidString(v) }) {
			return false
		}
	}
	return true
}

type handler func(ctx context.Context, c *call) (Answer, error)

// use is what a call does with the bucket that its path names.
type use uint8

const (
	uses   use = 0 // none; what it names elsewhere, its handler judges
	reads  use = 1
	writes use = 2
)

type entry struct {
	handle handler
	use    use
	// parameters are those that the call knows; one that ends with a dot is the
	// beginning of names.
	parameters []string
}

// forbiddenError is a bucket that the token may not use so. field is where the
// call names it.
type forbiddenError struct {
	field string
	verb  string
}

// Error names the field and the way out.
func (e *forbiddenError) Error() string {
	return e.field + ": the token may not " + e.verb + " this bucket; use another, or have it allowed: ownkey token update --" + e.verb + "-bucket"
}

// permitted judges the bucket of a call's path.
func (c *call) permitted(u use) error {
	if u&reads != 0 && !c.Access.ReadsBucket(c.bucket()) {
		return &forbiddenError{"path", "read"}
	}
	if u&writes != 0 && !c.Access.WritesBucket(c.bucket()) {
		return &forbiddenError{"path", "write"}
	}
	return nil
}

// route finds what a method and path ask for. The first segment, buckets or
// query, was seen by the gateway.
func (a *API) route(c *call) (entry, bool) {
	pattern := slices.Clone(c.segments)
	if len(pattern) > 1 {
		pattern[1] = "B"
	}
	if len(pattern) > 3 && pattern[2] == "memories" {
		pattern[3] = "M"
	}
	found, ok := map[string]entry{
		"GET buckets":                       {a.listBuckets, uses, []string{"limit", "offset"}},
		"POST buckets":                      {a.createBucket, uses, nil},
		"DELETE buckets/B":                  {a.deleteBucket, writes, nil},
		"POST buckets/B/memories":           {a.store, writes, nil},
		"GET buckets/B/memories":            {a.list, reads, []string{"context", "limit", "offset"}},
		"DELETE buckets/B/memories":         {a.clear, writes, []string{"session", "speaker", "role", "before", "after", "metadata.", "dry_run"}},
		"GET buckets/B/memories/M":          {a.get, reads, nil},
		"PATCH buckets/B/memories/M":        {a.update, reads | writes, nil}, // it answers with the memory
		"DELETE buckets/B/memories/M":       {a.delete, writes, nil},
		"GET buckets/B/memories/M/history":  {a.history, reads, nil},
		"GET buckets/B/export":              {a.export, reads, []string{"format"}},
		"POST buckets/B/import":             {a.importAll, writes, []string{"format"}},
		"GET buckets/B/profile":             {a.profile, reads, nil},
		"POST buckets/B/profile/regenerate": {a.regenerate, reads | writes, nil},
		"POST query":                        {a.ask, uses, nil},
	}[c.Method+" "+strings.Join(pattern, "/")]
	return found, ok
}

func (c *call) bucket() string { return c.segments[1] }

func (c *call) memory() string { return c.segments[3] }

// onlyKnown refuses a parameter that the call does not know, or that stands there
// twice: what was meant to narrow a deletion down, or to try it, must not be
// overlooked.
func (c *call) onlyKnown(known []string) error {
	for name, values := range c.query {
		if !slices.ContainsFunc(known, func(k string) bool { return name == k || strings.HasSuffix(k, ".") && strings.HasPrefix(name, k) }) {
			if len(known) == 0 {
				return &memory.InvalidError{Field: firstBytes(name), Reason: "there is no such parameter; this call has none"}
			}
			return &memory.InvalidError{Field: firstBytes(name), Reason: "there is no such parameter; known are: " + strings.Join(known, ", ")}
		}
		if len(values) > 1 {
			return &memory.InvalidError{Field: firstBytes(name), Reason: "must be given once"}
		}
	}
	return nil
}

// firstBytes keeps a name short that a client has sent.
func firstBytes(name string) string {
	var out strings.Builder
	for _, r := range name {
		if out.Len() > 60 {
			break
		}
		if r < ' ' || r > '~' || r == '"' || r == '\\' {
			r = '?'
		}
		out.WriteRune(r)
	}
	return out.String()
}

// number reads a parameter that is a number.
func (c *call) number(name string, byDefault, least, most int) (int, error) {
	raw := c.query.Get(name)
	if raw == "" {
		return byDefault, nil
	}
	n, err := strconv.Atoi(raw)
	if err != nil || n < least || n > most {
		return 0, &memory.InvalidError{Field: name, Reason: "must be a number from " + strconv.Itoa(least) + " to " + strconv.Itoa(most)}
	}
	return n, nil
}

// flag reads a parameter that is true or false.
func (c *call) flag(name string) (bool, error) {
	switch c.query.Get(name) {
	case "":
		return false, nil
	case "true", "1":
		return true, nil
	case "false", "0":
		return false, nil
	}
	return false, &memory.InvalidError{Field: name, Reason: "must be true or false"}
}

// errNull is a body that encoding/json takes for an object without members.
var errNull = errors.New("null is not an object")

// read decodes the body into v: one JSON object without unknown members.
func (c *call) read(v any, strict bool) error {
	if !utf8.Valid(c.Body.Reveal()) {
		return &memory.InvalidError{Field: "body", Reason: "is not valid UTF-8"}
	}
	d := json.NewDecoder(bytes.NewReader(c.Body.Reveal()))
	if strict {
		d.DisallowUnknownFields()
	}
	err := d.Decode(v)
	if err == nil && string(bytes.TrimSpace(c.Body.Reveal())) == "null" {
		err = errNull
	}
	if err == nil {
		if _, err = d.Token(); err == io.EOF {
			return nil
		}
		return &memory.InvalidError{Field: "body", Reason: "something follows the JSON object"}
	}
	return badBody(err)
}

// badBody says what is wrong with a body without quoting its values.
func badBody(err error) error {
	var kind *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	var invalid *memory.InvalidError
	switch {
	case errors.As(err, &invalid):
		return invalid
	case errors.As(err, &kind) && kind.Field != "":
		return &memory.InvalidError{Field: kind.Field, Reason: "must be a " + kindName(kind.Type.Kind().String())}
	case errors.As(err, &syntax):
		return &memory.InvalidError{Field: "body", Reason: "is not valid JSON at byte " + strconv.FormatInt(syntax.Offset, 10)}
	case errors.Is(err, io.ErrUnexpectedEOF):
		return &memory.InvalidError{Field: "body", Reason: "the JSON ends too early"}
	case errors.Is(err, io.EOF):
		return &memory.InvalidError{Field: "body", Reason: "is empty; this call takes a JSON object"}
	case strings.HasPrefix(err.Error(), "json: unknown field "):
		name := strings.Trim(strings.TrimPrefix(err.Error(), "json: unknown field "), `"`)
		return &memory.InvalidError{Field: firstBytes(name), Reason: "there is no such member"}
	}
	return &memory.InvalidError{Field: "body", Reason: "is not the JSON object that this call takes"}
}

// kindName is a Go kind as a writer of JSON knows it.
func kindName(kind string) string {
	switch kind {
	case "slice":
		return "list"
	case "struct", "map":
		return "JSON object"
	case "bool":
		return "true or false"
	case "int", "int64", "float32", "float64":
		return "number"
	}
	return kind
}

// ok makes an answer of a value.
func ok(status int, v any) (Answer, error) {
	b, err := encode(v)
	return Answer{Status: status, Body: bodyOf(b)}, err
}

// deleted answers a deletion that err came of. One whose text a reader still
// holds in a file says so.
func deleted(err error, out map[string]any) (Answer, error) {
	out["success"] = true
	switch {
	case errors.Is(err, memory.ErrErasePending):
		out["erased"] = false
		return ok(statusAccepted, out)
	case err != nil:
		return Answer{}, err
	}
	return ok(statusOK, out)
}

// encode writes JSON as it is, without escapes for HTML.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'}), nil
}

// fail makes an error's answer: the API's clients read a string there.
func fail(status int, code, message string) Answer {
	b, err := encode(map[string]string{"error": message, "code": code})
	if err != nil {
		panic("BUG: strings do not encode: " + err.Error())
	}
	return Answer{Status: status, Code: code, Body: bodyOf(b)}
}

// Fail makes the API's form of an error that the gateway has found.
func Fail(status int, code, message, retryAfter string) Answer {
	a := fail(status, code, message)
	a.RetryAfter = retryAfter
	return a
}

// failure is the one place where an error of the room becomes an answer.
func failure(err error) Answer {
	var invalid *memory.InvalidError
	var forbidden *forbiddenError
	var busy *busyError
	switch {
	case errors.As(err, &invalid):
		return fail(statusBadRequest, "invalid_request", invalid.Error())
	case errors.As(err, &busy):
		return Fail(statusTooManyRequests, "too_many_requests_in_flight", busy.Error(), "1")
	case errors.As(err, &forbidden):
		return fail(statusForbidden, "not_allowed", forbidden.Error())
	case errors.Is(err, memory.ErrNotFound):
		return fail(statusNotFound, "not_found", "there is no such bucket or memory")
	case errors.Is(err, memory.ErrFull):
		return fail(statusConflict, "bucket_full", "the bucket has as many memories as it may have (memory.max_bucket_memories); delete some, or use another")
	case errors.Is(err, memory.ErrTooLarge):
		return fail(statusConflict, "bucket_full", "the bucket has as many bytes as it may have (a quarter of memory.max_resident_bytes); delete some memories, or use another bucket")
	case errors.Is(err, memory.ErrTenantFull):
		return fail(statusConflict, "tenant_full", "the tenant has as many bytes of memories as it may have (memory.max_tenant_bytes); delete some, or ask the operator for more")
	case errors.Is(err, memory.ErrTooManyBuckets):
		return fail(statusConflict, "too_many_buckets", "the tenant has as many buckets as it may have (memory.max_tenant_buckets); delete some, or use one there is")
	case errors.Is(err, memory.ErrKeyReused):
		return fail(statusConflict, "idempotency_key_reused", "the Idempotency-Key was used for another request within the last day; use a new one")
	case errors.Is(err, memory.ErrBusy):
		return Fail(statusTooManyRequests, "rate_limited", "too many writes wait for this bucket; try again", "1")
	case errors.Is(err, memory.ErrUnavailable), errors.Is(err, memory.ErrTimeout):
		a := Fail(statusServiceUnavailable, "store_unavailable", "the memory store can not be reached; try again", "2")
		a.Cause = err
		return a
	}
	a := fail(statusInternalServerError, "internal_error", "the gateway failed; its log has the request id")
	a.Cause = err
	return a
}
