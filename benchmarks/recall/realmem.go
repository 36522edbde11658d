package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// getRealMem says how to get the data of RealMem.
const getRealMem = "git clone --depth 1 https://github.com/zhiyuan5986/RealMemBench, then -realmem RealMemBench"

// realSession is a session of a person with an assistant.
type realSession struct {
	ID     string       `json:"session_uuid"`
	Time   string       `json:"current_time"` // "2025-12-21 (Sunday)"
	Turns  []realTurn   `json:"dialogue_turns"`
	Memory []realMemory `json:"extracted_memory"`
}

// realTurn is a turn. Behind a query stands the assistant's, which says what it used.
type realTurn struct {
	Speaker string     `json:"speaker"` // User or Assistant
	Content string     `json:"content"`
	Query   bool       `json:"is_query"`
	Kind    string     `json:"category_name"`
	Used    []realUsed `json:"memory_used"`
}

// realUsed names a memory by its session and content.
type realUsed struct {
	Session string `json:"session_uuid"`
	Content any    `json:"content"` // nearly always a string
}

// realMemory is what the makers of the set took out of a session, and where it was
// said.
type realMemory struct {
	Content any    `json:"content"`
	Source  string `json:"source_content_snapshot"`
	Turn    int    `json:"source_turn"` // from 1 on
}

// readRealMem reads RealMem (github.com/zhiyuan5986/RealMemBench, Apache-2.0):
// ten persons who work on several projects with an assistant over some two hundred
// sessions each, in which queries need what was said sessions before. Nothing is
// chosen or tuned on it. A query is asked when only the earlier sessions are there; a
// query whose evidence cannot be found in them is left out.
func readRealMem(dir string) (set, error) {
	s := set{name: "RealMem, untouched"}
	files, err := filepath.Glob(filepath.Join(dir, "dataset", "*_256k.json"))
	if err != nil {
		return s, err
	}
	if len(files) == 0 {
		return s, os.ErrNotExist
	}
	slices.Sort(files)
	for _, file := range files {
		var data struct {
			Sessions []realSession `json:"dialogues"`
		}
		if err := readJSON(file, &data); err != nil {
			return s, fmt.Errorf("%s: %w", file, err)
		}
		b := bucket{name: strings.TrimSuffix(filepath.Base(file), "_dialogues_256k.json")}
		sources := map[string]string{} // of what was used: which turn said it
		for i := range data.Sessions {
			b.session(&data.Sessions[i], sources)
		}
		s.buckets = append(s.buckets, b)
	}
	s.strangers()
	return s, nil
}

// session adds a session and its queries.
func (b *bucket) session(s *realSession, sources map[string]string) {
	known := len(b.memories)
	day, _ := time.Parse(time.DateOnly, s.Time[:min(len(s.Time), len(time.DateOnly))]) // zero if unknown
	for i, t := range s.Turns {
		if strings.TrimSpace(t.Content) == "" {
			continue // a reply or two are missing
		}
		b.add(document{ID: s.turn(i), Text: t.Content, Role: strings.ToLower(t.Speaker), Session: s.ID, Date: day})
		if !t.Query || i+1 == len(s.Turns) {
			continue
		}
		q := question{text: t.Content, kind: t.Kind, known: known}
		for _, used := range s.Turns[i+1].Used {
			if id := sources[used.key()]; id != "" && !slices.Contains(q.evidence, id) {
				q.evidence = append(q.evidence, id)
			}
		}
		if len(q.evidence) > 0 {
			b.questions = append(b.questions, q)
		}
	}
	for i := range s.Memory {
		m := &s.Memory[i]
		n := slices.IndexFunc(s.Turns, func(t realTurn) bool { return t.Content == m.Source })
		if n < 0 { // the turn was edited since
			n = m.Turn - 1
		}
		if n >= 0 && n < len(s.Turns) && strings.TrimSpace(s.Turns[n].Content) != "" {
			used := realUsed{s.ID, m.Content}
			sources[used.key()] = s.turn(n)
		}
	}
}

func (s *realSession) turn(n int) string { return fmt.Sprintf("%s:%d", s.ID, n) }

func (u *realUsed) key() string { return u.Session + " " + fmt.Sprint(u.Content) }
