package memory

import (
	"strings"
	"testing"
	"time"

	"github.com/ownkey/ownkey/internal/linear"
	"github.com/ownkey/ownkey/memory/asked"
	"github.com/ownkey/ownkey/memory/block"
	"github.com/ownkey/ownkey/memory/index"
	"github.com/ownkey/ownkey/memory/terms"
	"github.com/ownkey/ownkey/memory/transcript"
	"github.com/ownkey/ownkey/wire"
)

// nasty are texts that a tenant may store or ask with.
var nasty = map[string]string{
	"one word":                  "x",
	"words":                     "lorem ipsum ",
	"joined words":              "a-b.c@d/",
	"apostrophes":               "a's’s",
	"scripts that meet":         "漢a",
	"characters without spaces": "漢字",
	"marks":                     "ä̈̈",
	"white space":               " \n",
	"hidden characters":         "\u200b\u202e",
	"tags":                      "<memory-k></memory-k>",
	"quotes":                    `"\`,
	"digits":                    "4111 ",
	"digits without end":        "4",
	"uppercase":                 "A ",
	"a key's beginning":         "-----BEGIN ",
	"keys without end":          "-----BEGIN RSA PRIVATE KEY-----",
	"labels of secrets":         "password: ",
	"labels and secrets":        "password: hunter2hunter2 ",
	"labels that are refused":   "-pin:",
	"refused, and marks":        "-pin:!!!!!!!!",
	"labels of what is removed": "-pwd:[secret",
	"labels in other scripts":   "密码是密码是",
	"labels and spaces":         "-pwd   ",
	"names of keys":             "api_key-",
	"labels of short tokens":    "-token:",
	"tokens":                    "sk-abcdefghijklmnopqrstuvwx ",
	"addresses":                 "https://a:b@",
	"addresses without end":     "https://a.b/c?d=e&",
	"halves of tokens":          "eyJabcdefghijkl.",
	"bearers":                   "Bearer ",
	"account numbers":           "DE89 3704 0044 0532 0130 00 ",
	"not UTF-8":                 "\xff",
	"JSON":                      `{"a":[`,
	"events":                    "data: {}\n\n",
	"lines":                     "\n",
}

// TestTextsAreReadInLinearTime: whatever a text holds, no step of storing,
// finding, quoting or capturing it takes time that grows faster than the text.
func TestTextsAreReadInLinearTime(t *testing.T) {
	steps := map[string]func(text string){
		"terms":  func(text string) { terms.Append(nil, text) },
		"hashes": func(text string) { hashOf(text); shapeOf(text) },
		"similarity": func(text string) {
			b := bagOf(text)
			b.similarity(text + " more")
		},
		"secrets": func(text string) { withoutSecrets(text) },
		"block": func(text string) {
			block.Append(nil, block.NewMarker(nil, "t"), []block.Entry{{ID: "m1", By: text, Text: text}})
		},
		"index": func(text string) {
			x := index.New(&index.Default)
			at := x.Add(&index.Document{Text: text, Facts: []string{text}, Session: "s", Day: time.Now()})
			x.Search(&index.Query{Question: asked.Question{Parts: []asked.Part{{Text: text, Weight: 1}}}, K: 1, Allow: func(int) bool { return true }})
			for r := x.Remove([]int{at}); !r.Step(); {
			}
		},
		"answer": func(text string) {
			var tr transcript.Transcript
			tr.Reset(wire.DialectChat, wire.FormatJSON, 1<<20)
			tr.Write([]byte(`{"choices":[{"message":{"content":"`))
			for i := 0; i < len(text); i += 16 {
				tr.Write([]byte(text[i:min(i+16, len(text))]))
				tr.Delta()
			}
		},
		"stream": func(text string) {
			var tr transcript.Transcript
			tr.Reset(wire.DialectChat, wire.FormatSSE, 1<<20)
			for i := 0; i < len(text); i += 16 {
				tr.Write([]byte(text[i:min(i+16, len(text))]))
				tr.Delta()
			}
		},
	}
	for what, piece := range nasty {
		for name, step := range steps {
			t.Run(name+"/"+what, func(t *testing.T) {
				linear.Check(t, 1<<13, func(n int) func() {
					text := strings.Repeat(piece, max(1, n/len(piece)))
					return func() { step(text) }
				})
			})
		}
	}
}
