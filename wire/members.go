package wire

import "bytes"

const (
	// levels is how deep the members of interest lie:
	// result.message.usage.iterations[0].input_tokens.
	levels = 6
	// maxNameBytes bounds a kept string: a model's name.
	maxNameBytes = 128
	// maxIDBytes bounds the id of an answer.
	maxIDBytes = 512
	// maxCount is the largest count that is believed, some 7 * 10^10: it is the
	// meter's bound as well, and the largest batches have 50,000 requests of a
	// million tokens. A larger number is not a count.
	maxCount = 1 << 36
)

// findings is what one JSON value says. It counts only once the value is
// whole: the first half of a number is another number.
type findings struct {
	usage      reported
	model      name
	id         identity
	deferred   bool // id is that of a request whose answer is to be fetched
	end        ending
	failed     bool  // a truthy member error
	finished   bool  // a choice has its finish reason
	status     state // of a response or batch
	background bool  // the provider goes on when the client has left
	delta      bool  // an event with a part of the text, not the text again
	text       int64 // bytes of the strings that carry text
}

// state is what an answer's status says about work that a provider does.
type state uint8

const (
	stateUnknown state = iota
	stateOpen
	stateOver
)

// stateOf knows the statuses of responses and batches (OpenAI's and Anthropic's
// references, 2026-11).
func stateOf(status []byte) state {
	switch string(status) {
	case "queued", "in_progress", "validating", "finalizing", "cancelling", "canceling":
		return stateOpen
	case "completed", "failed", "incomplete", "cancelled", "expired", "ended":
		return stateOver
	}
	return stateUnknown
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
	case keyModel, keyID, keyStatus:
		return m.atTopOrWrapped()
	case keyType, keyError, keyRequestID:
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
		if len(s) <= maxNameBytes {
			m.found.model.set(s)
		}
	case keyID:
		m.found.id.set(s)
		m.found.deferred = false
	case keyRequestID: // some providers send both
		if m.found.id.n == 0 {
			m.found.id.set(s)
			m.found.deferred = true
		}
	case keyStatus:
		m.found.status = stateOf(s)
	case keyType:
		m.found.end = endingOf(s)
		m.found.delta = bytes.HasSuffix(s, []byte("delta"))
	case keyError:
		m.found.failed = m.found.failed || m.n > 0
	case keyFinishReason:
		m.found.finished = true
	}
}

// carriesText reports whether the value being read is, or lies in, something
// that a model has said: a member that carries text, or what is too deep to have
// its name known. Responses repeat the request beside their output.
func (m *members) carriesText() bool {
	d := m.nest.depth
	if d > levels {
		return m.keys[3] != keyLogprobs && (m.keys[1] != keyResponse || m.keys[2] == keyOutput)
	}
	for m.keys[d] == keyElement && d > 1 {
		d-- // of a list of texts
	}
	return m.keys[d] == keyText
}

// textBytes is how much text the value has, as far as it was read. A string that
// is longer than any name counts as text wherever it is.
func (m *members) textBytes() int64 {
	if (m.state == inString || m.state == inEscape || m.state == inHex) && !m.inKey && m.length > maxNameBytes {
		return m.found.text + m.length
	}
	return m.found.text
}

// foundText takes the length of a string that is over.
func (m *members) foundText() {
	if m.length > maxNameBytes && !m.echo() || m.carriesText() {
		m.found.text += m.length
	}
}

// echo reports whether the value being read is a part of the request that a
// response repeats.
func (m *members) echo() bool {
	return m.keys[1] == keyResponse && m.nest.depth > 1 && m.keys[2] != keyOutput
}

// foundContainer takes the opening of an array or object.
func (m *members) foundContainer() {
	m.foundTruth()
	if m.usageAt == 0 && m.atUsage() {
		m.usageAt = m.nest.depth
		m.found.usage.thoughts = m.found.usage.thoughts || m.keys[m.usageAt] == keyUsageMetadata
	}
}

// atUsage reports whether the value being read is a usage object: at the top, in
// the object that events wrap an answer in, in a choice (Moonshot), in a delta
// (Cohere), in a result (Cloudflare), in each of an array of answers (Gemini's own
// streams that are no SSE), or in the line of a batch's results (Anthropic).
func (m *members) atUsage() bool {
	d := m.nest.depth
	if d > levels {
		return false
	}
	switch m.keys[d] {
	case keyUsage:
		return m.atTopOrWrapped() || d == 2 && (m.keys[1] == keyText || m.keys[1] == keyResult) || d == 3 && (m.keys[2] == keyElement && m.keys[1] == keyChoices || m.keys[2] == keyMessage && m.keys[1] == keyResult)
	case keyMeta:
		return d == 1
	case keyUsageMetadata:
		return d == 1 || d == 2 && m.keys[1] == keyElement
	}
	return false
}

// foundTruth takes a value that is not null, false, zero or empty.
func (m *members) foundTruth() {
	if m.at(keyError) {
		m.found.failed = true
	}
}

// foundTrue takes the word true.
func (m *members) foundTrue() {
	m.foundTruth()
	if d := m.nest.depth; d <= levels && m.keys[d] == keyBackground && m.atTopOrWrapped() {
		m.found.background = true
	}
}

// foundNumber takes a number.
func (m *members) foundNumber() {
	if m.state != inZero {
		m.foundTruth()
	}
	if m.usageAt == 0 || m.nest.depth > levels {
		return
	}
	n, ok := m.number.count()
	if !ok {
		return
	}
	switch d, k := m.nest.depth, m.keys[m.nest.depth]; {
	case d == m.usageAt+1:
		m.found.usage.set(k, n)
	case d == m.usageAt+2 && m.keys[d-1] == keyTokenDetails && (k == keyCachedTokens || k == keyReasoningTokens || k == keyCacheCreation):
		m.found.usage.set(k, n)
	case d == m.usageAt+2 && m.keys[d-1] == keyUnits && (k == keyInputTokens || k == keyOutputTokens):
		m.found.usage.set(k, n)
	case d == m.usageAt+3 && m.keys[d-1] == keyElement && m.keys[d-2] == keyIterations:
		m.found.usage.setStep(k, n)
	}
}
