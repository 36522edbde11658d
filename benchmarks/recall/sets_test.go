package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ownkey/ownkey/memory"
	"github.com/ownkey/ownkey/memory/terms"
)

func checked(t *testing.T, s set) set {
	t.Helper()
	if err := s.check(); err != nil {
		t.Fatal(err)
	}
	return s
}

// count gives how many questions there are of a kind, and how many are foreign.
func (b *bucket) count(kind string) (own, foreign int) {
	for _, q := range b.questions {
		switch {
		case q.kind != kind:
		case q.stranger:
			foreign++
		default:
			own++
		}
	}
	return own, foreign
}

func TestPersonas(t *testing.T) {
	s := checked(t, personas())
	paraphrases := 0
	for i := range s.buckets {
		b := &s.buckets[i]
		own, foreign := b.count(kindDirect)
		_, named := b.count(kindNamed)
		if len(b.memories) != 60 || own < 30 || foreign != 15 || named != 15 {
			t.Errorf("%s: %d facts, %d questions, %d and %d foreign ones", b.name, len(b.memories), own, foreign, named)
		}
		texts := map[string]string{}
		for _, d := range b.memories {
			texts[d.ID] = d.Text
		}
		for _, q := range b.questions {
			if q.kind != kindParaphrase {
				continue
			}
			paraphrases++
			fact := terms.Append(nil, texts[q.evidence[0]])
			for _, term := range terms.Append(nil, q.text) {
				if slices.Contains(fact, term) {
					t.Errorf("%q and %q have %q in common", q.text, texts[q.evidence[0]], term)
				}
			}
		}
	}
	if len(s.buckets) != 3 || paraphrases < 25 {
		t.Errorf("%d persons, %d paraphrases", len(s.buckets), paraphrases)
	}
}

func TestTongues(t *testing.T) {
	s := checked(t, tongues())
	if len(s.buckets) != 11 {
		t.Errorf("%d languages", len(s.buckets))
	}
	for i := range s.buckets {
		b := &s.buckets[i]
		if own, foreign := b.count(""); len(b.memories) != 8 || own != 8 || foreign != 4 {
			t.Errorf("%s: %d facts, %d questions, %d foreign ones", b.name, len(b.memories), own, foreign)
		}
	}
}

func TestLanguages(t *testing.T) {
	s := checked(t, languages())
	all := 0
	for i := range s.buckets {
		b := &s.buckets[i]
		own, foreign := b.count("")
		if all += own; len(b.memories) < 6 || own < 7 || foreign != 2 {
			t.Errorf("%s: %d facts, %d questions, %d foreign ones", b.name, len(b.memories), own, foreign)
		}
	}
	if len(s.buckets) != 11 || all != 81 {
		t.Errorf("%d languages, %d questions", len(s.buckets), all)
	}
}

func TestUpdates(t *testing.T) {
	s := checked(t, updates())
	if len(s.buckets) != 2 || !s.imported {
		t.Fatalf("%d orders, imported: %v", len(s.buckets), s.imported)
	}
	for i := range s.buckets {
		b := &s.buckets[i]
		if !slices.IsSortedFunc(b.memories, func(x, y document) int { return (1 - 2*i) * x.Date.Compare(y.Date) }) {
			t.Errorf("%s is not in that order", b.name)
		}
		now, foreign := b.count(kindNow)
		then, _ := b.count(kindThen)
		both, _ := b.count(kindBoth)
		if now < 20 || then != now || both < 8 || foreign < 5 {
			t.Errorf("%s: %d now, %d then, %d both, %d foreign", b.name, now, then, both, foreign)
		}
		said := map[string]document{}
		for _, d := range b.memories {
			said[d.ID] = d
		}
		for j, q := range b.questions { // what is so now was said after what was so then
			if q.kind == kindThen && !said[q.evidence[0]].Date.Before(said[b.questions[j-1].evidence[0]].Date) {
				t.Errorf("%q was not so before %q", q.text, b.questions[j-1].text)
			}
			if q.kind == kindThen && strings.Contains(said[b.questions[j-1].evidence[0]].Text, q.passage) {
				t.Errorf("%q is answered by what is so now", q.text)
			}
		}
	}
}

func TestEcho(t *testing.T) {
	s := checked(t, echo())
	b := &s.buckets[0]
	own, foreign := b.count("")
	if own < 20 || foreign < 5 {
		t.Errorf("%d questions, %d foreign ones", own, foreign)
	}
	for _, q := range b.questions {
		sessions := map[string]bool{}
		for _, d := range b.memories {
			if d.Text == q.text {
				sessions[d.Session] = true
			}
		}
		if !q.stranger && len(sessions) != 2 || q.stranger && len(sessions) > 0 {
			t.Errorf("%q was asked in %d sessions before", q.text, len(sessions))
		}
	}
}

