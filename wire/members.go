package wire

const (
	// levels is how deep the members of interest lie:
	// response.usage.output_tokens_details.reasoning_tokens.
	levels = 4
	// maxNameBytes bounds a kept string: a model's name.
	maxNameBytes = 128
	// maxCount is the largest count that is believed: beyond it a number is not
	// exact in JSON (RFC 8259, section 6).
	maxCount = 1 << 53
)

// findings is what one JSON value says. It counts only once the value is
// whole: the first half of a number is another number.
type findings struct {
	usage    Usage
	model    name
	end      ending
	failed   bool // a truthy member error
	finished bool // a choice has its finish reason
}

// ending is what an event's type says about the stream.
type ending uint8

const (
	goesOn ending = iota
	endsWell
	endsFailed
)

// endingOf knows the last events of the Responses and Messages dialects
// (provider references, 2026-11).
func endingOf(event []byte) ending {
	switch string(event) {
	case "response.completed", "response.incomplete", "message_stop":
		return endsWell
	case "response.failed", "error":
		return endsFailed
	}
	return goesOn
}

// at reports whether the value being read is a member k of the outermost
// object.
func (m *members) at(k key) bool { return m.nest.depth == 1 && m.keys[1] == k }

// atTopOrWrapped reports whether the value being read is a member of the
// outermost object, or of the object that events wrap an answer in.
func (m *members) atTopOrWrapped() bool {
	switch m.nest.depth {
	case 1:
		return true
	case 2:
		return m.keys[1] == keyResponse || m.keys[1] == keyMessage || m.keys[1] == keyXGroq
	}
	return false
}

// wantsString reports whether the string that begins is one to keep.
func (m *members) wantsString() bool {
	switch m.keys[m.nest.depth] {
	case keyModel:
		return m.atTopOrWrapped()
	case keyType, keyError:
		return m.nest.depth == 1
	case keyFinishReason:
		return m.nest.depth == 3 && m.keys[2] == keyElement && m.keys[1] == keyChoices
	}
	return false
}

// foundString takes a string that was wanted; it is empty when it was too long
// or had escapes.
func (m *members) foundString(s []byte) {
	switch m.keys[m.nest.depth] {
	case keyModel:
		m.found.model.set(s)
	case keyType:
		m.found.end = endingOf(s)
	case keyError:
		m.found.failed = m.found.failed || m.n > 0
	case keyFinishReason:
		m.found.finished = true
	}
}

// foundContainer takes the opening of an array or object.
func (m *members) foundContainer() {
	m.foundTruth()
	if d := m.nest.depth; m.usageAt == 0 && d <= levels && m.keys[d] == keyUsage && m.atTopOrWrapped() {
		m.usageAt = d
	}
}

// foundTruth takes a value that is not null, false, zero or empty.
func (m *members) foundTruth() {
	if m.at(keyError) {
		m.found.failed = true
	}
}

// foundNumber takes a whole number.
func (m *members) foundNumber() {
	if m.state != inZero {
		m.foundTruth()
	}
	if m.usageAt == 0 || m.nest.depth > levels || !m.counts || m.number > maxCount {
		return
	}
	switch d, k := m.nest.depth, m.keys[m.nest.depth]; {
	case d == m.usageAt+1:
		m.found.usage.set(k, m.number)
	case d == m.usageAt+2 && m.keys[d-1] == keyTokenDetails && (k == keyCachedTokens || k == keyReasoningTokens):
		m.found.usage.set(k, m.number)
	}
}
