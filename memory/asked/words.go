package asked

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/ownkey/ownkey/memory/terms"
)

// class is what a word does in a turn.
type class uint8

const (
	courtesy class = 1 << iota // it greets, thanks, or asks for help as such
	form                       // it says how the answer is to look
	asking                     // a sentence that begins with it asks
	number
	pointer // it stands for what was spoken of before
)

// usersTags are elements in which programs put what the user has written, among the
// coding agents and editors that we know of.
var usersTags = map[string]bool{
	"task": true, "question": true, "query": true, "prompt": true, "user_query": true, "user-query": true, "userrequest": true, "user_request": true,
	"user_message": true, "user-message": true, "user_prompt": true, "user-prompt-submit": true, "feedback": true, "message": true, "request": true, "user": true, "input": true,
}

// classes are the words that are known, in lower case. Number words are no more of
// what is asked than digits are in "in 3 sentences".
//
//nolint:misspell // words of other languages
var classes = func() map[string]class {
	all := map[string]class{}
	for of, words := range map[class]string{
		courtesy: `
			hello hi hey hiya dear morning afternoon evening greetings welcome howdy gday sir madam everyone
			thanks thank thx ty cheers appreciate appreciated grateful regards sincerely please pls kindly sorry excuse pardon bye goodbye
			help assist assistance favor favour quick quickly short question questions wondering wonder advance lot much great perfect awesome good nice day okay ok sure another further additionally lastly finally
			vielen herzlichen tausend im hallo guten tag morgen abend moin servus danke dank bitte entschuldigung hilfe helfen kurze kurz frage fragen voraus grüße gruß liebe lieber
			beaucoup mille bonjour bonsoir salut merci svp plaît pardon aide aider aidez petite rapide avance cordialement
			muchas muchos hola buenos buenas días dias tardes noches gracias favor perdón perdona ayuda ayudar ayúdame pregunta rápida antemano saludos
			molte ciao salve buongiorno buonasera grazie prego scusa scusi aiuto aiutarmi aiutami domanda veloce anticipo saluti
			muito muita olá oi bom boa dia tarde noite obrigado obrigada favor desculpe ajuda ajudar pergunta rápida antecipadamente
			большое привет здравствуйте здравствуй добрый день утро вечер спасибо пожалуйста извините помоги помогите помощь вопрос быстрый заранее благодарю
			çok merhaba selam günaydın teşekkürler teşekkür ederim lütfen pardon yardım yardımcı soru sorum kısa şimdiden
			مرحبا السلام عليكم شكرا فضلك رجاء سؤال مساعدة مساعدتي سريع مقدما`,
		form: `
			answer answers reply respond response write keep use using put format formatted return output give
			sentence sentences word words bullet bullets points paragraph paragraphs list table json yaml markdown html xml plain text heading headings
			short shorter brief briefly concise concisely long detail detailed simple simply step steps tone style formal informal polite language
			english german french spanish italian portuguese characters lines item items precise honest helpful assistant explain explanation think breath
			antworte antwort antworten schreibe schreib satz sätze sätzen wort wörter wörtern stichpunkte stichpunkten absatz liste tabelle knapp ausführlich deutsch englisch
			réponds répondez réponse écris écrivez phrase phrases mots puces liste tableau bref brève brièvement détaillé français anglais
			responde respuesta escribe frase frases oración oraciones palabras viñetas lista tabla breve brevemente detallado español inglés
			rispondi risposta scrivi frase frasi parole elenco puntato tabella breve brevemente italiano inglese
			responda resposta escreva frase frases palavras lista tabela breve brevemente português inglês
			ответь ответьте ответ напиши предложение предложения предложениях слов словах списком таблицей кратко коротко подробно
			cevap cevapla yanıt yanıtla yaz cümle cümleyle kelime madde kısaca liste tablo türkçe`,
		asking: `
			who whom whose what whats what's which when where wheres where's why how hows how's
			is isn't are aren't was were wasn't weren't am do does did don't doesn't didn't can could would will should shall has have had haven't hasn't may might
			tell remind find show explain describe summarize summarise recommend suggest recall remember name compare list
			wer wen wem wessen was wann wo wohin woher warum wieso weshalb wie welche welcher welches welchen welchem womit wofür worüber
			ist sind war waren hat haben hatte kann kannst könntest könnte weiß weißt soll sollte gibt nenne erinnere sag zeig zeige erkläre
			qui quoi quel quelle quels quelles quand où pourquoi comment combien est-ce dis rappelle montre explique
			quién quien quiénes qué que cuál cual cuáles cuándo cuando dónde donde adónde cómo como cuánto cuánta cuántos cuántas dime recuérdame muestra explica
			chi cosa che quale quali quando dove perché come quanto quanta quanti quante dimmi ricordami mostra spiega
			quem qual quais onde quanto quantos quantas diga lembre mostre explique
			кто кого кому что чего чему какой какая какие какое когда где куда откуда почему зачем как сколько чей скажи напомни покажи объясни
			kim kimin ne neyi nerede nereye nereden neden niçin nasıl hangi kaç söyle hatırlat göster açıkla
			من ماذا ما متى أين لماذا كيف كم أي هل`,
		pointer: `
			he she him her his hers it its they them their theirs that this those these there then so same one ones
			er sie ihn ihm ihr ihre ihren ihrem sein seine seinen es das dies diese dort dann deren dessen
			il elle lui son sa ses leur leurs ils elles cela ça y
			él ella su sus ellos ellas eso esto allí entonces
			lui lei suo sua suoi sue loro questo quello allora
			ele ela seu sua eles elas dele dela isso então
			он она его её ему ей их они это там тогда
			onun ona onu onlar bu şu orada`,
		number: `
			one two three four five six seven eight nine ten hundred few ein eine zwei drei vier fünf zehn un une deux trois quatre cinq dix uno una dos tres cuatro cinco due tre dois três два две три`,
	} {
		for w := range strings.FieldsSeq(words) {
			all[w] |= of
		}
	}
	return all
}()

