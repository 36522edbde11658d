package index

import (
	"cmp"
	"slices"
)

// stepCost is about how many places in lists one step of a removal looks at:
// some 100 µs, in which no Search runs.
const stepCost = 1 << 13

// Removal takes documents out of an index, in steps of bounded length. Once
// Step has met a document it is not found any more; until all is done, some
// statistics still know of it. Altogether it takes time in proportion to the
// documents and to the lists that they stand in.
type Removal struct {
	x         *Index
	docs      []int
	lists     []uint32 // that the documents stand in
	seen      map[uint32]bool
	unlinked  int // of docs
	shortened int // of lists
	forgotten int // of docs
	dated     int // of all documents that stay: the first and the last day among them
	days      days
}

// Remove begins to take documents out. No document is added or changed before
// Step has reported that it is done.
func (x *Index) Remove(docs []int) *Removal {
	return &Removal{x: x, docs: slices.Clone(docs), seen: map[uint32]bool{}}
}

// Step goes on; done is true when no statistic knows of the documents any more.
func (r *Removal) Step() (done bool) {
	for cost := 0; cost < stepCost; {
		switch {
		case r.unlinked < len(r.docs):
			cost += r.unlink(&r.x.docs[r.docs[r.unlinked]])
			r.unlinked++
		case r.shortened < len(r.lists):
			cost += r.shorten(&r.x.lists[r.lists[r.shortened]])
			r.shortened++
		case r.forgotten < len(r.docs):
			cost += r.forget(r.docs[r.forgotten])
			r.forgotten++
		case r.dated < len(r.x.docs):
			if e := &r.x.docs[r.dated]; e.live && e.day != 0 {
				r.days.add(e.day)
			}
			r.dated++
			cost++
		default:
			r.x.days = r.days
			return true
		}
	}
	return false
}

// unlink takes a document out of its conversation and notes its terms.
func (r *Removal) unlink(e *doc) (cost int) {
	if !e.live {
		return 1
	}
	x := r.x
	e.live = false
	x.live--
	if int(x.plain) == r.docs[r.unlinked] {
		x.plain = e.prev
	}
	if e.prev != none {
		x.docs[e.prev].next = e.next
	}
	switch {
	case e.next != none:
		x.docs[e.next].prev = e.prev
	case e.talk != none:
		x.last[e.talk] = e.prev
	}
	cost = 1
	for _, p := range x.parts[e.part : e.part+e.parts] {
		for _, t := range p.terms {
			if !r.seen[t.at] {
				r.seen[t.at] = true
				r.lists = append(r.lists, t.at)
			}
		}
		cost += 1 + 8*len(p.terms)
	}
	return cost
}

// shorten takes the documents out of a term's lists.
func (r *Removal) shorten(l *list) (cost int) {
	cost = 1 + len(l.parts) + len(l.talks)
	before := cap(l.parts) + cap(l.talks)
	kept, talks := l.parts[:0], false
	for _, p := range l.parts {
		e := &r.x.docs[r.x.parts[p.at].doc]
		if e.live {
			kept = append(kept, p)
			continue
		}
		if e.talk != none {
			talks = true
			i, _ := slices.BinarySearchFunc(l.talks, uint32(e.talk), func(p posting, at uint32) int { return cmp.Compare(p.at, at) }) //nolint:gosec // a conversation's number
			l.talks[i].count -= p.count
		}
	}
	l.parts = fitted(kept)
	if talks {
		l.talks = fitted(slices.DeleteFunc(l.talks, func(p posting) bool { return p.count == 0 }))
	}
	r.x.bytes += postingBytes * int64(cap(l.parts)+cap(l.talks)-before)
	return cost
}

// forget takes a document out of what is counted of all.
func (r *Removal) forget(at int) (cost int) {
	x, e := r.x, &r.x.docs[at]
	cost = 1
	for p := int(e.part); p < int(e.part+e.parts); p++ {
		terms, n := x.parts[p].terms, 0
		for _, t := range terms {
			n += int(t.count)
		}
		x.tally(p, -n)
		x.bytes -= postingBytes * int64(cap(terms))
		x.parts[p] = part{}
		cost += 1 + len(terms)
	}
	*e = doc{prev: none, next: none, talk: none, speaker: none}
	return cost
}

// fitted gives room back that is not needed any more.
func fitted(l []posting) []posting {
	if len(l) >= cap(l)/2 {
		return l
	}
	return slices.Clone(l)
}
