package wire

import "bytes"

// part is what a container of a body says about the names of models.
type part uint8

const (
	partPlain   part = iota
	partModels       // it is the value of a member that names models
	partContent      // what somebody says, a schema, labels: it names none
)

// OtherModels calls visit for each model that a body names beside its own
// (Head.Model), as long as visit returns true, and reports whether it always
// did: alternatives (OpenRouter's models, LiteLLM's fallbacks), models of tools,
// of a session's parts, of each request in a batch. A name is a string in the
// value of a member whose name ends with model, models or fallbacks, or is model_id
// or model_name; in an object there, its members id, name and model.
// What is said in a conversation, schemas and labels are left out. The body is
// one that ReadHead has accepted; the name is borrowed for the call. The time is
// linear in the body.
func OtherModels(t Text, visit func(model []byte) bool) bool {
	var (
		b     = t.Reveal()
		nest  nesting
		parts [maxDepth + 1]part // of each open container, by depth
		key   []byte             // of the member at hand, raw; empty in an array
		isKey bool               // the next string is one
	)
	for i := 0; i < len(b); i++ {
		switch c := b[i]; c {
		case '{', '[':
			inside := partOf(parts[nest.depth], key, c == '{')
			nest.push(c == '{')
			parts[nest.depth], key, isKey = inside, nil, c == '{'
		case '}', ']':
			nest.pop()
			isKey = false
		case ',':
			key, isKey = nil, nest.inObject()
		case '"':
			end := stringEnd(b, i)
			raw := b[i+1 : end-1]
			i = end - 1
			switch {
			case isKey:
				key, isKey = raw, false
			case nest.depth == 1 && string(unescape(key)) == "model":
			case names(parts[nest.depth], key, nest.inObject()):
				if !visit(unescape(raw)) {
					return false
				}
			}
		}
	}
	return true
}

// partOf tells what a container is, by what is around it and the member whose
// value it is.
func partOf(around part, key []byte, object bool) part {
	switch {
	case around == partContent, len(key) > 0 && content(key, object):
		return partContent
	case around == partModels, naming(key):
		return partModels
	}
	return partPlain
}

// names reports whether a string is a model's name.
func names(around part, key []byte, inObject bool) bool {
	switch {
	case around == partContent:
		return false
	case naming(key):
		return true
	case around != partModels:
		return false
	}
	key = unescape(key)
	return !inObject || bytes.EqualFold(key, []byte("id")) || bytes.EqualFold(key, []byte("name"))
}

// naming reports whether a member names models. Case does not matter, since
// some decoders pass over it.
func naming(key []byte) bool {
	if len(key) < len("model") {
		return false
	}
	key = unescape(key)
	for _, end := range [...]string{"model", "models", "fallbacks"} {
		if len(key) >= len(end) && bytes.EqualFold(key[len(key)-len(end):], []byte(end)) {
			return true
		}
	}
	for _, name := range [...]string{"model_id", "model_name"} {
		if bytes.EqualFold(key, []byte(name)) {
			return true
		}
	}
	return false
}

// content reports whether a member holds turns of a conversation, a JSON Schema
// or labels, in which anything may be called a model.
func content(key []byte, object bool) bool {
	key = unescape(key)
	switch string(key) {
	case "messages", "input":
		return !object
	case "metadata", "parameters", "input_schema", "json_schema", "schema":
		return object
	}
	return false
}
