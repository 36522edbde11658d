package index

import "math"

// Signs are what tells whether a bucket knows of what is asked.
type Signs struct {
	Cover   float32 // the largest share of the question that one passage has
	Strange float32 // the share of the question's words that stand nowhere, less in a small bucket
	Ahead   float32 // how far the best score is ahead of the next ones, in what the question weighs
	Small   float32 // 1 in a bucket of some fifty passages, 0 in one of thousands, and in one of a few
	Meaning float32 // how much closer the closest vector is than the closest of as many by chance; 0 without vectors
}

// Gate are the weights of the signs, as a logistic regression has them. Words and
// meaning are judged by themselves, and one of them is enough.
type Gate struct {
	Bias float32
	Signs
	Usual float32 // what Signs.Meaning is of a question that the bucket does not know of, at most
}

// DefaultGate is fitted to own and foreign questions of several kinds of buckets
// (go run ./benchmarks/recall tune).
var DefaultGate = Gate{Bias: -1.18, Signs: Signs{Cover: 2.57, Strange: -7, Ahead: 3.2, Small: -1, Meaning: 4}, Usual: .9}

// Probability is how likely it is that a bucket knows of what is asked.
func (g *Gate) Probability(s *Signs) float32 {
	odds := g.Bias + g.Cover*s.Cover + g.Strange*s.Strange + g.Ahead*s.Ahead + g.Small*s.Small
	if s.Meaning > 0 {
		odds = max(odds, g.Meaning*(s.Meaning-g.Usual))
	}
	return float32(1 / (1 + math.Exp(-float64(odds))))
}

// covering is how many of the best hits are asked for the largest share.
const covering = 5

// knows is the logarithm of the number of passages in which each common word stands
// somewhere, about: a small bucket lacks words that it could well know.
const knows = 8

// many is the number of passages from which on one of them has a word of any question by
// chance; in thousands words have their weight by how many have them.
const many = 40

func (x *Index) signs(s *search, hits []Hit) (g Signs) {
	g.Meaning = beyondChance(s.near)
	all := s.total + s.unknown
	if len(hits) == 0 || all == 0 {
		return g
	}
	for i := range hits[:min(covering, len(hits))] {
		g.Cover = max(g.Cover, s.cover[int(x.docs[hits[i].Doc].part)+hits[i].Passage]/all)
	}
	size := min(1, float32(math.Log(float64(x.texts.n)))/knows)
	if s.content > 0 {
		g.Strange = s.strange / s.content * size * size
	}
	g.Small = min(1, 4*(1-size)*(1-size)) * min(1, float32(x.texts.n)/many)
	if len(s.top) == 0 { // found by meaning alone
		return g
	}
	var sum float32
	for _, t := range s.top {
		sum += t
	}
	others := max(len(s.top), min(2, x.live)) // a hit that is the only one is ahead of nothing
	g.Ahead = (s.top[0] - sum/float32(others)) / all
	return g
}

// beyondChance is how many deviations the closest vector is beyond the one that is
// expected to be closest of as many by chance (of normal numbers, about the square root
// of twice the logarithm of how many there are).
func beyondChance(near []float32) float32 {
	best, n := float32(0), 0
	for _, z := range near {
		if z != 0 {
			best, n = max(best, z), n+1
		}
	}
	if n == 0 {
		return 0
	}
	return max(0, best-float32(math.Sqrt(2*math.Log(float64(n)))))
}
