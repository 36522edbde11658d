package terms

import "strings"

// lightWords stand in so many texts about anything that one of them in common says
// little. Where many memories are known their numbers say it; in a small bucket they
// look as rare as any other word. Those of LoCoMo, BEAM and common lists of the most
// frequent English words were looked through for words without a subject; those of other
// languages say the same as the most frequent of these.
var lightWords = func() map[string]bool {
	set := map[string]bool{}
	for l, words := range map[language]string{
		english: `
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
	`,
		german:     `heißen heißt hieß name nummer tag tage jahr jahre monat woche mal ding sache art machen macht gehen geht kommen kommt nehmen nutzen nutze brauchen wissen weiß sagen gesagt finden findet liegt liegen steht stehen neu alt gut genau heute gerade meisten lieblings`,
		french:     `appelle appelles appelent appeler nom numéro jour jours année années an ans mois semaine fois chose aller venir prendre mettre donner trouve trouver trouvent savoir dire dit temps nouveau bon grand préféré préférée`,
		spanish:    `llama llaman llamar nombre número día días año años mes meses semana vez cosa ir venir tomar dar decir saber usar nuevo bueno encuentra encuentran queda favorito favorita`,
		italian:    `chiama chiamano chiamare nome numero giorno giorni anno anni mese mesi settimana volta cosa andare venire prendere dare dire sapere usare nuovo buono trova trovano preferito preferita`,
		portuguese: `chama chamam chamar nome número dia dias ano anos mês meses semana vez coisa ir vir dar dizer saber usar novo bom fica ficam encontra favorito favorita preferido preferida`,
		dutch:      `heet heten naam nummer dag dagen jaar maand week keer ding gaan komen nemen weten zeggen gebruiken nieuw goed ligt staat`,
		turkish:    `ad adı adım isim ismi gün günü yıl ay hafta kere gitmek yapmak yapıyor demek bilmek yeni iyi numara en sevdiğim`,
		russian:    `зовут звать имя номер день дни год года лет месяц неделя раз вещь идти знать сказать делать делаю называется находится лежит лежат новый хороший любимый любимая`,
		arabic:     `اسم اسمها اسمه رقم يوم سنة شهر أسبوع مرة جديد`,
	} {
		for word := range strings.FieldsSeq(words) {
			if !stopsIn(l, word) {
				set[stemmed(l, word)] = true
			}
		}
	}
	for word := range strings.FieldsSeq(`名字 名 叫 号码 时间 地方 年 月 日 天 次 用 去 来 说 知道 名前 名称 番号 이름 번호 날짜 시간`) {
		set[word] = true
	}
	return set
}()

// Light reports whether a term stands in texts about anything.
func Light(term string) bool { return lightWords[term] }
