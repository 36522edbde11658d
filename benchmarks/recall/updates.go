package main

import (
	"slices"
	"strings"
	"time"
)

// updates is one person's facts of which some have changed since, as an application
// imports them: once oldest first, and once newest first, each with the day on which
// it was said. Questions are about now and about then. Other facts come in twos that
// are both so, and look like a change; there the question is about both. Written by
// hand.
func updates() set {
	s := set{name: "Updates", imported: true}
	forward := bucket{name: "oldest-first"}
	readUpdates(&forward)
	backward := bucket{name: "newest-first", memories: slices.Clone(forward.memories), questions: slices.Clone(forward.questions)}
	slices.SortStableFunc(forward.memories, func(a, b document) int { return a.Date.Compare(b.Date) })
	slices.SortStableFunc(backward.memories, func(a, b document) int { return b.Date.Compare(a.Date) })
	s.buckets = []bucket{forward, backward}
	return s
}

// The kinds of questions about what has changed.
const (
	kindNow  = "now"
	kindThen = "then"
	kindBoth = "two values"
)

// readUpdates reads the lines of changes: what was so, what is so, the question about
// now and its answer, the one about then and its answer. A line of four parts is of
// two facts that are both so, a question about both, and what is only in the first.
func readUpdates(b *bucket) {
	first := time.Date(2021, 3, 1, 9, 0, 0, 0, time.UTC)
	n := 0
	for line := range strings.Lines(changes) {
		parts := strings.Split(strings.TrimSpace(line), " | ")
		before := first.AddDate(0, 0, 9*n)
		if n++; len(parts) == 1 {
			if parts[0] != "" {
				b.questions = append(b.questions, question{text: parts[0], kind: kindNow, stranger: true})
			}
			continue
		}
		was := b.add(document{Text: parts[0], Date: before})
		is := b.add(document{Text: parts[1], Date: before.AddDate(2, 4, 0)})
		if len(parts) == 3 {
			b.questions = append(b.questions, question{text: parts[2], kind: kindBoth, evidence: []string{was, is}})
			continue
		}
		b.questions = append(b.questions,
			question{text: parts[2], kind: kindNow, evidence: []string{is}, passage: parts[3]},
			question{text: parts[4], kind: kindThen, evidence: []string{was}, passage: parts[5]})
	}
	b.finish()
}

const changes = `
I live in Porto. | I live in Lisbon now. | Where do I live? | Lisbon | Where did I live in 2021? | Porto
I work as a nurse at the children's hospital. | I work as a nurse at the airport. | Where do I work as a nurse? | airport | Where did I work as a nurse before? | children's hospital
My phone number ends in 4471. | My new phone number ends in 9023. | What does my phone number end in? | 9023 | What did my old phone number end in? | 4471
My manager is Beate. | My manager is Torsten. | Who is my manager? | Torsten | Who was my manager in the spring of 2021? | Beate
I weigh 94 kilos. | I weigh 81 kilos. | How much do I weigh? | 81 | How much did I weigh back then? | 94
We have a subscription to the Guardian. | We have a subscription to the Economist. | Which subscription do we have? | Economist | Which subscription did we have in 2021? | Guardian
I drink my coffee with milk and two sugars. | I drink my coffee black these days. | How do I drink my coffee? | black | How did I drink my coffee before? | two sugars
The deadline for the grant proposal is 15 May. | The deadline for the grant proposal was moved to 30 June. | What is the deadline for the grant proposal? | 30 June | What was the first deadline for the grant proposal? | 15 May
Our meeting with the architect is on Tuesday at ten. | Our meeting with the architect is on Friday at three instead. | When is the meeting with the architect? | Friday | When was the meeting with the architect at first? | Tuesday
My daughter wants to become a firefighter. | My daughter wants to become an astronomer. | What does my daughter want to become? | astronomer | What did my daughter want to become in 2021? | firefighter
I am engaged to Rafael. | I am no longer engaged to Rafael; we broke it off. | Am I still engaged to Rafael? | broke it off | Who was I engaged to in 2021? | am engaged
I drive an Opel Corsa. | I sold the Opel and drive a Renault Zoe. | What do I drive? | Renault Zoe | What did I drive before the Renault? | Corsa
My favourite restaurant is the Golden Carp. | My favourite restaurant is Chez Mireille since the Golden Carp closed. | What is my favourite restaurant? | Mireille | What was my favourite restaurant before Chez Mireille? | is the Golden Carp
I take 50 milligrams of sertraline a day. | The doctor raised my sertraline to 100 milligrams a day. | How much sertraline do I take? | 100 | How much sertraline did I take at the beginning? | 50
Our website runs on Drupal. | Our website runs on Hugo since the relaunch. | What does our website run on? | Hugo | What did our website run on before the relaunch? | Drupal
My savings goal is 5,000 euros. | My savings goal is 12,000 euros. | What is my savings goal? | 12,000 | What was my savings goal in 2021? | 5,000
I am learning Swedish with an app. | I gave up Swedish and am learning Finnish with an app. | Which language am I learning with an app? | Finnish | Which language was I learning with an app in 2021? | learning Swedish
My knee hurts when I climb stairs. | My knee is fine since the operation. | How is my knee? | fine | When did my knee hurt? | climb stairs
Our rent is 900 euros a month. | Our rent is 1,050 euros a month. | How much is our rent? | 1,050 | How much was our rent in 2021? | 900
I vote in the constituency of Leiria. | I vote in the constituency of Setúbal. | Where do I vote? | Setúbal | In which constituency did I vote before? | Leiria
My gym is Iron Temple on the corner. | My gym is the municipal pool's fitness room. | What is my gym? | municipal | What was my gym before? | Iron Temple
The cat eats dry food only. | The cat eats wet food only, by order of the vet. | What does the cat eat? | wet food | What did the cat eat in 2021? | dry food
I have a dog named Rex. | I have a dog named Bella. | What are my dogs named? 
I speak French at work. | I speak Arabic at work. | Which languages do I speak at work?
My son plays handball. | My son plays the trumpet. | What does my son play?
I am allergic to hazelnuts. | I am allergic to cat hair. | What am I allergic to?
We have a standing appointment with the speech therapist on Mondays. | We have a standing appointment with the speech therapist on Thursdays. | On which days do we have an appointment with the speech therapist?
My aunt in Braga keeps bees. | My aunt in Faro keeps goats. | What do my aunts keep?
I own a flat in Coimbra. | I own a flat in Évora. | Where do I own flats?
My sister's first child is called Inês. | My sister's second child is called Tomás. | What are my sister's children called?
My key to the office is the brass one. | My key to the archive is the steel one. | Which keys do I have to the office and to the archive?
I owe Paulo 40 euros for the petrol. | I owe Paulo 25 euros for the pizza. | What do I owe Paulo?
What is my shirt size?
Who is my godmother?
Which platform does the night train leave from?
What did the estate agent say about the cellar?
How many pages has my thesis?
Which wine goes with the lamb?
`
