package main

import "strings"

// tongues is a person's everyday facts in eleven languages other than English, a
// bucket for each, with questions as one asks them: in other forms of the words, as
// these languages have them. Written by hand, without a look at the word lists of the
// index.
func tongues() set { return inLanguages("Other languages", tongueTexts) }

// inLanguages reads a text that has a heading for each language, and behind it what
// persona reads.
func inLanguages(name, texts string) set {
	s := set{name: name}
	for part := range strings.SplitSeq(texts, "\n# ") {
		if name, text, ok := strings.Cut(strings.TrimSpace(part), "\n"); ok {
			b := persona(name, text)
			for i := range b.questions {
				b.questions[i].kind = ""
			}
			s.buckets = append(s.buckets, b)
		}
	}
	return s
}

const tongueTexts = `
# de
Unsere Tochter besucht seit August die Waldorfschule in Kassel.
? Auf welche Schule geht unsere Tochter?
Ich vertrage keine Haselnüsse.
? Welche Nüsse vertrage ich nicht?
Der Ersatzschlüssel liegt bei Frau Brückner im dritten Stock.
? Wo liegen die Ersatzschlüssel?
Mein Bruder ist letztes Jahr nach Rostock umgezogen.
? Wohin ist mein Bruder gezogen?
Die Katzen heißen Minze und Pfeffer.
? Wie heißt meine Katze?
Ich fahre jeden Morgen mit dem Fahrrad zur Arbeit ins Rathaus.
? Womit fahre ich zur Arbeit?
Am 14. Juni haben wir Hochzeitstag.
? Wann ist unser Hochzeitstag?
Der Zahnarzttermin wurde auf den Freitag verschoben.
? Auf welchen Tag wurde mein Termin beim Zahnarzt verschoben?
! Welche Blutgruppe habe ich?
! Wie viel kostet der Parkplatz?
! Was hat der Anwalt geschrieben?
! Welches Buch hat Oma empfohlen?
# fr
Ma fille apprend le violon au conservatoire de Rennes.
? De quel instrument joue ma fille au conservatoire ?
Je suis allergique aux fraises.
? À quels fruits suis-je allergique ?
Nous avons acheté une maison à Quimper en 2018.
? Quand avons-nous acheté la maison ?
Mon médecin s'appelle le docteur Lemoine.
? Comment s'appelle mon médecin ?
Les clés de la cave sont chez la voisine du dessous.
? Où est la clé de la cave ?
Mes parents habitent à Nantes depuis leur retraite.
? Dans quelle ville habitent mes parents ?
Je prépare un marathon qui aura lieu en octobre.
? Quand a lieu le marathon que je prépare ?
Notre chien déteste les feux d'artifice.
? Qu'est-ce que notre chien déteste ?
! Quel est mon groupe sanguin ?
! Combien coûte l'abonnement de bus ?
! Qui a réparé le toit ?
! Quelle langue parle mon oncle ?
# es
Mi hijo mayor estudia arquitectura en Valencia.
? ¿Qué estudia mi hijo mayor?
No puedo comer mariscos porque me dan urticaria.
? ¿Por qué no como marisco?
Vivimos en un piso alquilado cerca de la estación.
? ¿Dónde está el piso en que vivo?
La reunión con la profesora de Lucía es el miércoles.
? ¿Qué día es la reunión con la profesora?
Mi coche es un Seat León blanco.
? ¿Qué coche tengo?
Mis abuelos eran pastores en Extremadura.
? ¿A qué se dedicaba mi abuelo?
Cada domingo jugamos al ajedrez en el parque.
? ¿Cuándo jugamos al ajedrez?
Le presté la bicicleta a Ramón.
? ¿A quién le presté mi bicicleta?
! ¿Cuál es mi grupo sanguíneo?
! ¿Qué edad tiene el perro?
! ¿Qué médico operó a mi tía?
! ¿Quién pintó la cocina?
# it
Mia sorella lavora come infermiera a Bologna.
? Dove lavora mia sorella?
Sono intollerante al lattosio.
? A cosa sono intollerante?
Abbiamo due gatti, Pepe e Zucca.
? Come si chiamano i gatti?
Il mio treno per Torino parte alle sette e dieci.
? A che ora parte il treno per Torino?
Le chiavi di riserva sono dal portinaio.
? Dov'è la chiave di riserva?
Mio padre ha costruito una barca di legno.
? Che cosa ha costruito mio padre?
Andiamo in vacanza in Puglia a settembre.
? Dove andremo in vacanza?
Il dentista mi ha tolto un dente del giudizio.
? Quale dente mi è stato tolto dal dentista?
! Qual è il mio gruppo sanguigno?
! Quanto costa la palestra?
! Chi ha vinto la partita?
! Che lavoro fa mio cognato?
# pt
A minha filha treina natação no clube de Aveiro.
? Onde treina natação a minha filha?
Sou alérgico a amendoins.
? Posso comer amendoim?
O meu irmão mudou-se para Luanda.
? Para onde se mudou o meu irmão?
Os vizinhos de cima têm um papagaio.
? Que animal tem o vizinho de cima?
A consulta com o oftalmologista é na quinta-feira.
? Quando é a consulta do oftalmologista?
Comprei uma guitarra usada por cento e vinte euros.
? Quanto paguei pela guitarra que comprei?
A minha mãe faz anos no dia 3 de abril.
? Em que dia a minha mãe faz anos?
Trabalho numa livraria perto do rio.
? Em que livraria trabalho?
! Qual é o meu tipo de sangue?
! Quanto custa o bilhete de comboio?
! Quem consertou o telhado?
! Que vinho bebeu o meu tio?
# ru
Моя дочь учится в музыкальной школе на улице Чехова.
? В какой школе учится дочь?
У меня аллергия на кошачью шерсть.
? На что у меня аллергия?
Мы купили дачу под Рязанью в прошлом году.
? Где находится наша дача?
Моего кота зовут Барсик.
? Как зовут моих котов?
Бабушка живёт в Самаре с сестрой.
? С кем живет бабушка?
Я работаю инженером на заводе.
? Кем я работаю на заводе?
Запасные ключи у соседки с пятого этажа.
? У кого запасной ключ?
По вторникам я хожу в бассейн.
? В какой день я хожу в бассейн?
! Какая у меня группа крови?
! Сколько стоит проездной билет?
! Кто починил крышу?
! Какой фильм посоветовал дядя?
# tr
Kızım Ankara'da tıp okuyor.
? Kızım ne okuyor?
Fıstığa alerjim var.
? Neye alerjim var?
Kedimizin adı Boncuk.
? Kedilerimizin adı ne?
Yedek anahtar komşumuz Ayşe Hanım'da.
? Yedek anahtarlar kimde?
Abim geçen yıl İzmir'e taşındı.
? Abim hangi şehre taşındı?
Arabam mavi bir Renault Clio.
? Arabamın rengi ne?
Cumartesi günleri satranç kulübüne gidiyorum.
? Satranç kulübü hangi gün?
Diş doktorumun adı Kemal Bey.
? Diş doktorum kim?
! Kan grubum ne?
! Otobüs bileti kaç lira?
! Çatıyı kim tamir etti?
! Dayım hangi kitabı önerdi?
# ar
ابنتي تدرس الطب في جامعة القاهرة.
? ماذا تدرس ابنتي في الجامعة؟
عندي حساسية من الفول السوداني.
? من أي شيء عندي حساسية؟
اسم قطتي لولو.
? ما اسم القطة؟
المفتاح الاحتياطي عند الجارة أم سامي.
? عند من مفتاحي الاحتياطي؟
انتقل أخي إلى دبي في الصيف.
? إلى أين انتقل أخي؟
سيارتي تويوتا بيضاء.
? ما هي السيارة التي عندي؟
أذهب إلى المسبح كل يوم ثلاثاء.
? متى أذهب إلى المسبح؟
والدي كان نجارا في حلب.
? ماذا كان عمل والدي في حلب؟
! ما هي فصيلة دمي؟
! كم سعر التذكرة؟
! من أصلح السقف؟
! أي كتاب اقترح خالي؟
# zh
我女儿在杭州学钢琴。
? 我女儿学什么乐器？
我对虾过敏。
? 我对什么过敏？
我们家的猫叫豆豆。
? 猫叫什么名字？
备用钥匙在楼下王阿姨那里。
? 备用钥匙在谁那里？
我哥哥去年搬到了深圳。
? 哥哥搬到哪里了？
我开一辆白色的比亚迪。
? 我开什么车？
每个星期三晚上我去游泳。
? 我星期几去游泳？
我爷爷以前是木匠。
? 爷爷以前做什么工作？
! 我的血型是什么？
! 公交卡多少钱？
! 谁修了屋顶？
! 舅舅推荐了哪本书？
# ja
娘は京都の大学で建築を勉強しています。
? 娘は大学で何を勉強していますか？
私はそばアレルギーです。
? 私は何のアレルギーがありますか？
うちの猫の名前はモモです。
? 猫の名前は何ですか？
合鍵は隣の佐藤さんに預けています。
? 合鍵は誰に預けましたか？
兄は去年札幌に引っ越しました。
? 兄はどこに引っ越した？
車は青いスズキに乗っています。
? 私はどんな車に乗っていますか？
毎週火曜日に水泳教室に通っています。
? 水泳教室は何曜日ですか？
祖父は大工でした。
? 祖父の仕事は何でしたか？
! 私の血液型は何ですか？
! 定期券はいくらですか？
! 誰が屋根を直しましたか？
! 叔父はどの本を薦めましたか？
# ko
딸은 부산에서 의학을 공부하고 있어요.
? 딸이 무엇을 공부하나요?
저는 땅콩 알레르기가 있어요.
? 제가 무슨 알레르기가 있죠?
우리 고양이 이름은 나비예요.
? 고양이의 이름이 뭐예요?
여분 열쇠는 옆집 김 선생님께 있어요.
? 여분 열쇠가 누구에게 있나요?
형은 작년에 대전으로 이사했어요.
? 형이 어디로 이사했나요?
제 차는 하얀색 아반떼예요.
? 제 차가 무슨 차죠?
화요일마다 수영장에 가요.
? 수영장에 언제 가나요?
할아버지는 목수였어요.
? 할아버지의 직업은 무엇이었나요?
! 제 혈액형이 뭐예요?
! 교통카드는 얼마예요?
! 누가 지붕을 고쳤나요?
! 삼촌이 어떤 책을 추천했나요?
`
