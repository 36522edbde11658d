package terms

import "strings"

// stopWords are words that stand in any text and in any question, in lower case, with
// the languages where they do. In English, "may" is not among them: it is a month. The
// halves of contractions are, since a word ends at an apostrophe; so are the endings
// that Turkish parts from names by one.
//
//nolint:misspell // words of other languages
var stopWords = func() map[string]languages {
	set := map[string]languages{}
	for of, words := range map[language]string{
		english: `
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
	`,
		german: `
		ab aber alle allem allen aller alles als also am an andere anderen ans auch auf aus außer außerdem bei beim bin bis bist da dabei dafür dahin damit danach dann daran darauf darin darüber das
		dass daß davon dazu dein deine deinem deinen deiner dem den denen denn der deren des dessen die dies diese diesem diesen dieser dieses doch dort du durch
		ein eine einem einen einer eines einige er es etwa etwas euch euer eure eurem euren für gegen gehabt gar gab gibt habe haben habt hast hat hatte hatten hätte hier hin hinter ich ihm ihn ihnen ihr ihre ihrem
		ihren ihrer im in ins ist ja je jede jedem jeden jeder jedes jetzt kann kannst können könnte kein keine keinem keinen keiner man manche mehr mein meine meinem meinen meiner meines mich mir mit
		muss muß musst müssen nach nein nicht nichts noch nun nur ob oder ohne schon sehr sein seine seinem seinen seiner seit selbst sich sie sind so soll sollte sollen sonst über um und uns unser unsere unserem
		unseren unserer unter viel viele vom von vor wann war waren warst warum was wegen weil welche welchem welchen welcher welches wem wen wenn wer werde werden wessen weshalb wie wieder wieso wieviel will willst wir wird
		wirst wo wofür woher wohin womit woran worauf woraus worin worüber wovon wovor wozu wurde wurden würde würden zu zum zur zwischen bitte mal eigentlich gerade eben wohl sag nenne`,
		french: `
		à ai aie ait au aux avait avec avez avoir avons ayant bien c ça car ce ceci cela ces cet cette chez ci comme comment d dans de depuis des deux donc du elle elles en entre es est et étaient étais était être eu eux
		faire fait faut il ils j je jusqu l la là le les leur leurs lui m ma mais me même mes moi mon n ne ni nos notre nous on ont or ou où par parce pas pendant peut peux plus pour pourquoi puis qu quand que quel quelle quelles quels
		qui quoi sa sans se sera ses si sommes son sont sous suis sur t ta te tes toi ton tous tout toute toutes très tu un une va vais vers vos votre vous y été étions avais as a ya lequel laquelle combien quelqu`,
		spanish: `
		a al algo alguna algunas algún alguno algunos ante antes aquel aquella aquí así aún aunque bajo bien cada casi como cómo con contra cual cuál cuales cuáles cualquier cuando cuándo cuanta cuánta cuantas cuántas cuanto cuánto
		cuantos cuántos de del desde donde dónde adónde dos durante e el él ella ellas ellos en entre era eran eras eres es esa esas ese eso esos esta está están estaba estaban estamos estar estas estás este esto estos estoy fue fueron fui
		ha haber había habían hace hacen hacer han has hasta hay he hemos hizo la las le les lo los más me mi mí mis mientras mismo muy nada ni no nos nosotros nuestra nuestras nuestro nuestros o os otra otro otros para pero poco por
		porque pues que qué quien quién quienes quiénes se sea según ser si sí sido sin sobre son soy su sus suya suyo también tan tanto te tenemos tener tengo tiene tienen tienes toda todas todo todos tu tú tus un una unas uno unos usted ustedes va voy
		y ya yo tenía puedo puede dime`,
		italian: `
		a abbiamo ad agli ai al all alla alle allo altra altri altro anche ancora aveva avevo avete avere c che chi ci cio ciò com come con contro cos cosa cui d da dagli dai dal dall dalla dalle dallo degli dei del dell della delle dello dentro
		deve devo di dopo dov dove due e è ed era erano ero essere fa faccio fare fino fra fu gli ha hai hanno ho i il in io l la le lei li lo loro lui ma me mi mia mie miei mio molto ne negli nei nel nell nella nelle nello no noi non nostra nostre
		nostri nostro o ogni per perché però più po poi prima qual quale quali quando quanta quante quanti quanto quel quella quelle quelli quello quest questa queste questi questo qui sarà se sei senza si sì sia siamo siete solo sono sopra
		sotto sta stai stanno stata state stati stato sto su sua sue sugli sui sul sull sulla sulle sullo suo suoi t te ti tra tu tua tue tuo tuoi tutta tutte tutti tutto un una uno v va vi voi vostra vostro posso può puoi dimmi`,
		portuguese: `
		a à ao aos aquela aquele aquilo as às até cada chamo com como da das de dela dele deles depois do dos duas dois e é ela elas ele eles em entre era eram essa essas esse esses esta está estamos estão estar estas estava este estes estou eu faz fazer
		foi for foram fui há isso isto já lá lhe lhes mais mas me mesmo meu meus mim minha minhas muito na nas nem no nos nós nossa nossas nosso nossos num numa não o onde os ou para pela pelas pelo pelos por porque porquê porque pra qual quais quando
		quanta quantas quanto quantos que quê quem se seja sem ser será seu seus são só sob sobre sou sua suas também te tem têm temos tenho ter teve tinha teu teus todas todo todos tu tua um uma umas uns você vocês vai vou pode posso diga`,
		dutch: `
		aan al alle als altijd ben bent bij daar dan dat de der deze die dit doen doet dus een en er ge geen had heb hebben hebt heeft hem het hier hij hoe hoeveel hun ik in is ja je jij jouw jullie kan kon kunnen maar me meer mij mijn moet na naar niet
		niets nog nu of om omdat onder ons onze ook op over te tegen toch toen tot u uit uw van veel voor waar waarom wanneer waren was wat we wel welk welke werd wie wij wil word worden wordt ze zelf zich zij zijn zo zonder zou zal mag`,
		turkish: `
		acaba ama ancak artık aslında bana bazı belki ben benden beni benim bir biraz biri birkaç birşey biz bizden bizi bizim böyle bu buna bunda bundan bunlar bunu bunun çok çünkü da daha de defa değil diye dolayı en fakat gibi hangi hangisi hani
		hem hep hepsi her hiç ise için ile ilgili kaç kadar kendi kez ki kim kimden kime kimi kimin madem mi mı mu mü misin mısın musun nasıl ne neden neler nerde nerede nereden nereye neresi neyi neyin niçin niye o olan olarak oldu olduğu olur ona ondan onlar onu onun orada
		sana sen senden seni senin siz sizden sizi sizin şey şöyle şu şuna şunu sonra tarafından tüm ve veya veyahut var varsa ya yani yok zaman vardı neyim neye bende
		ta te dan den tan ten ye yi yı yu yü nin nın nun nün un ün ın ım im la le`,
		russian: `
		а без бы был была были было быть в вам вас ваш ваша ваше ваши весь во вот все всё всего всех вы где да даже для до его ее её ей ему если есть еще ещё же за зачем здесь и из или им их к каждый как какая какие каким какими каких какого какое какой каком какому какую когда
		кого кем ком кому кто куда ли между меня мне мной мои моим моих моего моей моему моём моем мою моя моё мое мой мы на над надо нам нас наш наша наше наши нашего нашей нашем наших не него нее неё ней нет ни них но ну о об он она они оно от откуда очень по под почему при про
		с сам свой своего своей своих своя себе себя со сколько так такой такое такая такие там твой твоя твои те тебе тебя тем то тогда того тоже только том тот ты у уже чего чей чем чему что чтобы чья эта эти это этого этой этом этот эту я моими можно нужно скажи`,
		arabic: `
		من ما ماذا متى أين اين إلى الى عن على في هل كم كيف لماذا لمن أي اي أية هو هي هم هن أنا انا أنت انت نحن هذا هذه ذلك تلك الذي التي الذين كان كانت يكون تكون قد لقد لا لم لن ليس ليست إن ان أن إنّ و أو او ثم مع عند عندي لدي لدى لي له لها لنا لك بعد قبل كل بين حتى منذ
		منها منه فيها فيه عنها عنه إذا اذا ايضا أيضا هناك هنا بماذا بم وما ومن وهو وهي ولا التى الى يا`,
	} {
		for word := range strings.FieldsSeq(words) {
			set[word] |= of.bit()
		}
	}
	return set
}()
