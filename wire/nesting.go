package wire

// maxDepth is how deep a body may nest. JSON schemas of tools reach about
// thirty levels; a body that needs more than this is an attack on parsers.
const maxDepth = 512

// nesting remembers which arrays and objects are open around a place in JSON.
type nesting struct {
	depth   int
	objects [maxDepth / 64]uint64 // one bit a level: the level is an object
}

// push opens an array or object; false when that would be too deep.
func (n *nesting) push(object bool) bool {
	if n.depth == maxDepth {
		return false
	}
	word, bit := n.depth/64, uint64(1)<<(n.depth%64)
	if object {
		n.objects[word] |= bit
	} else {
		n.objects[word] &^= bit
	}
	n.depth++
	return true
}

// pop closes the innermost one.
func (n *nesting) pop() { n.depth-- }

// inObject reports whether the innermost one is an object.
func (n *nesting) inObject() bool {
	level := n.depth - 1
	return n.depth > 0 && n.objects[level/64]>>(level%64)&1 == 1
}
