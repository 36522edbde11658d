package terms

import (
	"slices"
	"strings"
	"testing"
)

// TestFormsMeet: a word of a question meets another form, or another spelling, of the
// same word in a memory. Each pair has one word in common.
func TestFormsMeet(t *testing.T) {
	for _, pair := range [][2]string{
		{"Meine Katze schläft im Garten.", "Wo sind die Katzen?"},
		{"Wir wohnen in München.", "Wer wohnte in Muenchen?"},
		{"Wir fahren auf der Hauptstraße.", "Wo ist die HAUPTSTRASSE?"},
		{"Der Müller kommt.", "Wo ist der Muller?"},
		{"Ma sœur est infirmière.", "Qui est une soeur ?"},
		{"Elle habite à Lyon.", "Où est-ce que tu habites ?"},
		{"Las llaves están aquí.", "¿Dónde está la llave?"},
		{"Estudio alemán.", "¿Quién estudia?"},
		{"Le mie scarpe sono rosse.", "Di chi è la scarpa?"},
		{"Os meus filhos estão na escola.", "Quem é o filho?"},
		{"Mijn broers werken in de haven.", "Waar is je broer?"},
		{"Kedimin adı Pamuk.", "Kediler nerede?"},
		{"Evim ISPARTA'da, çok güzel.", "Isparta nerede?"},
		{"Моя собака боится грозы.", "Где мои собаки?"},
		{"Я люблю мёд.", "Где мед?"},
		{"المدرسة الجديدة", "أين مدرسة؟"},
		{"我对花生过敏。", "我對什麼過敏？"},
		{"備用鑰匙放在門衛那裡。", "备用的钥匙在哪里？"},
		{"父は銀行で働いていました。", "父はどこで働きますか？"},
		{"ｶﾀｶﾅのアレルギー", "カタカナは何ですか？"},
		{"딸은 대학교에 다녀요.", "대학교를 어디에서 다니나요?"},
		{"She is in Zürich, and it is hers.", "Who is in Zurich?"},
		{"I went to Rome.", "Where does she go?"},
		{"My teeth hurt.", "Which tooth?"},
		{"Ｆｕｌｌ ｗｉｄｔｈ", "What is the width?"},
		{"the cafe\u0301", "the café of Ada"},
	} {
		memory, question := Append(nil, pair[0]), Append(nil, pair[1])
		if !slices.ContainsFunc(question, func(w string) bool { return slices.Contains(memory, w) }) {
			t.Errorf("%q has %q, and %q has %q", pair[0], memory, pair[1], question)
		}
	}
}

// TestQuestionsSayNothing: of what only asks, no term is left.
func TestQuestionsSayNothing(t *testing.T) {
	for _, text := range []string{
		"What is it?", "Wo ist das?", "Was war das denn?", "Où est-ce que c'est ?", "Qu'est-ce que c'est ?", "¿Dónde está?", "¿Qué es eso?", "Dov'è?", "Che cos'è questo?",
		"O que é isso?", "Onde está?", "Waar is dat?", "Bu ne?", "O nerede?", "Что это такое?", "Где он?", "ما هذا؟", "أين هو؟", "这是什么？", "這是什麼？", "在哪里？", "何ですか？", "どこですか？", "뭐예요?", "어디에 있어요?",
	} {
		if got := Append(nil, text); len(got) > 0 {
			t.Errorf("%q gives %q", text, got)
		}
	}
}

