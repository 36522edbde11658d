package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// dialogues are three users with twenty sessions each with an assistant. What the
// users say is short. The replies are long, have lists, and repeat the words of what
// is asked later, without the answer. Questions are about what the user said, and
// about what the assistant recommended; those of the other users are foreign. The
// matters (dialogues_text.go) were written by hand, and each is one user's only;
// what stands around them is generated, always the same.
func dialogues() set {
	s := set{name: "Dialogues"}
	users := []string{"user-a", "user-b", "user-c"}
	all := matters()
	for i, name := range users {
		b := bucket{name: name}
		r := rand.New(rand.NewPCG(16, uint64(i)))
		for n := i; n < len(all); n += len(users) {
			b.matter(&all[n], n/len(users), r)
		}
		s.buckets = append(s.buckets, b)
	}
	for i := range s.buckets {
		for n := range all {
			if n%len(users) != i && n%2 == 0 {
				s.buckets[i].questions = append(s.buckets[i].questions, question{text: all[n].question, kind: kindSaid, stranger: true})
			}
		}
		s.buckets[i].finish()
	}
	return s
}

// The kinds of questions about dialogues.
const (
	kindSaid        = "what the user said"
	kindRecommended = "what the assistant recommended"
)

// matter is what one session is about.
type matter struct {
	subject     string
	says        string // the user
	question    string // about what the user said
	asks        string // the assistant
	recommended string // by the assistant
	recalled    string // the question about that
}

func matters() (all []matter) {
	for line := range strings.Lines(dialogueMatters) {
		p := strings.Split(strings.TrimSpace(line), " | ")
		if len(p) == 6 {
			all = append(all, matter{p[0], p[1], p[2], p[3], p[4], p[5]})
		}
	}
	return all
}

// matter adds a session of eight turns or more, and its two questions. In every second
// one the user says the fact and what is wanted in one turn.
func (b *bucket) matter(m *matter, n int, r *rand.Rand) {
	day := time.Date(2025, 1, 6, 8, 0, 0, 0, time.UTC).AddDate(0, 0, 6*n)
	session := fmt.Sprintf("%s-%d", b.name, n)
	turn := func(role, text string) string {
		return b.add(document{Text: text, Role: role, Session: session, Date: day})
	}
	opening := openings[r.IntN(len(openings))]
	fact := ""
	if n%2 == 0 {
		fact = turn("user", m.says+" "+m.asks)
	} else {
		turn("user", opening)
		turn("assistant", "Of course! What is on your mind? I can help with planning, writing, learning and much more.")
		fact = turn("user", m.says)
		turn("assistant", "Thanks for sharing that about your "+m.subject+"! Tell me what you need.\n\n"+m.list(r, 3))
		turn("user", m.asks)
	}
	advice := turn("assistant", m.reply(r))
	for _, next := range r.Perm(len(followUps))[:3] {
		turn("user", thanks[r.IntN(len(thanks))]+" "+fmt.Sprintf(followUps[next], m.subject))
		turn("assistant", "Happy to go on! Some more about your "+m.subject+":\n\n"+m.list(r, 10)+"\nLet me know how it goes with your "+m.subject+".")
	}
	b.questions = append(b.questions,
		question{text: m.question, kind: kindSaid, evidence: []string{fact}},
		question{text: m.recalled, kind: kindRecommended, evidence: []string{advice}, passage: m.recommended})
}

// reply is the assistant's long answer, with the recommendation in the second half.
func (m *matter) reply(r *rand.Rand) string {
	return fmt.Sprintf("Great question about your %s! There is a lot to consider, so let me go through it step by step.\n\n%s\n"+
		"All things considered, my recommendation is to %s. %s\n\n%s", m.subject, m.list(r, 9), m.recommended, closings[r.IntN(len(closings))], m.list(r, 4))
}

// list is a numbered list about the subject, in the words of the user's question.
func (m *matter) list(r *rand.Rand, points int) string {
	var b strings.Builder
	echo := secondPerson(m.question)
	for i, n := range r.Perm(len(pointTexts))[:points] {
		fmt.Fprintf(&b, "%d. **%s**: ", i+1, pointTitles[r.IntN(len(pointTitles))])
		fmt.Fprintf(&b, strings.ReplaceAll(pointTexts[n], "%s", "%[1]s")+"\n", m.subject)
		if i == 1 {
			fmt.Fprintf(&b, "   - A thing to write down for yourself: %s\n", echo)
		}
	}
	return b.String()
}

// secondPerson turns a user's question to its asker.
func secondPerson(question string) string {
	words := strings.Fields(question)
	for i, w := range words {
		switch w {
		case "my", "our":
			words[i] = "your"
		case "I", "we", "me", "us":
			words[i] = "you"
		case "am":
			words[i] = "are"
		}
	}
	return strings.Join(words, " ")
}

var openings = []string{
	"Hi, have you got a minute?", "Good morning! I need a bit of help.", "Hello again.", "Hey, can you help me with something?", "Evening. One more thing from my list.",
}

var thanks = []string{"Thanks, that helps.", "Good, thank you.", "Perfect.", "That makes sense.", "I like that."}

var followUps = []string{
	"What else should I know about the %s?", "Is that so for every %s, and how do I know?", "How much time does the %s take, what do people say?",
	"When is the best time to think about the %s?", "What did you say about the %s, in one sentence?", "Who could help me with the %s, and where do I ask?",
}

var closings = []string{
	"It is simple, and you can change it later without much trouble.", "Most people who tried it were content with it after a week or two.",
	"It costs little, and it leaves the other options open.", "If it does not work out, we can look at the alternatives together.",
}

var pointTitles = []string{
	"Take stock", "Start small", "Set a date", "Ask around", "Keep notes", "Mind the budget", "Check the details", "Plan ahead", "Stay flexible", "Review regularly", "Get support", "Watch for problems",
}

var pointTexts = []string{
	"Think about what matters most to you with the %s, and write down what you expect of it before you begin.",
	"A little time for the %s every day is worth more than a whole weekend once a month.",
	"There are many opinions about any %s, and most of them fit somebody else's circumstances.",
	"Look at what the %s has cost so far in money, time and nerves, and decide what you can spare.",
	"Talk to somebody who knows a %s like yours; people love to share what went wrong for them.",
	"Keep everything about the %s in one place, so that names, dates and amounts are easy to find.",
	"Decide beforehand how you will notice that the %s is on a good way, and when you would stop.",
	"Do not let the %s depend on a single person or day; have a second plan in the drawer.",
	"Pictures of the %s before and after are a good way to see how far you have come.",
	"If something about the %s feels wrong, take a break and look at it again on another day.",
	"Books and videos about the %s can help, but nothing replaces trying it yourself.",
	"Remember why you wanted the %s in the first place, and enjoy the small successes.",
}
