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
	s.read(requestOf("Hello. My cat is called Momo!", "", "Oslo", "key sk-proj-1234, and the order is 7", "我对花生过敏，也不吃虾。", "Straße 5: À bientôt\nthe end")(maxSaid), "", 0)
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
	s.read(requestOf()(maxSaid), "", 0)
	for _, text := range []string{"my cat is called momo", "Oslo", ""} {
		if s.has(text) {
			t.Errorf("%q in nothing", text)
		}
	}
}

// TestWhatIsAskedIsNotSaid: a statement that a question has in it is what is asked for;
// a question that is asked again is said.
func TestWhatIsAskedIsNotSaid(t *testing.T) {
	const turn = "My cat is called Momo. Did I live in Hamburg? And do I own a boat? Thanks!"
	var s said
	s.read(requestOf("We met in Oslo.", turn)(maxSaid), turn, 0)
	for text, want := range map[string]bool{
		"I live in Hamburg.": false, "I own a boat": false, "Hamburg": false, "My cat is called Momo.": true, "Oslo": true, "Did I live in Hamburg?": true, "Did I live in Hamburg": true,
		"Hamburg?": true, "Momo": true,
	} {
		if got := s.has(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
	s.read(requestOf(turn, "I live in Hamburg, as you know.")(maxSaid), turn, 0)
	if !s.has("I live in Hamburg.") {
		t.Error("what another turn says is said")
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
				s.read(texts(maxSaid), "", 0)
			}
		})
		b.Run(fmt.Sprint("twelve/", size>>10, "KiB"), func(b *testing.B) {
			var s said
			s.read(texts(maxSaid), "", 0)
			for b.Loop() {
				for i := range 12 {
					s.has(fmt.Sprint("Ada has moved hive ", i, " to the roof of the library, where the lime trees are."))
				}
			}
		})
	}
}