func TestLanguageOf(t *testing.T) {
	for text, want := range map[string]language{
		"": english, "Momo": english, "INV-2041 404": english, "The house of Ada van der Berg is on the hill, and the garden behind it, too.": english, "Ada L. and J. S. Bach": english,
		"Das Haus meiner Schwester": german, "Frühstück": german, "La maison de ma sœur": french, "¿Momo?": spanish, "La casa de mi hermana": spanish, "La casa di mia sorella": italian,
		"A casa da minha irmã": portuguese, "Het huis van mijn zus": dutch, "Kız kardeşimin evi": turkish, "Дом моей сестры": english, "das 家": german,
	} {
		if got := languageOf(text); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}

// TestFoldedIsStable: what is folded once stays, so a term of a term is the same.
func TestFoldedIsStable(t *testing.T) {
	for word, want := range map[string]string{
		"naïve": "naive", "straße": "strasse", "łódź": "lodz", "ёж": "еж", "йод": "йод", "smørrebrød": "smorrebrod", "ıi̇": "ii", "हिन्दी": "हिन्दी", "ไทย": "ไทย", "ὀξύς": "οξυς", "\u0301": "\u0301",
	} {
		got := folded(word)
		if got != want || folded(got) != got {
			t.Errorf("%q becomes %q, and then %q", word, got, folded(got))
		}
	}
	for word, want := range map[string]string{"muenchen": "münchen", "neue": "neue", "quelle": "quelle", "oefen": "öfen", "haus": "haus"} {
		if got := umlauts(word); got != want {
			t.Errorf("%q: %q", word, got)
		}
	}
}

// TestTables: what is embedded was read, and leads nowhere again.
func TestTables(t *testing.T) {
	if len(irregular) < 3000 || len(simplified) < 3000 {
		t.Fatalf("%d irregular forms, %d traditional characters", len(irregular), len(simplified))
	}
	for from, to := range simplified {
		if again, ok := simplified[to]; ok && again != to {
			t.Errorf("%c becomes %c, and that %c", from, to, again)
		}
	}
	if irregular["went"] != "go" || simplified['過'] != '过' {
		t.Errorf("%q, %q", irregular["went"], simplified['過'])
	}
}

// TestLightInLanguages: words that stand in any text, as they are asked with.
func TestLightInLanguages(t *testing.T) {
	for _, text := range []string{"Wie heißt ihr?", "¿Cómo se llaman?", "Come si chiamano?", "Как их зовут?", "What is her name?", "它叫什么名字？"} {
		words := Append(nil, text)
		if len(words) == 0 {
			t.Errorf("%q has no words", text)
		}
		for _, w := range words {
			if !Light(w) {
				t.Errorf("%q has %q", text, w)
			}
		}
	}
	if Light(Append(nil, "die Katze meiner Schwester")[0]) {
		t.Error("a cat is no light word")
	}
}

// BenchmarkAppend reads a text as a bucket that is loaded does, and a question.
func BenchmarkAppend(b *testing.B) {
	for name, text := range map[string]string{
		"English":  "Ada has been keeping bees in the garden behind the house since last summer, and she sells the honey on Saturdays.",
		"German":   "Meine Schwester hält seit dem letzten Sommer Bienen im Garten hinter dem Haus und verkauft samstags den Honig.",
		"Russian":  "Моя сестра с прошлого лета держит пчёл в саду за домом и по субботам продаёт мёд соседям.",
		"Chinese":  "我姐姐从去年夏天开始在屋后的花园里养蜜蜂，每个星期六都去卖蜂蜜。",
		"Japanese": "姉は去年の夏から家の裏の庭でミツバチを飼っていて、土曜日に蜂蜜を売っています。",
		"Korean":   "언니는 지난 여름부터 집 뒤 정원에서 꿀벌을 키우고 토요일마다 꿀을 팔아요.",
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			var dst []string
			stems := Stems{}
			for range b.N {
				dst = stems.Append(dst[:0], text)
			}
		})
	}
	b.Run("question", func(b *testing.B) {
		var dst []string
		for range b.N {
			dst = Append(dst[:0], "When did my sister start to keep bees?")
		}
	})
}

// TestStemsRemember: with a memory of stems and without, terms are the same, and of two
// languages each has its own.
func TestStemsRemember(t *testing.T) {
	stems := Stems{}
	for range 2 {
		for _, text := range []string{"The actual handy animals", "Die aktuellen Handys der Schwestern", "Las animales y las hermanas", "Собаки и кошки"} {
			if got, want := stems.Append(nil, text), Append(nil, text); !slices.Equal(got, want) {
				t.Errorf("%q: %q, without %q", text, got, want)
			}
		}
	}
	if n := len(strings.Join(Append(nil, strings.Repeat("ä", 5000)), "")); n > maxTermBytes {
		t.Errorf("a term of %d bytes", n)
	}
}
