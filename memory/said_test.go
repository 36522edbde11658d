package memory

import (
	"fmt"
	"strings"
	"testing"
)

// TestSaid: a text stands in what a request says, whatever case and signs, as a whole
// and in one piece.
func TestSaid(t *testing.T) {
	var s said
	s.read(requestOf("Hello. My cat is called Momo!", "", "Oslo", "key sk-proj-1234, and the order is 7", "我对花生过敏，也不吃虾。", "Straße 5: À bientôt\nthe end")(maxSaid))
	for text, want := range map[string]bool{
		"my cat is called momo": true, "cat is called": true, "Oslo.": true, "Hello": true,
		"my cat is called Momo Oslo": false, "cat called": false, "Rome": false, "my cat is call": false, "cat is calle": false,
		"key [secret removed], and the order is 7": true, "key [secret removed], and the order is 8": false, "[secret removed]": false,
		"花生过敏": true, "不吃虾": true, "吃花生": false,
		"STRASSE 5": false, "straße 5 à bientôt the end": true, "": false, "?!": false,
		strings.Repeat("long ", 1000): false,
	} {
		if got := s.has(text); got != want {
			t.Errorf("%.40q: %v", text, got)
		}
	}
	s.read(requestOf()(maxSaid))
	for _, text := range []string{"my cat is called momo", "Oslo", ""} {
		if s.has(text) {
			t.Errorf("%q in nothing", text)
		}
	}
}

// BenchmarkSaid: what it costs to leave out what a request says already.
func BenchmarkSaid(b *testing.B) {
	for _, size := range []int{200 << 10, maxSaid} {
		var text strings.Builder
		for i := 0; text.Len() < size; i++ {
			fmt.Fprintf(&text, "Ada has moved hive %d to the roof of house %d, where the lime trees are.\n", i, i*7)
		}
		texts := requestOf(text.String())
		b.Run(fmt.Sprint("read/", size>>10, "KiB"), func(b *testing.B) {
			var s said
			for b.Loop() {
				s.read(texts(maxSaid))
			}
		})
		b.Run(fmt.Sprint("twelve/", size>>10, "KiB"), func(b *testing.B) {
			var s said
			s.read(texts(maxSaid))
			for b.Loop() {
				for i := range 12 {
					s.has(fmt.Sprint("Ada has moved hive ", i, " to the roof of the library, where the lime trees are."))
				}
			}
		})
	}
}