// unspacedAsks are what asks in scripts that do not part their words.
var unspacedAsks = []string{
	"什么", "什麼", "谁", "誰", "哪", "怎么", "怎麼", "怎样", "为什么", "為什麼", "多少", "几", "幾", "吗", "嗎", "呢",
	"何", "いつ", "どこ", "なぜ", "どう", "どの", "どれ", "いくつ", "いくら", "ですか", "ますか", "たか",
	"무엇", "뭐", "누구", "어디", "언제", "왜", "어떻게", "얼마", "몇", "나요", "까요", "인가요",
}

// judge makes a sentence of a text; ok is false if it says nothing of what is asked.
func judge(text string) (s Sentence, ok bool) {
	if text == "" {
		return s, false
	}
	s = Sentence{Text: text, Asks: strings.ContainsAny(text, "?？؟")}
	content, idle, first, wide := 0, 0, true, false
	var buf [64]byte
	for word := range strings.FieldsFuncSeq(text, notInWord) {
		wide = wide || unicode.In(firstRune(word), unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul)
		low := string(lower(buf[:0], word))
		of := classes[low]
		if first && of&courtesy == 0 && of&number == 0 {
			s.Asks = s.Asks || of&asking != 0
			first = false
		}
		switch {
		case of&number != 0 || low[0] >= '0' && low[0] <= '9':
		case of&(courtesy|form) != 0:
			content, idle = content+1, idle+1
		case !terms.Stop(low):
			content++
		}
	}
	if wide {
		for _, w := range unspacedAsks {
			s.Asks = s.Asks || strings.Contains(text, w)
		}
		return s, true
	}
	if s.Asks { // also one of stop words alone: "and when was that?" points to what was said before
		return s, idle < content || content == 0
	}
	if content == 0 {
		return s, false
	}
	return s, idle*5 < content*3
}

func notInWord(r rune) bool {
	return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) && r != '\'' && r != '’' && r != '-'
}

func firstRune(s string) rune {
	for _, r := range s {
		return r
	}
	return 0
}

// lower appends a word in lower case, cut off where no word that we know goes on.
func lower(dst []byte, word string) []byte {
	for _, r := range word {
		if len(dst) > 48 {
			break
		}
		if r == '’' {
			r = '\''
		}
		dst = append(dst, string(unicode.ToLower(r))...)
	}
	return dst
}

func hasAny(text string, words []string) bool {
	low := strings.ToLower(text)
	for _, w := range words {
		if at := strings.Index(low, w); at >= 0 && alone(low, at, at+len(w)) {
			return true
		}
	}
	return false
}

