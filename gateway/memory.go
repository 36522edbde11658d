package gateway

import (
	"bytes"
	"cmp"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ownkey/ownkey/directory"
	"github.com/ownkey/ownkey/memory"
	"github.com/ownkey/ownkey/memory/api"
	"github.com/ownkey/ownkey/memory/transcript"
	"github.com/ownkey/ownkey/meter"
	"github.com/ownkey/ownkey/wire"
	"github.com/valyala/fasthttp"
)

// Memory is what the gateway needs to remember for tenants. All fields are
// required.
type Memory struct {
	Keeper *memory.Keeper
	API    *api.API
}

// Bounds of what a client may ask for.
const (
	maxMemoryTokens = 8000
	maxMemoryTopK   = 50
	// maxMemoryBuckets bounds the buckets that one call recalls from.
	maxMemoryBuckets = 32
	maxSaidBytes     = 64 << 10 // of an answer that is captured
)

// remembering is the memory of one request. Requests without it have none.
type remembering struct {
	recall, capture, dry bool
	buckets              []string
	session              string
	topK, maxTokens      int
	asOf                 time.Time

	conversation wire.Conversation
	recalled     memory.Recalled
	outcome      meter.MemoryOutcome
	billed       bool
	turn         memory.Turn
	said         transcript.Transcript
	listening    bool // the answer is captured, too
}

var rememberings = sync.Pool{New: func() any { return &remembering{} }}

func (m *remembering) reset() {
	*m = remembering{conversation: m.conversation, said: m.said, buckets: m.buckets[:0]}
	m.conversation.Reset()
	m.said.Reset(wire.DialectNone, wire.FormatOpaque, 0)
}

// planMemory reads what the client and its token want of memory. Most want
// none.
func (r *request) planMemory() error {
	h := &r.ctx.Request.Header
	mode := r.caller.Token.Memory
	if asked := h.Peek("Ownkey-Memory"); len(asked) > 0 {
		if !within(string(asked), mode) && !r.caller.Token.AllowsScope(directory.ScopeMemory) {
			return errMode
		}
		mode = string(asked)
	}
	if mode == "" || mode == "off" || !conversational(r.endpoint.request) {
		return nil
	}
	m := rememberings.Get().(*remembering) //nolint:forcetypeassert // the pool's New
	r.memory = m
	switch mode {
	case "on":
		m.recall, m.capture = true, true
	case "recall":
		m.recall = true
	case "capture":
		m.capture = true
	default:
		return refuse(codeInvalidRequest, "header Ownkey-Memory: must be on, off, recall or capture")
	}
	return r.readMemoryHeaders(m)
}

// conversational reports whether a call of a dialect has a conversation.
func conversational(d wire.Dialect) bool {
	return d == wire.DialectChat || d == wire.DialectResponses || d == wire.DialectMessages
}

func (r *request) readMemoryHeaders(m *remembering) error {
	h := &r.ctx.Request.Header
	if err := r.readBuckets(m, string(h.Peek("Ownkey-Bucket"))); err != nil {
		return err
	}
	var err error
	if m.topK, err = headerNumber(h, "Ownkey-Memory-Top-K", r.table.recall.TopK, maxMemoryTopK); err != nil {
		return err
	}
	if m.maxTokens, err = headerNumber(h, "Ownkey-Memory-Max-Tokens", r.table.recall.MaxTokens, maxMemoryTokens); err != nil {
		return err
	}
	if m.dry, err = dryRun(h); err != nil {
		return err
	}
	if m.dry && !r.caller.Token.AllowsScope(directory.ScopeMemory) {
		return errDryRun
	}
	if m.asOf, err = asOf(h); err != nil {
		return err
	}
	m.session = string(h.Peek("Ownkey-Session"))
	if len(m.session) > maxIdentifierBytes || identifier([]byte(m.session)) != m.session {
		return refuse(codeInvalidRequest, "header Ownkey-Session: must be an identifier of at most 128 characters")
	}
	for i := 0; m.session == "" && i < len(sessionHeaders); i++ {
		if name := h.Peek(sessionHeaders[i]); len(bytes.TrimSpace(name)) > 0 {
			m.session = memory.Session(wire.NewText(&name), wire.Text{})
		}
	}
	return nil
}

