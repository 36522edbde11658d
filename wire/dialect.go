package wire

// Dialect is a family of request and answer bodies.
type Dialect uint8

// The dialects whose bodies are understood. DialectNone is every other path:
// its bodies pass unread, but for a model in JSON.
const (
	DialectNone Dialect = iota
	DialectChat
	DialectResponses
	DialectEmbeddings
	DialectCompletions
	DialectMessages
)

var dialectNames = [...]string{"none", "chat_completions", "responses", "embeddings", "completions", "messages"}

// String gives the dialect's name as records show it.
func (d Dialect) String() string { return dialectNames[d] }

// DialectOf tells the dialect of a request's body by its path below /v1.
func DialectOf(path []byte) Dialect {
	switch string(path) {
	case "/chat/completions":
		return DialectChat
	case "/responses":
		return DialectResponses
	case "/embeddings":
		return DialectEmbeddings
	case "/completions":
		return DialectCompletions
	case "/messages":
		return DialectMessages
	}
	return DialectNone
}

// AnswerDialectOf tells the dialect of an answer: also a stored response that
// is fetched as a stream speaks the Responses dialect.
func AnswerDialectOf(path []byte) Dialect {
	const responses = "/responses/"
	if len(path) > len(responses) && string(path[:len(responses)]) == responses {
		return DialectResponses
	}
	return DialectOf(path)
}
