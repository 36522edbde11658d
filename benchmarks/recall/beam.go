package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ownkey/ownkey/memory"
)

// getBEAM says how to get the data of BEAM.
const getBEAM = "git clone --depth 1 https://github.com/mohammadtavakoli78/BEAM, then -beam BEAM"

// beamTail is what BEAM's generator left at the end of a user's turn: " ->-> 1,1".
var beamTail = regexp.MustCompile(`\s*->->.*$`)

// beamTurn is a turn of a chat.
type beamTurn struct {
	Role    string `json:"role"`
	ID      int    `json:"id"`
	Anchor  string `json:"time_anchor"` // of the first turn of a session only
	Content string `json:"content"`
}

// readBEAM reads the chats of 100,000 tokens of BEAM (Tavakoli et al., "Beyond a
// Million Tokens: Benchmarking and Enhancing Long-Term Memory in LLMs", 2025): one
// user and an assistant with long replies, and questions whose evidence is named by
// turn. The weights are chosen on it, among others. Questions without evidence, such
// as those that have no answer, are left out: the other chats' questions measure
// that.
func readBEAM(dir string) (set, error) {
	s := set{name: "BEAM, chats of 100K"}
	files, err := filepath.Glob(filepath.Join(dir, "chats", "100K", "*", "chat.json"))
	if err != nil {
		return s, err
	}
	if len(files) == 0 {
		return s, os.ErrNotExist
	}
	slices.Sort(files)
	for _, file := range files {
		b, err := readBEAMChat(filepath.Dir(file))
		if err != nil {
			return s, fmt.Errorf("%s: %w", file, err)
		}
		s.buckets = append(s.buckets, b)
	}
	s.strangers()
	return s, nil
}

func readBEAMChat(dir string) (bucket, error) {
	b := bucket{name: "chat-" + filepath.Base(dir)}
	var sessions []struct {
		Number int          `json:"batch_number"`
		Turns  [][]beamTurn `json:"turns"`
	}
	if err := readJSON(filepath.Join(dir, "chat.json"), &sessions); err != nil {
		return b, err
	}
	var day time.Time
	known := map[string]bool{}
	for _, session := range sessions {
		for _, t := range slices.Concat(session.Turns...) {
			if d, err := time.Parse("January-2-2006", t.Anchor); err == nil {
				day = d
			}
			id := strconv.Itoa(t.ID)
			known[id] = true
			b.add(document{ID: id, Text: storable(beamTail.ReplaceAllString(t.Content, "")), Role: t.Role, Session: "session-" + strconv.Itoa(session.Number), Date: day})
		}
	}
	var probes map[string][]map[string]any
	if err := readJSON(filepath.Join(dir, "probing_questions", "probing_questions.json"), &probes); err != nil {
		return b, err
	}
	for _, kind := range slices.Sorted(maps.Keys(probes)) {
		for _, p := range probes[kind] {
			q := question{kind: kind}
			q.text, _ = p["question"].(string)
			for _, id := range numbersIn(nil, p["source_chat_ids"]) {
				if known[id] {
					q.evidence = append(q.evidence, id)
				}
			}
			if q.text != "" && len(q.evidence) > 0 {
				b.questions = append(b.questions, q)
			}
		}
	}
	slices.SortFunc(b.questions, func(x, y question) int { return cmp.Compare(x.text, y.text) })
	b.finish()
	return b, nil
}

// storable cuts off what a memory may not hold: one reply of BEAM is longer.
func storable(text string) string {
	return strings.ToValidUTF8(text[:min(len(text), memory.MaxContentBytes)], "")
}

// numbersIn gives each number in a value of JSON once: BEAM names the turns of
// evidence in a list, or in a list for each of several parts.
func numbersIn(dst []string, v any) []string {
	switch x := v.(type) {
	case float64:
		if id := strconv.Itoa(int(x)); !slices.Contains(dst, id) {
			dst = append(dst, id)
		}
	case []any:
		for _, y := range x {
			dst = numbersIn(dst, y)
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(x)) {
			dst = numbersIn(dst, x[name])
		}
	}
	return dst
}

func readJSON(path string, into any) error {
	b, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(b, into)
	}
	return err
}

// missing reports whether a set's data are not at hand.
func missing(err error) bool { return errors.Is(err, os.ErrNotExist) }
