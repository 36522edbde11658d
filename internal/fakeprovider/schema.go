package fakeprovider

import (
	"encoding/json"
	"slices"
	"strings"
)

// schema is what the double understands of a JSON schema: what the SDKs make
// of a program's types.
type schema struct {
	Type       any                `json:"type"` // a name, or a list of them
	Properties map[string]*schema `json:"properties"`
	Items      *schema            `json:"items"`
	Enum       []any              `json:"enum"`
	Const      any                `json:"const"`
	AnyOf      []*schema          `json:"anyOf"`
	AllOf      []*schema          `json:"allOf"`
	Ref        string             `json:"$ref"`
	Defs       map[string]*schema `json:"$defs"`
	OldDefs    map[string]*schema `json:"definitions"`
}

// deepest is how far a type that contains itself is followed.
const deepest = 8

// value makes something that the schema allows. References are looked up in
// root.
func (s *schema) value(root *schema, depth int) any {
	switch {
	case s == nil || depth > deepest:
		return nil
	case s.Ref != "":
		return root.definition(s.Ref).value(root, depth+1)
	case s.Const != nil:
		return s.Const
	case len(s.Enum) > 0:
		return s.Enum[0]
	case len(s.AnyOf) > 0:
		return s.AnyOf[0].value(root, depth+1)
	case len(s.AllOf) > 0:
		return s.AllOf[0].value(root, depth+1)
	}
	switch s.kind() {
	case "array":
		if s.Items == nil || depth+2 > deepest {
			return []any{}
		}
		return []any{s.Items.value(root, depth+1)}
	case "integer", "number":
		return 7
	case "boolean":
		return true
	case "null":
		return nil
	case "string":
		return "fake"
	}
	o := object{}
	for name, p := range s.Properties {
		o[name] = p.value(root, depth+1)
	}
	return o
}

func (s *schema) kind() string {
	if names, ok := s.Type.([]any); ok && len(names) > 0 {
		name, _ := names[0].(string)
		return name
	}
	name, _ := s.Type.(string)
	return name
}

// definition finds "#/$defs/NAME"; "#" is the root itself.
func (s *schema) definition(ref string) *schema {
	if ref == "#" {
		return s
	}
	name := ref[strings.LastIndexByte(ref, '/')+1:]
	if d := s.Defs[name]; d != nil {
		return d
	}
	return s.OldDefs[name]
}

// structured gives the answer to a call that wants JSON of a schema.
func (c *call) structured() (text string, ok bool) {
	for _, s := range []*schema{c.in.ResponseFormat.JSONSchema.Schema, c.in.Text.Format.Schema, c.in.OutputConfig.Format.Schema} {
		if s != nil {
			return encode(s.value(s, 0)), true
		}
	}
	return "", false
}

// tool is a call of a function that the double makes up.
type tool struct {
	name      string
	arguments any
}

// tool calls the first function that was offered, unless the conversation
// already has its result or the caller wants none.
func (c *call) tool() (t tool, ok bool) {
	if len(c.in.Tools) == 0 || string(c.in.ToolChoice) == `"none"` || c.toolAnswered() {
		return tool{}, false
	}
	type function struct {
		Name        string  `json:"name"`
		Parameters  *schema `json:"parameters"`
		InputSchema *schema `json:"input_schema"`
	}
	var f struct {
		function          // responses and messages
		Function function `json:"function"` // chat completions
	}
	if json.Unmarshal(c.in.Tools[0], &f) != nil {
		return tool{}, false
	}
	for _, f := range []function{f.function, f.Function} {
		if f.Name == "" {
			continue
		}
		parameters := f.Parameters
		if parameters == nil {
			parameters = f.InputSchema
		}
		if parameters == nil {
			parameters = &schema{}
		}
		return tool{f.Name, parameters.value(parameters, 0)}, true
	}
	return tool{}, false
}

// toolAnswered reports whether the last turn brings a function's result.
func (c *call) toolAnswered() bool {
	turns := c.in.Messages
	if len(turns) == 0 && json.Unmarshal(c.in.Input, &turns) != nil {
		return false
	}
	if len(turns) == 0 {
		return false
	}
	last := turns[len(turns)-1]
	if last.Role == "tool" || last.Type == "function_call_output" {
		return true
	}
	var blocks []turn
	return json.Unmarshal(last.Content, &blocks) == nil &&
		slices.ContainsFunc(blocks, func(b turn) bool { return b.Type == "tool_result" })
}
