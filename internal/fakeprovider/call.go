package fakeprovider

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

type object = map[string]any

// call is one request on its way.
type call struct {
	s     *Server
	w     http.ResponseWriter
	r     *http.Request
	key   string
	id    string
	in    input
	b     behaviour
	entry *Request // in the journal, if there is one
	body  []byte   // of JSON calls
	// cached is how many tokens of the prompt were cached.
	cached int
}

// input is what the double reads of a JSON body.
type input struct {
	Model          string            `json:"model"`
	Stream         bool              `json:"stream"`
	N              int               `json:"n"`
	Messages       []turn            `json:"messages"`
	Input          json.RawMessage   `json:"input"`
	Tools          []json.RawMessage `json:"tools"`
	ToolChoice     json.RawMessage   `json:"tool_choice"`
	EncodingFormat string            `json:"encoding_format"`
	Dimensions     int               `json:"dimensions"`
	ResponseFormat struct {
		Type       string `json:"type"`
		JSONSchema struct {
			Schema *schema `json:"schema"`
		} `json:"json_schema"`
	} `json:"response_format"`
	Text struct {
		Format struct {
			Schema *schema `json:"schema"`
		} `json:"format"`
	} `json:"text"`
	OutputConfig struct {
		Format struct {
			Schema *schema `json:"schema"`
		} `json:"format"`
	} `json:"output_config"`
	StreamOptions struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
}

// turn is a message of a conversation, or an item of a response's input.
type turn struct {
	Type    string          `json:"type"`
	Role    string          `json:"role"`
	Content json.RawMessage `json:"content"`
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request, answer func(*call)) {
	c := &call{s: s, w: w, r: r, id: fmt.Sprintf("%08d", s.serial.Add(1)), key: presented(r)}
	defer c.record()()
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") && !c.readJSON() {
		return
	}
	c.standardHeaders()
	if len(s.o.Keys) > 0 && !slices.Contains(s.o.Keys, c.key) {
		c.fail(http.StatusUnauthorized, "invalid_api_key", "Incorrect API key provided.")
		return
	}
	if c.misbehave() {
		return
	}
	answer(c)
}

func (c *call) readJSON() bool {
	body, err := io.ReadAll(c.r.Body)
	if err != nil {
		return false
	}
	jerr := json.NewDecoder(bytes.NewReader(body)).Decode(&c.in)
	c.recordJSON(body)
	if jerr != nil && !errors.Is(jerr, io.EOF) {
		c.fail(http.StatusBadRequest, "invalid_json", "We could not parse the JSON body of your request.")
		return false
	}
	c.b, c.body, c.cached = parseBehaviour(c.in.Model), body, 4
	c.readPrompt()
	if c.b.echoSHA {
		sum := sha256.Sum256(body)
		c.b.sha = hex.EncodeToString(sum[:])
	}
	return true
}

func presented(r *http.Request) string {
	if key := r.Header.Get("X-Api-Key"); key != "" {
		return key
	}
	return strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
}

// account is a name for whoever pays: what a real provider would put on the
// invoice.
func (c *call) account() string { return "org-" + c.whoami() }

// whoami names the account with a digest of its credential.
func (c *call) whoami() string {
	sum := sha256.Sum256([]byte(c.key))
	return hex.EncodeToString(sum[:4])
}

func (c *call) anthropic() bool {
	return strings.HasPrefix(c.r.URL.Path, "/v1/messages") || c.r.Header.Get("Anthropic-Version") != ""
}

// standardHeaders sets what the providers send, and two that no gateway may
// pass on: a cookie and one that nobody knows.
func (c *call) standardHeaders() {
	h := c.w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Set-Cookie", "__cf_bm=secret; path=/")
	h.Set("X-Unknown", "internal")
	if c.anthropic() {
		h.Set("Request-Id", "req_"+c.id)
		h.Set("Anthropic-Organization-Id", c.account())
		h.Set("Anthropic-Ratelimit-Requests-Limit", "100")
		h.Set("Anthropic-Ratelimit-Requests-Remaining", "99")
		h.Set("Anthropic-Ratelimit-Requests-Reset", "2030-01-01T00:00:00Z")
		return
	}
	h.Set("X-Request-Id", "req_"+c.id)
	h.Set("Openai-Organization", c.account())
	h.Set("Openai-Processing-Ms", "1")
	h.Set("Openai-Version", "2020-10-01")
	for _, of := range []string{"Requests", "Tokens"} {
		h.Set("X-Ratelimit-Limit-"+of, "100")
		h.Set("X-Ratelimit-Remaining-"+of, "99")
		h.Set("X-Ratelimit-Reset-"+of, "1s")
	}
}

// anthropicErrors are the types by status (provider documentation, "Errors",
// 2026-11).
var anthropicErrors = map[int]string{
	400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error",
	413: "request_too_large", 429: "rate_limit_error", 529: "overloaded_error",
}

// fail answers with an error in the shape of the API that was called.
func (c *call) fail(status int, code, message string) {
	if c.anthropic() {
		kind := anthropicErrors[status]
		if kind == "" {
			kind = "api_error"
		}
		c.json(status, object{"type": "error", "error": object{"type": kind, "message": message}, "request_id": "req_" + c.id})
		return
	}
	c.json(status, object{"error": object{"message": message, "type": "invalid_request_error", "param": nil, "code": code}})
}

func (c *call) notFound() {
	c.fail(http.StatusNotFound, "unknown_url", "Unknown request URL.")
}

func (c *call) json(status int, v any) { c.send(status, []byte(encode(v))) }

func encode(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic("BUG: cannot encode an answer: " + err.Error())
	}
	return string(b)
}
