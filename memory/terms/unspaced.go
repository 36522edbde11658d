package terms

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// unspaced reports whether a character belongs to a script that does not part its
// words, or to Korean, whose particles stick to words.
func unspaced(r rune) bool {
	return r >= 0x0e00 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Thai) || r == 'ー'
}

// appendUnspaced appends the pairs of neighbours of a text without spaces, between the
// words that say nothing. Where there is kana, it is Japanese.
func appendUnspaced(dst []string, text string) []string {
	first, _ := utf8.DecodeRuneInString(text)
	if unicode.Is(unicode.Hangul, first) {
		return appendKorean(dst, text)
	}
	japanese := strings.ContainsFunc(text, kana)
	start := 0
	for i := 0; i < len(text); {
		n := 0
		r, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case !japanese:
			n = longest(chineseFillers[r], text[i:])
		case unicode.Is(unicode.Hiragana, r) || japaneseFillers[r] != nil:
			n = longest(japaneseFillers[r], text[i:])
		}
		if n == 0 {
			if japanese && i > start && borders(text[start:i], r) {
				dst = appendPairs(dst, text[start:i])
				start = i
			}
			i += size
			continue
		}
		dst = appendPairs(dst, text[start:i])
		i += n
		start = i
	}
	return appendPairs(dst, text[start:])
}

func kana(r rune) bool { return unicode.In(r, unicode.Hiragana, unicode.Katakana) }

// borders reports whether a word ends where another Japanese script begins: what
// follows a stem in hiragana is its ending.
func borders(before string, r rune) bool {
	last, _ := utf8.DecodeLastRuneInString(before)
	return scriptOf(last) != scriptOf(r)
}

func scriptOf(r rune) int {
	switch {
	case unicode.Is(unicode.Hiragana, r):
		return 1
	case unicode.Is(unicode.Katakana, r), r == 'ー':
		return 2
	}
	return 3
}

// longest is the length of the longest of some words with which a text begins.
func longest(words []string, text string) (n int) {
	for _, w := range words {
		if len(w) > n && strings.HasPrefix(text, w) {
			n = len(w)
		}
	}
	return n
}

// appendPairs appends each pair of neighbours, in simplified characters; a single
// character stands for itself, if it is not a rest of hiragana.
func appendPairs(dst []string, text string) []string {
	if text == "" {
		return dst
	}
	text = simplify(text)
	last := -1
	for i, r := range text {
		if last >= 0 {
			dst = append(dst, text[last:i+utf8.RuneLen(r)])
		}
		last = i
	}
	if r, _ := utf8.DecodeRuneInString(text); last == 0 && !unicode.Is(unicode.Hiragana, r) && r != 'ー' {
		dst = append(dst, text)
	}
	return dst
}

func simplify(text string) string {
	for _, r := range text {
		if _, ok := simplified[r]; ok {
			return strings.Map(func(r rune) rune {
				if to, ok := simplified[r]; ok {
					return to
				}
				return r
			}, text)
		}
	}
	return text
}

// byFirst are words by their first characters.
func byFirst(words string) map[rune][]string {
	all := map[rune][]string{}
	for w := range strings.FieldsSeq(words) {
		r, _ := utf8.DecodeRuneInString(w)
		all[r] = append(all[r], w)
	}
	return all
}

// chineseFillers are words of questions, pronouns and particles, in both scripts.
var chineseFillers = byFirst(`
	我 我们 我們 我的 你 你们 你們 您 他 她 它 他们 他們 她们 她們 咱们 自己 的 地 得 了 着 著 过吗 吗 嗎 呢 吧 啊 呀 嘛 是 在 有 和 与 與 跟 及 或 也 都 就 还 還 又 很 最 把 被 从 從 给 給 为 為 对于 关于
	什么 什麼 甚麼 谁 誰 哪 哪里 哪裡 哪裏 哪儿 哪兒 哪个 哪個 哪些 哪天 哪家 哪种 哪種 哪年 怎么 怎麼 怎样 怎樣 怎么样 怎麼樣 为什么 為什麼 为何 為何 多少 几 幾 几个 幾個 几点 幾點 几号 幾號 几月 幾月 什么时候 什麼時候 何时 何時 多久 多大 多长
	这 這 那 这个 這個 那个 那個 这里 這裡 那里 那裡 这些 那些 请问 請問 请 請 告诉 告訴 一个 一個 现在 現在 可以 能 会 會 要 想 应该 不 没 沒 没有 沒有 吗？ 叫什么 叫什麼 是谁 是誰 对 對`)

