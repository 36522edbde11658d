package api

// Room that an answer of memories takes while it is made: their texts, what is
// written of them, and what a buffer that grows has beside that. Answers that are
// small take none.
const (
	answerFactor = 4
	smallAnswer  = 256 << 10
)

// room takes room for an answer with so many bytes of texts; release gives it back,
// when the answer is made and counts by its length.
func (c *Call) room(texts int64) (release func(), err error) {
	if texts <= smallAnswer {
		return func() {}, nil
	}
	n := answerFactor * int(texts)
	if !c.Room.Take(n) {
		return func() {}, errNoRoom
	}
	return func() { c.Room.Give(n) }, nil
}