// sessionHeaders are those in which clients name a conversation (Codex, opencode, Claude
// Code and others, 2026-11). Not all of their values are identifiers.
var sessionHeaders = []string{"Session-Id", "Session_id", "X-Session-Id", "X-Claude-Code-Session-Id"}

// readBuckets reads the names of buckets, each once. What a header cannot carry
// may be written as in a path, such as %C3%A9 or %2F.
func (r *request) readBuckets(m *remembering, names string) error {
	if names == "" {
		if names = r.caller.Token.Bucket; names == "" {
			return errNoBucket
		}
	}
	if strings.Count(names, ",") >= maxMemoryBuckets {
		return refuse(codeInvalidRequest, "header Ownkey-Bucket: must not name more than "+strconv.Itoa(maxMemoryBuckets)+" buckets")
	}
	for name := range strings.SplitSeq(names, ",") {
		name, err := url.PathUnescape(strings.TrimSpace(name))
		if err == nil {
			err = memory.CheckBucket(name)
		}
		if err != nil {
			return refuse(codeInvalidRequest, "header Ownkey-Bucket: must be names separated by commas, each of 1 to 128 letters, digits and . _ - : @, in parts divided by /, each beginning with a letter or digit")
		}
		if err := r.permitBucket(m, name); err != nil {
			return err
		}
		if !slices.Contains(m.buckets, name) {
			m.buckets = append(m.buckets, name)
		}
	}
	return nil
}

// dryRun reads the header that asks what would be recalled.
func dryRun(h *fasthttp.RequestHeader) (bool, error) {
	switch dry := h.Peek("Ownkey-Memory-Dry-Run"); string(dry) {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	}
	return false, refuse(codeInvalidRequest, "header Ownkey-Memory-Dry-Run: must be true or false")
}

// asOf reads the header that asks for what was so at a time.
func asOf(h *fasthttp.RequestHeader) (at time.Time, err error) {
	raw := string(h.Peek("Ownkey-Memory-As-Of"))
	if raw == "" {
		return at, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if at, err = time.Parse(layout, raw); err == nil && at.UTC().Year() > 0 && at.UTC().Year() < 10_000 {
			return at.UTC(), nil
		}
	}
	return at, refuse(codeInvalidRequest, "header Ownkey-Memory-As-Of: must be a time such as 2025-06-30T12:00:00Z, or a day such as 2025-06-30")
}

// permitBucket judges one of the buckets of a call; the first is where turns are
// captured.
func (r *request) permitBucket(m *remembering, name string) error {
	token := r.caller.Token
	switch {
	case m.recall && !token.ReadsBucket(name):
		return errReadBucket
	case m.capture && len(m.buckets) == 0 && !token.WritesBucket(name):
		return errWriteBucket
	}
	return nil
}

var (
	errMode = refuse(codeNotAllowed, "header Ownkey-Memory: this asks for more than the token's own setting, for which the token needs the scope memory; "+
		"leave the header out, or make a token with that scope")
	errDryRun     = refuse(codeNotAllowed, "header Ownkey-Memory-Dry-Run: the token's scopes do not include memory; make a token with that scope")
	errReadBucket = refuse(codeNotAllowed, "header Ownkey-Bucket: the token may not read this bucket; name another, "+
		"or have it allowed: ownkey token update --read-bucket (a token without the scope memory has the bucket of its own setting only)")
	errWriteBucket = refuse(codeNotAllowed, "header Ownkey-Bucket: the token may not write this bucket, into which the call would be captured; name another first, "+
		"ask for Ownkey-Memory: recall, or have it allowed: ownkey token update --write-bucket (a token without the scope memory has the bucket of its own setting only)")
	errNoBucket = refuse(codeNotAllowed, "header Ownkey-Bucket: the token works with no bucket of its own; name one that it may use")
)