func TestDocuments(t *testing.T) {
	s := checked(t, documents())
	b := &s.buckets[0]
	if own, foreign := b.count(""); own != 12 || foreign < 8 || len(b.memories) != 12 {
		t.Errorf("%d documents, %d questions, %d foreign ones", len(b.memories), own, foreign)
	}
	again := documents()
	for i, d := range b.memories {
		p := &papers[i]
		if n := len(d.Text); n < p.kilobyte<<10 || n > p.kilobyte<<10+4<<10 || n > memory.MaxContentBytes || p.kilobyte < 2 || p.kilobyte > 50 {
			t.Errorf("%q has %d bytes", p.title, n)
		}
		at := strings.Index(d.Text, p.fact)
		if strings.Count(d.Text, p.fact) != 1 || at < len(d.Text)/4 || at > len(d.Text)*19/20 {
			t.Errorf("%q has its fact at %d of %d", p.title, at, len(d.Text))
		}
		if again.buckets[0].memories[i].Text != d.Text {
			t.Errorf("%q is another text every time", p.title)
		}
	}
}

func TestDialogues(t *testing.T) {
	s := checked(t, dialogues())
	if len(s.buckets) != 3 {
		t.Fatalf("%d users", len(s.buckets))
	}
	for i := range s.buckets {
		b := &s.buckets[i]
		sessions, lengths := map[string]bool{}, map[string][]int{}
		for _, d := range b.memories {
			sessions[d.Session] = true
			lengths[d.Role] = append(lengths[d.Role], len(d.Text))
		}
		said, foreign := b.count(kindSaid)
		recommended, _ := b.count(kindRecommended)
		if len(sessions) != 20 || said != 20 || recommended != 20 || foreign < 15 {
			t.Errorf("%s: %d sessions, %d and %d questions, %d foreign ones", b.name, len(sessions), said, recommended, foreign)
		}
		if most := slices.Max(lengths["user"]); most > 200 || slices.Max(lengths["assistant"]) < 1500 {
			t.Errorf("%s: a user's turn has %d bytes, the assistant's at most %d", b.name, most, slices.Max(lengths["assistant"]))
		}
		for _, q := range b.questions { // the words of the question are in a reply that does not answer it
			if q.kind == kindSaid && !q.stranger && !slices.ContainsFunc(b.memories, func(d document) bool {
				return d.Role == "assistant" && strings.Contains(d.Text, secondPerson(q.text))
			}) {
				t.Errorf("%q is in no reply", q.text)
			}
		}
	}
}

func TestForms(t *testing.T) {
	names, texts := map[string]bool{}, map[string]bool{}
	const question = "What is the name of my cat?"
	s := directQuestions()
	for i := range forms {
		f := &forms[i]
		turn := f.prompt(question)
		text := turn.text
		if !strings.Contains(text[turn.own:], question) || (turn.own > 0) != (f.beside != "") {
			t.Errorf("%s: the question begins behind %d", f.name, turn.own)
		}
		if names[f.name] || texts[text] || strings.Count(text, question) != 1 {
			t.Errorf("%s: comes twice, or without the question", f.name)
		}
		names[f.name], texts[text] = true, true
		for i := range s.buckets {
			for _, d := range s.buckets[i].memories {
				if strings.Contains(text, d.Text) {
					t.Errorf("%s has a memory in it", f.name)
				}
			}
		}
	}
	if len(forms) < 17 {
		t.Errorf("%d forms", len(forms))
	}
	if n := len(someLog(220)); n < 18<<10 || n > 22<<10 {
		t.Errorf("the long log has %d bytes", n)
	}
}

// TestCheck: what is wrong with a set is said.
func TestCheck(t *testing.T) {
	ok := func() set {
		b := bucket{name: "b", memories: []document{{ID: "1", Text: "one fact"}, {ID: "2", Text: "two"}}}
		b.questions = []question{{text: "q", evidence: []string{"1"}, passage: "fact", known: 2}, {text: "r", stranger: true, known: 2}}
		return set{buckets: []bucket{b}}
	}
	if s := ok(); s.check() != nil {
		t.Fatal(s.check())
	}
	for name, spoil := range map[string]func(b *bucket){
		"id twice":            func(b *bucket) { b.memories[1].ID = "1" },
		"text twice":          func(b *bucket) { b.memories[1].Text = "one fact" },
		"question twice":      func(b *bucket) { b.questions[1].text = "q" },
		"no such evidence":    func(b *bucket) { b.questions[0].evidence[0] = "3" },
		"evidence too late":   func(b *bucket) { b.questions[0].evidence[0], b.questions[0].known, b.questions[0].passage = "2", 1, "" },
		"passage elsewhere":   func(b *bucket) { b.questions[0].passage = "two" },
		"no evidence":         func(b *bucket) { b.questions[0].evidence = nil },
		"an answered foreign": func(b *bucket) { b.questions[1].evidence = []string{"1"} },
		"asked too early":     func(b *bucket) { b.questions[1].known = 0 },
	} {
		s := ok()
		if spoil(&s.buckets[0]); s.check() == nil {
			t.Errorf("%s: nothing is wrong with it", name)
		}
	}
}

