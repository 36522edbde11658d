package main

// languages is a second set of everyday facts in eleven languages, with questions in
// other forms of the words, in the spelling of other keyboards, and in the other of two
// scripts. The word lists of the index were worked on with it; tongues are not.
func languages() set { return inLanguages("Languages, worked on", languageTexts) }

//nolint:misspell // words of other languages
const languageTexts = `
# de
Unsere Kinder heißen Jonas und Frieda.
? Wie heißt mein Kind?
? Wie heissen unsere Kinder?
Ich habe eine Allergie gegen Erdbeeren.
? Gegen welche Erdbeere bin ich allergisch?
Wir wohnen seit 2019 in München.
? Seit wann wohnen wir in Muenchen?
Mein Auto steht in der Tiefgarage am Marktplatz.
? Wo stehen unsere Autos?
Der Geburtstag meiner Mutter ist am 3. April.
? Wann hat meine Mutter Geburtstag?
Ich trinke morgens immer grünen Tee.
? Welchen Tee trinke ich?
Die Heizung wurde von Herrn Kowalski repariert.
? Wer hat die Heizungen repariert?
! Welche Schuhgröße hat mein Vater?
! Wie viele Bücher besitze ich?
# fr
J'ai deux chats qui s'appellent Plume et Réglisse.
? Comment s'appelle mon chat ?
Ma soeur travaille comme infirmière à Lyon.
? Où travaille ma sœur ?
? Quel est le travail de ma sœur l'infirmiere ?
Je ne supporte pas le lait de vache.
? Quel lait est-ce que je ne supporte pas ?
Nous partons en vacances en Bretagne au mois d'août.
? Quand partons-nous en vacances ?
Le code de la porte est affiché derrière le calendrier.
? Où sont affichés les codes de la porte ?
Mon dentiste est le docteur Vasseur.
? Qui est mon dentiste ?
! Quelle est la couleur de ma voiture ?
! Combien coûte mon abonnement ?
# es
Mi perro se llama Canela y tiene tres años.
? ¿Cómo se llaman mis perros?
? ¿Cuántos años tiene el perro?
Trabajo en una librería del centro de Sevilla.
? ¿En qué librerías trabajaba yo?
Soy alérgica a los cacahuetes.
? ¿A qué tengo alergia?
Mi hermano nació en Montevideo.
? ¿Dónde nacieron mis hermanos?
La contraseña no importa; la llave está debajo de la maceta.
? ¿Dónde están las llaves?
Estudio alemán los martes por la tarde.
? ¿Qué días estudio aleman?
Mi abuela vive con nosotros desde enero.
? ¿Desde cuándo vive aquí mi abuela?
! ¿Quién reparó la lavadora?
! ¿Qué película vimos?
# it
Il mio cane si chiama Briciola.
? Come si chiamano i miei cani?
Abito a Bologna, in via Saragozza.
? In quale via abitavo?
Mia moglie insegna matematica al liceo.
? Cosa insegnava mia moglie?
Non mangio carne da dieci anni.
? Da quanti anni non mangi carne?
Le chiavi di riserva sono nel cassetto della cucina.
? Dov'è la chiave di riserva?
Il mio medico è la dottoressa Ferraris.
? Chi sono i miei medici?
Il sabato gioco a tennis con Davide.
? Con chi giochiamo a tennis?
! Quando parte il treno?
! Quanto pesa il pacco?
# pt
O meu filho chama-se Tomás e estuda em Coimbra.
? Onde estudam os meus filhos?
Tenho alergia a camarão.
? Tenho alergias a quê?
Moro no Porto há cinco anos.
? Onde é que eu moro?
A minha irmã trabalha num hospital de Braga.
? Em que hospitais trabalhava a minha irma?
O carro foi vendido ao vizinho.
? A quem vendi os carros?
As aulas de guitarra são às quintas.
? Quando é a aula de guitarra?
O aniversário da avó é em novembro.
? Em que mês são os aniversários da avó?
! Que livro comprei?
! Qual é o preço do bilhete?
# ru
Мою собаку зовут Жучка, она боится грозы.
? Как зовут моих собак?
? Чего боятся собаки?
Я живу в Казани на улице Баумана.
? На какой улице я живу?
У меня аллергия на мёд.
? На что у меня аллергии?
? Можно ли мне мед?
Мой брат работает инженером на заводе.
? Кем работал мой брат?
Ключи от дачи лежат у соседки.
? Где ключ от дачи?
По вторникам я хожу в бассейн.
? Когда я ходила в бассейны?
! Какую книгу я купила?
! Сколько стоит билет?
# tr
Kedimin adı Pamuk.
? Kedilerimin adı ne?
Ankara'da oturuyorum.
? Nerede oturuyoruz?
Kız kardeşim hastanede doktor olarak çalışıyor.
? Kardeşim nerede çalışır?
Fıstığa alerjim var.
? Neye alerjik tepki veriyorum, fıstık mı?
Arabamız kırmızı ve otoparkta duruyor.
? Arabamın rengi ne?
Annemin doğum günü mart ayında.
? Annemin doğum günleri ne zaman?
Salı günleri yüzme kursuna gidiyorum.
? Yüzme kurslarına hangi gün gidiyorum?
! Hangi kitabı okudum?
! Kaç lira ödedim?
# ar
ابنتي اسمها ليلى وتدرس في المدرسة الجديدة.
? في أي مدرسة تدرس ابنتي؟
أعاني من حساسية الفول السوداني.
? ما هي الحساسية التي أعاني منها؟
أسكن في مدينة الإسكندرية.
? في أي المدن أسكن؟
سيارتي حمراء اللون.
? ما لون السيارة؟
أخي يعمل مهندسا في دبي.
? أين يعمل الأخ المهندس؟
المفاتيح عند الجيران.
? أين مفاتيح البيت؟
طبيب الأسنان هو الدكتور حداد.
? من هو طبيب أسناني؟
! كم سعر التذكرة؟
! ماذا قال المحامي؟
# zh
我对花生过敏。
? 我有什么过敏？
? 我對什麼過敏？
我女儿在北京大学读书。
? 我女兒在哪裡讀書？
我的狗叫豆豆。
? 我的狗叫什么名字？
我们每个星期六去游泳。
? 我们什么时候去游泳？
备用钥匙放在门卫那里。
? 備用鑰匙放在哪裡？
妈妈的生日是四月三号。
? 妈妈几月几号生日？
我住在上海的静安区。
? 我住在上海哪个区？
! 我的车是什么颜色？
! 谁修了冰箱？
# ja
私の犬の名前はポチです。
? 犬の名前は何ですか？
娘は京都の大学に通っています。
? 娘はどこの大学に通っていますか？
えびのアレルギーがあります。
? 私は何のアレルギーがありますか？
毎週土曜日に水泳を習っている。
? いつ水泳を習いますか？
父は銀行で働いていました。
? 父はどこで働きましたか？
合鍵は隣の田中さんに預けた。
? 合鍵は誰に預けてありますか？
母の誕生日は四月三日だ。
? 母の誕生日はいつですか？
! 車の色は何ですか？
! 誰が冷蔵庫を直しましたか？
# ko
우리 강아지 이름은 초코예요.
? 강아지의 이름이 뭐예요?
저는 땅콩 알레르기가 있어요.
? 제가 무슨 알레르기를 가지고 있나요?
딸은 부산에 있는 대학교에 다녀요.
? 딸이 어느 대학교를 다니나요?
저는 매주 토요일에 수영을 배워요.
? 언제 수영을 배우나요?
아버지는 은행에서 일하셨어요.
? 아버지가 어디에서 일했나요?
예비 열쇠는 경비실에 맡겼습니다.
? 열쇠를 어디에 맡겼나요?
어머니 생신은 사월 삼일입니다.
? 어머니의 생신이 언제입니까?
! 제 차는 무슨 색인가요?
! 누가 냉장고를 고쳤나요?
`