// within reports whether a mode asks for nothing that the token's own setting
// does not give.
func within(asked, setting string) bool {
	return asked == "off" || asked == setting || setting == "on" && (asked == "recall" || asked == "capture")
}

// headerNumber reads a header that is a number from 1 to most.
func headerNumber(h *fasthttp.RequestHeader, name string, byDefault, most int) (int, error) {
	raw := h.Peek(name)
	if len(raw) == 0 {
		return byDefault, nil
	}
	n, err := strconv.Atoi(string(raw))
	if err != nil || n < 1 || n > most {
		return 0, refuse(codeInvalidRequest, "header "+name+": must be a number from 1 to "+strconv.Itoa(most))
	}
	return n, nil
}

// remember recalls what bears on the conversation and puts it in, and notes the
// turn that is to be captured. Whatever goes wrong with memory, the call goes
// on, and says so.
func (r *request) remember() error {
	m := r.memory
	if m == nil {
		return nil
	}
	keeper, tenant := r.g.memory.Keeper, r.caller.Tenant.ID
	marker := keeper.Marker(tenant)
	err := m.conversation.Read(r.body.text(), r.endpoint.request, marker.Wire())
	if errors.Is(err, wire.ErrNoConversation) { // nowhere that a block could stand
		m.outcome, m.recall, m.capture = meter.MemoryEmpty, false, false
		return nil
	}
	if m.session == "" {
		m.session = memory.Session(m.conversation.SessionName(), m.conversation.Opening())
	}
	if m.capture {
		m.turn, m.capture = memory.TurnOf(&m.conversation)
	}
	if m.capture {
		m.turn.Caller, m.turn.Bucket, m.turn.Session, m.turn.At = r.asker(), m.buckets[0], m.session, r.record.Start
		m.turn.TTL = cmp.Or(r.caller.Token.MemoryTTL, r.table.recall.TTL)
		m.listening = r.caller.Tenant.Memory.CaptureAssistant
	}
	if !m.recall {
		return nil
	}
	began := time.Now()
	err = r.recall(m)
	r.record.RecallTime = time.Since(began)
	r.record.Memory = m.outcome
	return err
}

// asker is on whose behalf the store is used.
func (r *request) asker() memory.Caller {
	return memory.Caller{Tenant: r.caller.Tenant.ID, Token: r.caller.Token.ID, RequestID: r.record.RequestID}
}

func (r *request) recall(m *remembering) (err error) {
	m.recalled, err = r.g.memory.Keeper.Recall(&memory.Recall{
		Tenant: r.caller.Tenant.ID, Token: r.caller.Token.ID, Buckets: m.buckets, Question: m.conversation.Question(), Own: m.conversation.Own(), Before: m.conversation.Before(), AsOf: m.asOf, Said: m.conversation.Texts,
		TopK: m.topK, MaxTokens: m.maxTokens, Timeout: r.table.recall.Timeout, Dry: m.dry,
	})
	switch {
	case errors.Is(err, memory.ErrTimeout):
		m.outcome = meter.MemoryTimeout
		return nil
	case err != nil: // the call goes on without memory, and its answer and record say so
		m.outcome = meter.MemoryError
		r.g.log.Error().Err(err).Stringer("request_id", r.record.RequestID).Str("tenant", r.caller.Tenant.ID).Msg("recall failed")
		return nil
	}
	m.outcome = meter.MemoryEmpty
	if len(m.recalled.Block) > 0 {
		m.outcome = meter.MemoryHit
	}
	if m.dry {
		return nil
	}
	if m.recalled.Billable {
		if err := r.billRetrieval(m.recalled.BucketID); err != nil {
			return err
		}
		m.billed = true
	}
	if m.outcome == meter.MemoryHit {
		r.record.MemoryRecalled, r.record.MemoryTokens = int64(len(m.recalled.IDs)), int64(m.recalled.Tokens)
		r.splice(m.conversation.Insert(m.recalled.Block, wantsBreakpoint(r.provider.Name, r.model)))
	}
	return nil
}