func TestStrangers(t *testing.T) {
	one := func(name, speaker, question_ string) bucket {
		return bucket{name: name, memories: []document{{ID: "1", Text: "x", Speaker: speaker}}, questions: []question{{text: question_, evidence: []string{"1"}, known: 1}}}
	}
	s := set{buckets: []bucket{one("a", "Ann", "Where did Ann go?"), one("b", "Bob", "What does Bob eat?")}}
	s.strangers()
	s.strangers() // only once
	checked(t, s)
	if q := s.buckets[0].questions; len(q) != 2 || q[1].text != "What does Ann eat?" || !q[1].stranger {
		t.Errorf("got %+v", q)
	}
	if q := s.buckets[1].questions; len(q) != 2 || q[1].text != "Where did Bob go?" {
		t.Errorf("got %+v", q)
	}
}

func write(t *testing.T, text string, path ...string) {
	t.Helper()
	file := filepath.Join(path...)
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
}

func TestReadBEAM(t *testing.T) {
	dir := t.TempDir()
	if _, err := readBEAM(dir); !missing(err) {
		t.Errorf("without data: %v", err)
	}
	write(t, `[{"batch_number":1,"turns":[[{"role":"user","id":0,"time_anchor":"March-15-2024","content":"My sprint ends in May. ->-> 1,1"},{"role":"assistant","id":1,"content":"Good."}],
		[{"role":"user","id":2,"content":"Now in June. ->-> 1,2"}]]},{"batch_number":2,"turns":[[{"role":"user","id":3,"time_anchor":"April-1-2024","content":"Thanks."}]]}]`,
		dir, "chats", "100K", "7", "chat.json")
	write(t, `{"abstention":[{"question":"Who?"}],"knowledge_update":[{"question":"When does it end?","source_chat_ids":{"original_info":[0],"updated_info":[2,2,99]}}],"easy":[{"question":"And?","source_chat_ids":[3]}]}`,
		dir, "chats", "100K", "7", "probing_questions", "probing_questions.json")
	s, err := readBEAM(dir)
	if err != nil {
		t.Fatal(err)
	}
	checked(t, s)
	b := &s.buckets[0]
	day := func(month time.Month, day int) time.Time { return time.Date(2024, month, day, 0, 0, 0, 0, time.UTC) }
	want := []document{
		{ID: "0", Text: "My sprint ends in May.", Role: "user", Session: "session-1", Date: day(3, 15)},
		{ID: "1", Text: "Good.", Role: "assistant", Session: "session-1", Date: day(3, 15)},
		{ID: "2", Text: "Now in June.", Role: "user", Session: "session-1", Date: day(3, 15)},
		{ID: "3", Text: "Thanks.", Role: "user", Session: "session-2", Date: day(4, 1)},
	}
	if !slices.Equal(b.memories, want) {
		t.Errorf("got %+v", b.memories)
	}
	if q := b.questions; len(q) != 2 || q[1].text != "When does it end?" || q[1].kind != "knowledge_update" || !slices.Equal(q[1].evidence, []string{"0", "2"}) || q[1].known != 4 {
		t.Errorf("got %+v", q)
	}
}

