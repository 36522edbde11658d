package asked

// Question is one thing that a turn asks, with what stands around it.
type Question struct {
	Parts []Part
	// Told: it asks for what the assistant has said. Present: for what is so now.
	Told, Present bool
}

// Part is a text that is looked for.
type Part struct {
	Text   string
	Weight float32 // 1 for what is asked, less for what is said around it
}

// maxQuestions bounds what is asked of one turn: each costs a search.
const maxQuestions = 4

// Shares that a sentence counts beside one that asks.
const (
	// aside is that of one that asks nothing: it says what the question is about, or
	// something else.
	aside = .5
	// earlier is that of the turn before, of a question that points to it.
	earlier = .4
)

// Questions gives what a turn asks: its questions one by one, so that each is answered
// by the memories that are best for it; those beyond the fourth with that one. A turn
// that asks nothing says all that it is about. own is as for Read; before is what the
// user said in the turn before.
func Questions(turn string, own int, before string) []Question {
	all := Read(nil, turn, own)
	var ask, around []Part
	for _, s := range all {
		if s.Asks {
			ask = append(ask, Part{s.Text, 1})
		} else {
			around = append(around, Part{s.Text, aside})
		}
	}
	if len(ask) == 0 {
		for i := range around {
			around[i].Weight = 1
		}
		return one(around)
	}
	if before != "" && Depends(all) {
		for _, s := range Read(nil, before, 0) {
			around = append(around, Part{s.Text, earlier})
		}
	}
	ask = telling(ask)
	out := make([]Question, 0, maxQuestions)
	for i := range ask {
		if i == maxQuestions-1 || i == len(ask)-1 {
			return append(out, question(append(ask[i:len(ask):len(ask)], around...)))
		}
		out = append(out, question(append([]Part{ask[i]}, around...)))
	}
	return out
}

// telling leaves out questions of stop words alone, if there are others.
func telling(ask []Part) []Part {
	kept := make([]Part, 0, len(ask))
	for _, p := range ask {
		if content(p.Text) > 0 {
			kept = append(kept, p)
		}
	}
	if len(kept) == 0 {
		return ask[:1]
	}
	return kept
}

func one(parts []Part) []Question {
	if len(parts) == 0 {
		return nil
	}
	return []Question{question(parts)}
}

func question(parts []Part) (q Question) {
	q.Parts = parts
	past := false
	for _, p := range parts {
		q.Told, q.Present = q.Told || hasAny(p.Text, told), q.Present || hasAny(p.Text, present)
		past = past || hasAny(p.Text, bygone)
	}
	q.Present = q.Present || !past && hasAny(parts[0].Text, tense)
	return q
}