// alone reports whether a part of a text is no part of a longer word; where words are
// not parted, it always is.
func alone(text string, from, to int) bool {
	before, _ := utf8.DecodeLastRuneInString(text[:from])
	behind, _ := utf8.DecodeRuneInString(text[to:])
	inside := func(r rune) bool { return unicode.IsLetter(r) && r < 0x0e00 }
	return !inside(before) && !inside(behind)
}

// told are words of a question for what the assistant has said.
var told = []string{
	"did you", "you recommend", "you recommended", "you suggest", "you suggested", "you said", "you say", "you told", "you tell", "you mentioned", "you gave", "you wrote",
	"you explained", "you proposed", "you listed", "you advised", "your advice", "your answer", "your suggestion", "your suggestions", "your recommendation", "your recommendations",
	"hast du", "haben sie", "du gesagt", "du empfohlen", "du vorgeschlagen", "as-tu", "avez-vous", "tu m'as", "vous m'avez", "dijiste", "recomendaste", "sugeriste", "me diste",
	"hai detto", "hai consigliato", "hai suggerito", "você disse", "você recomendou", "você sugeriu", "ты сказал", "ты советовал", "вы сказали", "вы советовали",
	"söyledin", "önerdin", "你说过", "你建议", "你推荐", "你說過", "你建議", "你推薦", "言いましたか", "勧めて", "말했", "추천했",
}

// present are words of a question for what is so now.
var present = []string{
	"now", "currently", "current", "today", "at the moment", "these days", "nowadays", "still", "latest", "lately", "most recent", "up to date", "anymore",
	"jetzt", "derzeit", "aktuell", "aktuelle", "aktuellen", "aktueller", "heute", "momentan", "zurzeit", "noch immer", "inzwischen", "maintenant", "actuellement", "actuel", "actuelle", "aujourd'hui", "en ce moment", "encore",
	"ahora", "actualmente", "actual", "hoy", "todavía", "adesso", "ora", "attualmente", "attuale", "oggi", "ancora", "agora", "atualmente", "atual", "hoje", "ainda",
	"сейчас", "теперь", "сегодня", "текущий", "текущая", "нынешний", "до сих пор", "şimdi", "şu an", "şu anda", "bugün", "hâlâ", "güncel", "الآن", "حاليا", "اليوم",
	"现在", "目前", "現在", "今", "지금", "현재",
}

// fewWords is how many words besides pointers a question may have that can not be
// found by itself.
const fewWords = 2

// tense are words of a question in the present tense, and bygone those of one for what
// is over, which may have them, too.
var (
	tense = []string{
		"do i", "does", "is", "are", "am i", "have i", "has", "'s", "ist", "sind", "habe ich", "hat", "wohne", "arbeite", "heißt", "est", "sont", "ai-je", "habite", "es", "está", "tengo", "vivo",
		"è", "ho", "abito", "é", "tenho", "moro",
	}
	bygone = []string{
		"did", "was", "were", "had", "used to", "ago", "before", "previously", "formerly", "earlier", "former", "old", "first", "last", "back then", "in the past", "when",
		"war", "waren", "hatte", "früher", "damals", "zuvor", "vorher", "alte", "alter", "altes", "était", "avait", "avant", "autrefois", "ancien", "ancienne", "era", "antes", "anterior", "tenía",
		"prima", "precedente", "aveva", "antigo", "antiga", "tinha",
	}
)

// content counts the words of a text that say something.
func content(text string) (n int) {
	var buf [64]byte
	for word := range strings.FieldsFuncSeq(text, notInWord) {
		if low := string(lower(buf[:0], word)); !terms.Stop(low) && classes[low]&(courtesy|number|pointer) == 0 {
			n++
		}
	}
	return n
}

// Depends reports whether what a turn asks stands for something that was said before,
// as in "and her hobby?": then the turn before says what it is about.
func Depends(turn []Sentence) bool {
	asks, points, words := false, false, 0
	for _, s := range turn {
		if !s.Asks {
			return false // it says itself what it is about
		}
		asks = true
		var buf [64]byte
		for word := range strings.FieldsFuncSeq(s.Text, notInWord) {
			low := string(lower(buf[:0], word))
			switch of := classes[low]; {
			case of&pointer != 0:
				points = true
			case of == 0 && !terms.Stop(low):
				words++
			}
		}
	}
	return asks && (points && words <= fewWords || words <= 1)
}
