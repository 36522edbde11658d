package wire

import "testing"

func TestDialectsByPath(t *testing.T) {
	f := func(path string, request, answer Dialect, name string) {
		t.Helper()
		if got := DialectOf([]byte(path)); got != request {
			t.Errorf("%s: a request in %s, want %s", path, got, request)
		}
		if got := AnswerDialectOf([]byte(path)); got != answer || got.String() != name {
			t.Errorf("%s: an answer in %s, want %s", path, got, answer)
		}
	}
	f("/chat/completions", DialectChat, DialectChat, "chat_completions")
	f("/responses", DialectResponses, DialectResponses, "responses")
	f("/embeddings", DialectEmbeddings, DialectEmbeddings, "embeddings")
	f("/completions", DialectCompletions, DialectCompletions, "completions")
	f("/messages", DialectMessages, DialectMessages, "messages")
	// A stored response is fetched, perhaps as a stream; there is no body to read.
	f("/responses/resp_1", DialectNone, DialectResponses, "responses")
	f("/responses/", DialectNone, DialectNone, "none")
	f("/messages/batches", DialectNone, DialectNone, "none")
	f("/chat/completions/c_1", DialectNone, DialectNone, "none")
	f("/models", DialectNone, DialectNone, "none")
	f("", DialectNone, DialectNone, "none")
}