func TestReadRealMem(t *testing.T) {
	dir := t.TempDir()
	if _, err := readRealMem(dir); !missing(err) {
		t.Errorf("without data: %v", err)
	}
	write(t, `{"dialogues":[
		{"session_uuid":"aa","current_time":"2025-12-21 (Sunday)","dialogue_turns":[{"speaker":"User","content":"It must be cheap."},{"speaker":"Assistant","content":"Fine."},{"speaker":"User","content":"And small, by the way."}],
		 "extracted_memory":[{"content":"cheap","source_content_snapshot":"It must be cheap.","source_turn":1},{"content":"small","source_content_snapshot":"And small.","source_turn":3}]},
		{"session_uuid":"bb","current_time":"","dialogue_turns":[{"speaker":"User","content":"How must it be?","is_query":true,"category_name":"Static"},
		 {"speaker":"Assistant","content":"Cheap and small.","memory_used":[{"session_uuid":"aa","content":"cheap"},{"session_uuid":"aa","content":"small"},{"session_uuid":"bb","content":"later"}]},
		 {"speaker":"User","content":"And now?","is_query":true},{"speaker":"Assistant","content":"!","memory_used":[{"session_uuid":"bb","content":"later"}]},
		 {"speaker":"User","content":"Ok?","is_query":true}],
		 "extracted_memory":[{"content":"later","source_content_snapshot":"How must it be?","source_turn":1}]}]}`,
		dir, "dataset", "Ann_dialogues_256k.json")
	s, err := readRealMem(dir)
	if err != nil {
		t.Fatal(err)
	}
	checked(t, s)
	b := &s.buckets[0]
	if b.name != "Ann" || len(b.memories) != 8 || b.memories[2] != (document{ID: "aa:2", Text: "And small, by the way.", Role: "user", Session: "aa", Date: time.Date(2025, 12, 21, 0, 0, 0, 0, time.UTC)}) {
		t.Errorf("got %+v", b)
	}
	if q := b.questions; len(q) != 1 || q[0].text != "How must it be?" || !slices.Equal(q[0].evidence, []string{"aa:0", "aa:2"}) || q[0].known != 3 || q[0].kind != "Static" {
		t.Errorf("got %+v", q)
	}
}

// TestBlocks: the program and plain BM25 are asked for what was there by then, and a
// block is judged by what stands in it.
func TestBlocks(t *testing.T) {
	b := bucket{name: "b", memories: []document{
		{ID: "cat", Text: "My cat is called Momo."},
		{ID: "car", Text: "My car is a Saab."},
		{ID: "later", Text: "My cat is ill, and so is the zebra."},
		{ID: "long", Text: strings.Repeat("The cat of the neighbours is large. ", 200) + "The giraffe is on loan."},
	}}
	b.questions = []question{
		{text: "What is my cat called?", kind: "k", evidence: []string{"cat"}, passage: "Momo", known: 2},
		{text: "What car do I have, and is the cat ill?", evidence: []string{"car", "later"}, known: 3},
		{text: "Is the giraffe on loan?", evidence: []string{"long"}, passage: "giraffe", known: 4},
		{text: "Zebra?", kind: "k", stranger: true, known: 2}, // before it was heard of
	}
	s := checked(t, set{name: "s", buckets: []bucket{b}})
	got, err := measureSet(t.Context(), &s, startPlain, &bare)
	if err != nil {
		t.Fatal(err)
	}
	if r := got[""]; r.questions != 3 || r.evidence != 2 || r.first != 2 || r.strangers != 1 || r.disturbed != 0 || r.tokens < 150 || r.tokens > 3*blockTokens {
		t.Errorf("BM25: got %+v", r)
	}
	if r := got["k"]; r.questions != 1 || r.evidence != 1 || r.strangers != 1 {
		t.Errorf("BM25: got %+v", r)
	}
	own, err := measureSet(t.Context(), &s, startKeeper, &bare)
	if err != nil {
		t.Fatal(err)
	}
	if r := own["k"]; r.questions != 1 || r.evidence != 1 || r.first != 1 || r.disturbed != 0 {
		t.Errorf("got %+v", r)
	}
	early := &blocked{ids: []string{"long"}, text: "- [m1] \"The cat\""}
	if early.holds(&b.questions[2], "long") || !early.holds(&question{}, "long") || early.holds(&question{}, "cat") {
		t.Error("a memory without the part that answers counts")
	}
}

// TestHoldsInParts: memories that come bit by bit are all there, each with its id.
func TestHoldsInParts(t *testing.T) {
	b := bucket{name: "b", memories: []document{{ID: "a", Text: "The owl hoots."}, {ID: "b", Text: "The lynx purrs."}, {ID: "c", Text: "The fox barks."}}}
	for name, start := range map[string]func(context.Context) (blocker, error){"keeper": startKeeper, "plain": startPlain} {
		e, err := start(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range []struct {
			n    int
			want []string
		}{{1, nil}, {3, []string{"c"}}} {
			if err := e.hold(t.Context(), &set{}, &b, part.n); err != nil {
				t.Fatal(err)
			}
			if fox, err := e.block(&b, prompt{text: "What does the fox do?"}); err != nil || !slices.Equal(fox.ids, part.want) {
				t.Errorf("%s: with %d: got %v, %v", name, part.n, fox.ids, err)
			}
		}
		if err := e.close(); err != nil {
			t.Error(err)
		}
	}
}
