package terms

import "strings"

// stopWords are words that stand in any text and in any question. "may" is not
// among them: it is a month. The halves of contractions are, since a word ends
// at an apostrophe.
var stopWords = func() map[string]bool {
	set := map[string]bool{}
	for word := range strings.FieldsSeq(`
		a about above after again against all also am an and any are as at
		be because been before being below between both but by
		can cannot could did do does doing done down during
		each even ever few for from further
		get gets got had has have having he her here hers herself him himself his how
		i if in into is it its itself just let like
		me might more most much must my myself
		no nor not of off on once only onto or other our ours ourselves out over own
		same shall she should so some such
		than that the their theirs them themselves then there these they this those through to too
		under until up upon us very
		was we were what when where which while who whom whose why will with would
		yes yet you your yours yourself yourselves
		s t d ll m o re ve ain aren couldn didn doesn don hadn hasn haven isn mightn mustn needn shan shouldn wasn weren won wouldn
	`) {
		set[word] = true
	}
	return set
}()
