package passage

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/ownkey/ownkey/internal/linear"
)

func parts(text string) (all []string) {
	begin := 0
	for _, end := range Split(nil, text) {
		all = append(all, text[begin:end])
		begin = end
	}
	return all
}

func TestSplit(t *testing.T) {
	sentence := "The hives stand on the roof of the library since May, and the honey of the first summer was dark. "
	for name, text := range map[string]string{
		"short":       "Ada keeps bees.",
		"empty":       "",
		"sentences":   strings.Repeat(sentence, 30),
		"lines":       strings.Repeat("- a line without a stop\n", 100),
		"words":       strings.Repeat("word ", 500),
		"one word":    strings.Repeat("x", 3000),
		"one wide":    strings.Repeat("蜂", 1000),
		"Chinese":     strings.Repeat("蜂箱在图书馆的屋顶上。", 100),
		"not UTF-8":   strings.Repeat("\xff\xfe", 2000),
		"cut in rune": strings.Repeat("é", 1000),
	} {
		all := parts(text)
		if strings.Join(all, "") != text {
			t.Errorf("%s: the parts are not the text", name)
		}
		for i, p := range all {
			if len(p) > whole || len(all) > 1 && len(p) < most/3 {
				t.Errorf("%s: part %d has %d bytes", name, i, len(p))
			}
			if utf8.ValidString(text) && !utf8.ValidString(p) {
				t.Errorf("%s: part %d is cut in a character", name, i)
			}
			if end := strings.TrimSpace(p); name == "sentences" && !strings.HasSuffix(end, ".") || name == "Chinese" && !strings.HasSuffix(end, "。") || name == "lines" && !strings.HasSuffix(end, "stop") {
				t.Errorf("%s: part %d ends in %q", name, i, end[max(0, len(end)-20):])
			}
		}
	}
}

func TestSplitIsLinear(t *testing.T) {
	linear.Check(t, 100, func(n int) func() {
		texts := []string{strings.Repeat("x", n<<7), strings.Repeat("a b. ", n<<5), strings.Repeat("\n", n<<7), strings.Repeat("\xff", n<<7)}
		return func() {
			for _, text := range texts {
				Split(nil, text)
			}
		}
	})
}

func FuzzSplit(f *testing.F) {
	f.Add(strings.Repeat("Ada keeps bees. ", 200))
	f.Add(strings.Repeat("\xe8\x9c", 900))
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Join(parts(text), "") != text {
			t.Error("the parts are not the text")
		}
	})
}