// billRetrieval adds a retrieval to the book that invoices are made of.
func (r *request) billRetrieval(bucketID string) error {
	err := r.g.journal.Memory(&meter.MemoryEvent{
		EventID: meter.NewEventID(), At: time.Now(), TenantID: r.caller.Tenant.ID, TokenID: r.caller.Token.ID,
		BucketID: bucketID, RequestID: r.record.RequestID, Op: meter.MemoryRetrieved, Count: 1,
	})
	if err != nil {
		return refuse(codeLedgerFull, "the ledger of records can not be written; try again")
	}
	return nil
}

// wantsBreakpoint reports whether a model's implicit cache breakpoint would lie
// behind the block, where it never matches again: OpenAI's from GPT-5.6 on
// (prompt caching guide, 2026-11).
func wantsBreakpoint(provider string, model []byte) bool {
	version, ok := bytes.CutPrefix(model, []byte("gpt-"))
	if !ok || provider != "openai" {
		return false
	}
	end := bytes.IndexFunc(version, func(r rune) bool { return r != '.' && (r < '0' || r > '9') })
	if end >= 0 {
		version = version[:end]
	}
	n, err := strconv.ParseFloat(string(version), 64)
	return err == nil && n >= 5.6
}

// Names of the memory headers, in canonical form.
var (
	headerMemoryReason = []byte("Ownkey-Memory-Reason")
	headerMemoryIDs    = []byte("Ownkey-Memory-Ids")
	headerMemoryTokens = []byte("Ownkey-Memory-Tokens")
	headerMemoryBilled = []byte("Ownkey-Memory-Billed")
)

// maxIDsBytes bounds the header that lists what was recalled.
const maxIDsBytes = 1 << 10

// headers says what became of recall.
func (m *remembering) headers(h *fasthttp.ResponseHeader) {
	h.SetCanonical(headerMemory, []byte(m.outcome.String()))
	if !m.recall {
		return
	}
	h.SetCanonical(headerMemoryBilled, strconv.AppendBool(nil, m.billed))
	if m.outcome == meter.MemoryEmpty {
		h.SetCanonical(headerMemoryReason, []byte(cmp.Or(m.recalled.Reason, memory.ReasonNoMatch)))
	}
	if m.outcome != meter.MemoryHit {
		return
	}
	ids := strings.Join(m.recalled.IDs, ",")
	for len(ids) > maxIDsBytes {
		ids = ids[:strings.LastIndexByte(ids, ',')]
	}
	h.SetCanonical(headerMemoryIDs, []byte(ids))
	h.SetCanonical(headerMemoryTokens, strconv.AppendInt(nil, int64(m.recalled.Tokens), 10))
}

// listen begins to follow an answer that is to be captured.
func (r *request) listen(format wire.Format) {
	if m := r.memory; m != nil && m.listening {
		m.said.Reset(r.endpoint.answer, format, maxSaidBytes)
	}
}

// keepTurn hands the turn over to be stored, when the answer has ended: the
// user's if the provider took the call, the assistant's if it was told to the
// end.
func (r *request) keepTurn(outcome meter.Outcome) {
	m := r.memory
	if m == nil {
		return
	}
	taken := r.record.Attempt > 0 && r.record.Status >= 200 && r.record.Status < 300
	if m.capture && taken {
		if m.listening && outcome == meter.OutcomeCompleted {
			m.turn.Answered(&m.said)
		}
		r.g.memory.Keeper.Capture(m.turn)
	}
	r.memory = nil
	m.reset()
	rememberings.Put(m)
}
