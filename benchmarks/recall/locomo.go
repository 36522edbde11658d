package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// getLoCoMo says how to get the data of LoCoMo.
const getLoCoMo = "github.com/snap-research/LoCoMo, data/locomo10.json (CC BY-NC 4.0), then -data FILE"

// conversation is one of LoCoMo's samples (Maharana et al., "Evaluating Very
// Long-Term Conversational Memory of LLM Agents", 2024).
type conversation struct {
	name      string
	turns     []turn
	questions []question
}

// turn is what becomes a memory.
type turn struct {
	id      string // "D3:12"
	speaker string
	session string
	day     time.Time
	text    string // with the caption of a picture
}

// evidenceID is how a turn is named; the file has a few that are written
// otherwise, such as "D8:6; D9:17" and "D30:05".
var evidenceID = regexp.MustCompile(`D(\d+):(\d+)`)

// readLoCoMo reads the data file. Evidence that names no turn is dropped, and a
// question without evidence with it.
func readLoCoMo(path string) ([]conversation, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var samples []struct {
		ID           string                     `json:"sample_id"`
		Conversation map[string]json.RawMessage `json:"conversation"`
		QA           []struct {
			Question string   `json:"question"`
			Evidence []string `json:"evidence"`
			Category int      `json:"category"`
		} `json:"qa"`
	}
	if err := json.Unmarshal(b, &samples); err != nil {
		return nil, err
	}
	var all []conversation
	for _, s := range samples {
		c := conversation{name: s.ID}
		if c.turns, err = readTurns(s.Conversation); err != nil {
			return nil, fmt.Errorf("%s: %w", s.ID, err)
		}
		known := map[string]bool{}
		for _, t := range c.turns {
			known[t.id] = true
		}
		for _, qa := range s.QA {
			q := question{text: qa.Question, kind: strconv.Itoa(qa.Category), category: qa.Category, known: len(c.turns)}
			for _, m := range evidenceID.FindAllStringSubmatch(strings.Join(qa.Evidence, " "), -1) {
				session, _ := strconv.Atoi(m[1])
				number, _ := strconv.Atoi(m[2])
				id := fmt.Sprintf("D%d:%d", session, number)
				if known[id] && !slices.Contains(q.evidence, id) {
					q.evidence = append(q.evidence, id)
				}
			}
			if len(q.evidence) > 0 {
				c.questions = append(c.questions, q)
			}
		}
		all = append(all, c)
	}
	return all, nil
}

// locomoSet is LoCoMo as a set. With bare, memories have neither a session nor a
// speaker, as what an application stores one by one.
func locomoSet(all []conversation, bare bool) set {
	s := set{name: "LoCoMo"}
	if bare {
		s.name = "LoCoMo without sessions and speakers"
	}
	for i := range all {
		b := bucket{name: all[i].name, memories: all[i].documents(), questions: slices.Clone(all[i].questions)}
		s.buckets = append(s.buckets, b)
	}
	s.strangers() // by the names of speakers
	if bare {
		for i := range s.buckets {
			for j := range s.buckets[i].memories {
				s.buckets[i].memories[j].Session, s.buckets[i].memories[j].Speaker = "", ""
			}
		}
	}
	return s
}

func readTurns(parts map[string]json.RawMessage) ([]turn, error) {
	var all []turn
	for n := 1; ; n++ {
		session := "session_" + strconv.Itoa(n)
		raw, ok := parts[session]
		if !ok {
			if n > 60 {
				return all, nil
			}
			continue
		}
		var when string
		if err := json.Unmarshal(parts[session+"_date_time"], &when); err != nil {
			return nil, err
		}
		day, err := time.Parse("3:04 pm on 2 January, 2006", when)
		if err != nil {
			return nil, err
		}
		var turns []struct {
			Speaker string `json:"speaker"`
			ID      string `json:"dia_id"`
			Text    string `json:"text"`
			Caption string `json:"blip_caption"`
		}
		if err := json.Unmarshal(raw, &turns); err != nil {
			return nil, err
		}
		for _, t := range turns {
			text := t.Text
			if t.Caption != "" {
				text += " [picture: " + t.Caption + "]"
			}
			all = append(all, turn{t.ID, t.Speaker, session, day, text})
		}
	}
}

// measured is one question's result.
type measured struct {
	category      int
	r5, r10, ndcg float64
}

// measure compares what was found, best first, with the evidence: the share of
// it in the first k, and nDCG with gain 1.
func measure(q *question, found []string) measured {
	m := measured{category: q.category}
	var dcg, ideal float64
	for i, id := range found[:min(10, len(found))] {
		if !slices.Contains(q.evidence, id) {
			continue
		}
		m.r10++
		if i < 5 {
			m.r5++
		}
		dcg += 1 / math.Log2(float64(i+2))
	}
	for i := range min(10, len(q.evidence)) {
		ideal += 1 / math.Log2(float64(i+2))
	}
	n := float64(len(q.evidence))
	return measured{q.category, m.r5 / n, m.r10 / n, dcg / ideal}
}

// scores are means over questions.
type scores struct {
	n             int
	r5, r10, ndcg float64
}

func mean(all []measured, of func(category int) bool) (s scores) {
	for _, m := range all {
		if of(m.category) {
			s.n++
			s.r5 += m.r5
			s.r10 += m.r10
			s.ndcg += m.ndcg
		}
	}
	n := float64(s.n) / 100
	return scores{s.n, s.r5 / n, s.r10 / n, s.ndcg / n}
}