// japaneseFillers are particles, endings, and words of questions.
var japaneseFillers = byFirst(`
	は が を に へ と で の も や か ね よ ぞ さ な から まで より など だけ しか ほど でも には では とは へは にも でしょう だ だった です でした でしょうか ですか ます ました ません ましょう ますか ましたか
	て た ている ています ていた ていました てある てあります て います いる いた いました ある あります ありました あった ない なかった する します しました して した している しています される れる られる れた られた せる させる たい ため という といい といいます って
	る り い う く き け え っ み め ん ば む ぶ つ す し そ れ ら こ せ
	これ それ あれ この その あの ここ そこ あそこ どこ だれ どれ どの どんな どちら どう なぜ なに なん いつ いくつ いくら どうして どのくらい どれくらい もの こと とき よう そう です か わたし ぼく あなた
	私 私の 僕 僕の 俺 何 何時 何曜日 何年 何月 何日 何人 何歳 何色 誰 彼 彼女 あります 教えて ください 下さい`)

// appendKorean appends the pairs of a Korean word without its particles and endings.
func appendKorean(dst []string, word string) []string {
	for range 3 { // one may follow another, as in 에서는
		if koreanFillers[word] {
			return dst
		}
		n := ending(word)
		if n == 0 {
			break
		}
		word = word[:len(word)-n]
	}
	if koreanFillers[word] {
		return dst
	}
	return appendPairs(dst, word)
}

// ending is how many bytes of a Korean word are its ending; at least one syllable
// stays.
func ending(word string) (n int) {
	last, _ := utf8.DecodeLastRuneInString(word)
	for _, e := range koreanEndings[last] {
		if len(e) > n && len(e) < len(word) && strings.HasSuffix(word, e) {
			n = len(e)
		}
	}
	return n
}

var koreanEndings = func() map[rune][]string {
	all := map[rune][]string{}
	for w := range strings.FieldsSeq(`
		은 는 이 가 을 를 에 에서 에게 에게서 에는 에도 의 로 으로 와 과 도 만 까지 부터 마다 한테 께 께서 이나 나 랑 이랑 하고 보다 처럼
		입니다 입니까 이에요 예요 이었어요 였어요 이야 야 이다 다 이고 인 인가요 인가 이니 니 이라고 라고 이라는 라는
		요 어요 아요 여요 해요 했어요 하나요 했나요 하셨어요 하셨나요 합니다 했습니다 합니까 하고 하는 하다 한 할 해 했던 했다 한다 습니다 었습니다 았습니다 습니까 었어요 았어요 었나요 았나요 나요 까요 을까요 고 고있어요 지 지요 죠 던 면 어서 아서 러 려고
		셨어요 셨나요 세요 으세요 시나요 네 네요 군요 는데 은데 들 들이 들은 들을 들의`) {
		last, _ := utf8.DecodeLastRuneInString(w)
		all[last] = append(all[last], w)
	}
	return all
}()

// koreanFillers are words of questions, pronouns, and verbs that stand in any text.
var koreanFillers = func() map[string]bool {
	set := map[string]bool{}
	for w := range strings.FieldsSeq(`
		무엇 무엇을 뭐 뭘 누구 누가 어디 어디서 언제 왜 어떻게 얼마 얼마나 몇 무슨 어느 어떤 어때 저 제 제가 나 내 내가 우리 저희 너 네 당신 그 그녀 이 이것 그것 저것 것 거 수 때 좀 잘 더 또 및 그리고
		있 있다 있는 있어 있나 있습니 있었 없 없다 없는 되 된 하 한 했 하는 해 입니 예 지금 이름이뭐 가지고 가지 매 중 등`) {
		set[w] = true
	}
	return set
}()
