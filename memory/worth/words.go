package worth

import "strings"

func set(words string) map[string]bool {
	all := map[string]bool{}
	for w := range strings.FieldsSeq(words) {
		all[w] = true
	}
	return all
}

// The words of English, German, French and Spanish.
//
//nolint:misspell // words of other languages
var (
	// courtesies say nothing, and may stand before anything.
	courtesies = set(`
		hello hi hey hiya dear good morning afternoon evening night greetings thanks thank thx ty cheers you very much so please pls kindly sorry bye goodbye ok okay
		yes yeah yep no nope sure great perfect awesome nice cool wonderful fine right well oh ah hmm alright exactly correct indeed now also then and just lgtm
		hallo guten tag morgen abend moin servus danke dankeschön vielen dank schön bitte entschuldigung tschüss ja nein gut super prima toll genau klar richtig einverstanden
		bonjour bonsoir salut merci beaucoup svp oui non d'accord parfait très bien pardon génial au revoir
		hola buenos buenas días dias tardes noches gracias muchas por favor sí vale perfecto muy bien adiós perdón claro genial`)

	// askingWords begin a question, unless whom it is about follows at once ("what I like
	// is tea").
	askingWords = set(`
		what who whom whose where why how which
		wer wen wem wessen was wo wohin woher warum wieso weshalb wie welche welcher welches welchen welchem womit wofür worüber wann wieviel
		qui quoi quel quelle quels quelles où pourquoi comment combien
		qué quién quiénes cuál cuáles cuándo dónde adónde cómo cuánto cuánta cuántos cuántas`)

	// contracted are such words with their verb.
	contracted = set(`whats what's whos who's wheres where's whys why's hows how's whens when's qu'est-ce est-ce`)

	thanks = set(`thanks thank thx danke vielen herzlichen merci gracias muchas mil`)

	// doubtfulWords begin clauses of statements as well.
	doubtfulWords = set(`when while quand`)

	auxiliaries = set(`
		is are was were am do does did can could would will should shall has have had may might isn't aren't don't doesn't didn't can't couldn't won't wouldn't shouldn't
		ist sind war waren bin hat haben habe hatte kann kannst können könnt könntest könnten könnte weißt wissen soll sollte sollen muss darf willst würdest hast bist heißt
		est sont était a ont avait peux peut pouvez pourrais pourriez sais savez dois doit
		puedes puede podrías podría sabes sabe tienes tiene`)

	// subjects are whom a sentence is about.
	subjects = set(`
		i i'm i've i'd you he she it we they my your his her its our their the this that these those there
		ich du er sie wir ihr man mein meine meinen meinem meiner dein deine unser unsere der die das den dem ein eine dieser diese dieses
		je j'ai j'aime j'habite tu il elle on nous vous ils elles mon ma mes ton ta tes le la les un une ce cette
		yo tú usted él ella nosotros ellos mi mis tu tus el los las`)

	// firstPersons begin what users say of themselves.
	firstPersons = set(`
		i i'm im i've ive i'd i'll my mine we we're we've our
		ich mein meine meinen meinem meiner wir unser unsere unseren unserem
		je j'ai j'aime j'habite j'étais mon ma mes nous notre nos
		yo soy tengo vivo estoy trabajo prefiero mi mis somos tenemos nosotros nuestro nuestra me`)

	// relatives add something behind a comma.
	relatives = set(`who whose`)

	// joining words stand before a clause.
	joining = set(`but because since as given that and so if und aber weil da denn mais car parce puisque et comme pero porque ya que y como`)

	// reasons stand before what is so, without a comma.
	reasons = []string{
		" because ", " since ", " given that ", " now that ", " considering that ", " weil ", " da ", " denn ", " parce que ", " puisque ", " car ", " étant donné que ", " porque ", " ya que ", " dado que ",
	}

	// lasting words make an order one that holds on.
	lasting = set(`always never immer nie niemals stets toujours jamais siempre nunca jamás`)

	// keeping is how something begins that is to be kept.
	keeping = []string{
		"remember that ", "remember i ", "remember my ", "remember we ", "remember this ", "please remember ", "note that ", "note my ", "keep in mind ", "don't forget ", "do not forget ", "for the record ", "fyi ",
		"from now on ", "in future ", "in the future ", "call me ", "don't call me ", "do not call me ", "address me ", "save this ", "store this ", "i want you to ", "let's say ", "do not ", "don't ", "stop ",
		"merk dir ", "merke dir ", "denk daran ", "vergiss nicht ", "ab jetzt ", "ab sofort ", "künftig ", "in zukunft ", "nenn mich ", "nenne mich ",
		"souviens-toi ", "rappelle-toi ", "retiens ", "note que ", "n'oublie pas ", "désormais ", "dorénavant ", "à partir de maintenant ", "appelle-moi ",
		"recuerda que ", "recuerda mi ", "ten en cuenta ", "no olvides ", "a partir de ahora ", "en adelante ", "llámame ", "anota que ",
	}

	// commands begin an order.
	commands = set(`
		write rewrite make create add fix remove delete drop run rerun show list give explain describe summarize summarise translate generate refactor rename update change implement build compile rebuild test
		check verify find search grep open read edit move copy convert compare tell help draft shorten improve continue retry try install deploy commit push pull merge rebase revert undo redo review debug
		format sort calculate compute plan suggest recommend schedule send book order print let's lets go do look think proceed repeat finish complete apply clean insert replace extract analyze analyse
		draw design brainstorm outline paraphrase proofread simplify expand solve prove define name count lint document investigate examine inspect ensure
		remind answer reply respond
		schreib schreibe schreiben mach mache machen erstelle erstellen füge lösche entferne zeig zeige zeigen gib geben erklär erkläre erklären beschreib beschreibe übersetz übersetze übersetzen fass fasse nenn nenne
		sag sage such suche finde liste korrigiere ändere hilf bau baue teste prüf prüfe lies öffne verbessere berechne vergleiche plane empfiehl schlag formuliere generiere führe starte aktualisiere
		écris écrivez fais faites crée créez ajoute ajoutez supprime supprimez montre montrez montre-moi donne donnez donne-moi explique expliquez explique-moi décris traduis traduisez résume résumez liste trouve cherche
		corrige corrigez change aide aidez-moi aide-moi teste vérifie vérifiez lis ouvre améliore calcule compare propose recommande rédige rédigez dis dis-moi génère
		escribe escriba haz haga crea añade agrega elimina borra muestra muéstrame da dame explica explícame describe traduce resume lista encuentra busca corrige cambia ayuda ayúdame prueba comprueba
		revisa lee abre mejora calcula compara propón recomienda redacta di dime genera ejecuta`)

	unspacedEnds = []string{"吗", "嗎", "呢", "ですか", "ますか", "でしょうか", "たか", "のか", "나요", "까요", "인가요", "습니까", "입니까"}
	unspacedAsks = []string{"什么", "什麼", "谁", "誰", "哪", "怎么", "怎麼", "为什么", "為什麼", "多少", "いつ", "どこ", "なぜ", "무엇", "누구", "어디", "언제", "어떻게", "얼마"}
)
