package api

import (
	"encoding/json"

	"github.com/ownkey/ownkey/memory"
	"github.com/ownkey/ownkey/wire"
)

const eventStream = "text/event-stream; charset=utf-8"

// retrieved is a memory that was found.
type retrieved struct {
	MemoryID      string          `json:"memory_id"`
	BucketID      string          `json:"bucket_id"`
	BucketName    string          `json:"bucket_name"`
	Content       string          `json:"content"`
	RawScore      float32         `json:"raw_score"`
	Weight        float32         `json:"weight"`
	WeightedScore float32         `json:"weighted_score"`
	Metadata      json.RawMessage `json:"metadata"`
	Parts         *parts          `json:"parts,omitempty"`
}

// parts are what a score is made of.
type parts struct {
	Score     float32 `json:"score"`
	Words     float32 `json:"words"`
	Neighbors float32 `json:"neighbors"`
	Session   float32 `json:"session"`
	Speaker   float32 `json:"speaker"`
	Meaning   float32 `json:"meaning"`
	Cosine    float32 `json:"cosine"`
}

// explanation says what an answer rests on. We build no graph and extract no
// entities; the contract's members for them are empty.
type explanation struct {
	Memories      []retrieved       `json:"retrieved_memories"`
	GraphFacts    []string          `json:"graph_facts"`
	EntityMatches []string          `json:"entity_matches"`
	ContextTokens int               `json:"context_tokens"`
	Profile       *string           `json:"profile"`
	Profiles      map[string]string `json:"profiles"`
}

// usage counts in the provider's numbers where it gave some, else as we
// estimate.
type usage struct {
	Input        int64 `json:"input_tokens"`
	Output       int64 `json:"output_tokens"`
	Context      int64 `json:"context_tokens"`
	ActualInput  int64 `json:"actual_input_tokens"`
	ActualOutput int64 `json:"actual_output_tokens"`
}

func (q *query) usage(u wire.Usage) usage {
	return usage{u.Input.N, u.Output.N, int64(q.tokens), u.Input.N, u.Output.N}
}

func (q *query) explanation() *explanation {
	if q.in.Options.ReturnExplanation != nil && !*q.in.Options.ReturnExplanation {
		return nil
	}
	e := &explanation{Memories: []retrieved{}, GraphFacts: []string{}, EntityMatches: []string{}, ContextTokens: q.tokens, Profiles: q.profiles}
	if p, ok := q.profiles[q.in.Buckets[0]]; ok {
		e.Profile = &p
	}
	for i := range q.found.Hits {
		e.Memories = append(e.Memories, q.retrieved(&q.found.Hits[i]))
	}
	return e
}

func (q *query) retrieved(h *memory.Hit) retrieved {
	r := retrieved{
		MemoryID: h.Memory.ID, BucketID: h.BucketID, BucketName: h.Memory.Bucket, Content: h.Memory.Content,
		RawScore: h.Relevance, Weight: 1, WeightedScore: h.Relevance, Metadata: h.Memory.Metadata,
	}
	if q.dry {
		r.Content, r.Metadata = "", nil
	}
	if r.Metadata == nil {
		r.Metadata = json.RawMessage("{}")
	}
	if q.in.Explain || q.in.Options.Explain {
		r.Parts = &parts{h.Score, h.Parts.Words, h.Parts.Neighbors, h.Parts.Session, h.Parts.Speaker, h.Parts.Meaning, h.Cosine}
	}
	return r
}

// result is the answer as one JSON object; said is nil without a model.
func (q *query) result(said *string, value json.RawMessage, u wire.Usage) (Answer, error) {
	release, err := q.call.room(q.texts())
	if err != nil {
		return Answer{}, err
	}
	defer release()
	return ok(statusOK, struct {
		Answer      *string         `json:"answer"`
		JSON        json.RawMessage `json:"answer_json"`
		Found       int             `json:"memories_found"`
		Explanation *explanation    `json:"explanation"`
		Usage       usage           `json:"usage"`
	}{said, orNull(value), len(q.found.Hits), q.explanation(), q.usage(u)})
}

// texts is how many bytes the memories of an answer have.
func (q *query) texts() (n int64) {
	if q.dry {
		return 0
	}
	for i := range q.found.Hits {
		n += int64(len(q.found.Hits[i].Memory.Content) + len(q.found.Hits[i].Memory.Metadata))
	}
	return n
}

func orNull(raw json.RawMessage) json.RawMessage {
	if raw == nil {
		return json.RawMessage("null")
	}
	return raw
}

// frame is an event with a piece of the answer.
func (q *query) frame(said string) []byte {
	type delta struct {
		Content string `json:"content"`
	}
	type choice struct {
		Delta delta `json:"delta"`
	}
	return event(struct {
		Choices []choice `json:"choices"`
	}{[]choice{{delta{said}}}})
}

// last are the events behind the answer: what it rests on, and the end.
func (q *query) last(u wire.Usage) []byte {
	counts := q.usage(u)
	b := event(struct {
		Usage       usage        `json:"usage"`
		Synthesis   usage        `json:"synthesis_usage"`
		Explanation *explanation `json:"explanation"`
	}{counts, counts, q.explanation()})
	return append(b, "data: [DONE]\n\n"...)
}

func event(v any) []byte {
	b, err := encode(v)
	if err != nil {
		panic("BUG: an event does not encode: " + err.Error())
	}
	return append(append([]byte("data: "), b...), "\n\n"...)
}

// StreamError is a stream's last event when it can not go on.
func StreamError(message string) Body {
	return bodyOf(event(map[string]string{"error": message}))
}
