package terms

import "strings"

// lightWords stand in so many texts about anything that one of them in common says
// little. Where many memories are known their numbers say it; in a small bucket they
// look as rare as any other word. Those of LoCoMo, BEAM and common lists of the most
// frequent English words were looked through for words without a subject.
var lightWords = func() map[string]bool {
	set := map[string]bool{}
	for word := range strings.FieldsSeq(`
		go going goes went gone come comes coming came take takes taking took taken make makes making made use uses using used need needs needed
		want wants wanted like likes liked know knows known knew think thinks thought say says said saying tell tells told give gives given gave
		find finds found keep keeps kept put puts let lets try tries tried trying start starts started stop stops begin began
		call calls called name names named number numbers thing things way ways kind kinds sort sorts type types lot lots bit part parts
		time times day days year years first second last next new old good bad great nice best better favorite favourite
		still always usually often really also already ever never maybe currently recently lately soon later long big small little large high low
		many several people person persons someone somebody something anything everything nothing anyone everyone
		happen happens happened mean means meant look looks looked looking see sees seen saw show shows ask asks asked feel feels felt
		turn turns turned set sets become became seem seems different similar main important sure able possible
		right left well right done different whole full back away around together since without within
		talk talks talked discuss discussed mention mentioned involve involved include included
		handle handles handled manage manages managed happen deal deals dealt relate related regard regarding
		now today current recent specific particular certain general common typical usual normal exactly actually especially particularly
	`) {
		for _, stem := range Append(nil, word) {
			set[stem] = true
		}
	}
	return set
}()

// Light reports whether a term stands in texts about anything.
func Light(term string) bool { return lightWords[term] }
