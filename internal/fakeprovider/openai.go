package fakeprovider

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math"
	"net/http"
	"time"
)

func (c *call) embeddings() {
	data := make([]any, c.embedded())
	size := c.in.Dimensions
	if size <= 0 || size > 4096 {
		size = 8
	}
	for i := range data {
		vector := make([]float32, size)
		packed := make([]byte, 0, 4*len(vector))
		for j := range vector {
			vector[j] = float32(i+1) / float32(j+2)
			packed = binary.LittleEndian.AppendUint32(packed, math.Float32bits(vector[j]))
		}
		var embedding any = vector
		if c.in.EncodingFormat == "base64" {
			embedding = base64.StdEncoding.EncodeToString(packed)
		}
		data[i] = object{"object": "embedding", "index": i, "embedding": embedding}
	}
	c.json(http.StatusOK, object{"object": "list", "data": data, "model": c.in.Model, "usage": object{"prompt_tokens": 8, "total_tokens": 8}})
}

// embedded counts the inputs: a text, a list of texts, or either as lists of
// token numbers.
func (c *call) embedded() int {
	var many []json.RawMessage
	if json.Unmarshal(c.in.Input, &many) != nil || len(many) == 0 || many[0][0] != '"' && many[0][0] != '[' {
		return 1
	}
	return len(many)
}

func (c *call) moderations() {
	c.json(http.StatusOK, object{"id": "modr-" + c.id, "model": c.in.Model, "results": []any{object{
		"flagged": false, "categories": object{"violence": false}, "category_scores": object{"violence": 0.01}, "category_applied_input_types": object{"violence": []string{"text"}},
	}}})
}

func (c *call) images() {
	c.json(http.StatusOK, object{"created": time.Now().Unix(), "data": []any{object{"b64_json": base64.StdEncoding.EncodeToString([]byte("not a picture"))}}})
}

func fakeModel(id string) object {
	return object{"id": id, "object": "model", "created": 1700000000, "owned_by": "fake", "type": "model", "display_name": id, "created_at": "2024-01-01T00:00:00Z"}
}

func (c *call) models() {
	c.json(http.StatusOK, object{"object": "list", "data": []any{fakeModel("gpt-4o-mini"), fakeModel("claude-fake")}, "has_more": false, "first_id": nil, "last_id": nil})
}

func (c *call) model() { c.json(http.StatusOK, fakeModel(c.r.PathValue("id"))) }

// deleted answers a call that deletes something of which nothing is kept.
func (c *call) deleted() {
	c.json(http.StatusOK, object{"id": c.r.PathValue("id"), "object": "deleted", "deleted": true})
}
