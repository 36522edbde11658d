package directory

import (
	"encoding/json"
	"regexp"
)

// MemorySettings are what a tenant has chosen for its memory. Models are named
// as a client would name them, also with a provider before them; they run on
// the tenant's own credential.
type MemorySettings struct {
	// Embeddings makes vectors of memories; empty for none.
	Embeddings string `json:"embeddings_model"`
	// Extraction finds facts in memories; empty for none.
	Extraction string `json:"extraction_model"`
	// Synthesis answers queries and writes profiles; empty for the gateway's
	// choice.
	Synthesis string `json:"synthesis_model"`
	// CaptureAssistant captures what the assistant says beside what the user
	// says.
	CaptureAssistant bool `json:"capture_assistant"`
}

// MemoryChange is what can change of them; nil stays.
type MemoryChange struct {
	Embeddings       *string `json:"embeddings_model"`
	Extraction       *string `json:"extraction_model"`
	Synthesis        *string `json:"synthesis_model"`
	CaptureAssistant *bool   `json:"capture_assistant"`
}

// modelName is what a model may be called; empty is none.
var modelName = regexp.MustCompile(`^[A-Za-z0-9._:/@+=,-]{0,127}$`)

func (c *MemoryChange) applyTo(m *MemorySettings) error {
	if c == nil {
		return nil
	}
	for _, s := range []struct {
		field string
		from  *string
		to    *string
	}{
		{"memory.embeddings_model", c.Embeddings, &m.Embeddings},
		{"memory.extraction_model", c.Extraction, &m.Extraction},
		{"memory.synthesis_model", c.Synthesis, &m.Synthesis},
	} {
		if s.from == nil {
			continue
		}
		if err := check(s.field, *s.from, modelName); err != nil {
			return err
		}
		*s.to = *s.from
	}
	if c.CaptureAssistant != nil {
		m.CaptureAssistant = *c.CaptureAssistant
	}
	return nil
}

func (m *MemorySettings) text() string {
	b, err := json.Marshal(m)
	if err != nil {
		panic("BUG: strings do not encode: " + err.Error())
	}
	return string(b)
}
