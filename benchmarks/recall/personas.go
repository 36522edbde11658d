package main

import "strings"

// personas are three invented persons with sixty everyday facts each, in the first
// person, one a line, as an application stores what it was told: some short, some
// inside of a longer sentence. They were written by hand for this measurement. The
// direct questions name what they ask about in their own words; the foreign ones are
// what one could ask the same person and nobody has told, and more of those are about
// people and animals that the facts name. The paraphrases have no
// word in common with their fact, by the terms of the index: only what words mean
// leads to it.
func personas() set {
	s := set{name: "Personas"}
	for _, p := range []struct{ name, text string }{{"nora", nora}, {"samir", samir}, {"agnes", agnes}} {
		s.buckets = append(s.buckets, persona(p.name, p.text))
	}
	return s
}

// The kinds of questions to personas.
const (
	kindDirect     = "direct"
	kindParaphrase = "no word in common"
	kindNamed      = "about somebody known"
)

// persona reads a person's lines: a fact, behind it the questions that it answers,
// which begin with "?" and as paraphrases with "~", and last the foreign questions,
// which begin with "!", or with "@" if they name somebody known.
func persona(name, text string) bucket {
	b := bucket{name: name}
	fact := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		q := question{text: strings.TrimSpace(line[1:])}
		switch line[0] {
		case '?':
			q.kind, q.evidence = kindDirect, []string{fact}
		case '~':
			q.kind, q.evidence = kindParaphrase, []string{fact}
		case '!':
			q.kind, q.stranger = kindDirect, true
		case '@':
			q.kind, q.stranger = kindNamed, true
		default:
			fact = b.add(document{Text: line})
			continue
		}
		b.questions = append(b.questions, q)
	}
	b.finish()
	return b
}
