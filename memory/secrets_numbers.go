package memory

import (
	"strings"
	"unicode/utf8"
)

// digitsOf are the digits of a text that stand in a row.
type digitsOf struct{ from, to int }

// maxGroups are in the number of a card that is written in groups, and maxCard is how
// many digits it has at most (ISO/IEC 7812-1).
const (
	maxGroups = 5
	maxCard   = 19
)

// withoutCards removes the numbers of payment cards, however their groups are parted.
func withoutCards(text string) string {
	var out strings.Builder
	kept := 0
	var row []digitsOf
	for at := 0; at < len(text); {
		if !isDigit(text[at]) {
			at++
			continue
		}
		row, at = digitsRow(row[:0], text, at)
		for i := 0; i < len(row); i++ {
			n := cardAt(text, row[i:])
			if n == 0 {
				continue
			}
			out.WriteString(text[kept:row[i].from])
			out.WriteString(removed)
			i += n - 1
			kept = row[i].to
		}
	}
	if kept == 0 {
		return text
	}
	out.WriteString(text[kept:])
	return out.String()
}

// digitsRow reads groups of digits with one or two signs between.
func digitsRow(row []digitsOf, text string, at int) ([]digitsOf, int) {
	for {
		from := at
		for at < len(text) && isDigit(text[at]) {
			at++
		}
		row = append(row, digitsOf{from, at})
		next := at
		for range 2 {
			r, n := utf8.DecodeRuneInString(text[next:])
			if !separates(r) {
				break
			}
			next += n
		}
		if next == at || next == len(text) || !isDigit(text[next]) {
			return row, at
		}
		at = next
	}
}

func separates(r rune) bool {
	return strings.ContainsRune(" .-/_\u00a0\u2009\u202f\u2010\u2011\u2013", r)
}

// cardAt says how many groups of a row are the number of a card.
func cardAt(text string, row []digitsOf) int {
	var number [maxCard]byte
	n := 0
	if row[0].from > 0 && isLetter(text[row[0].from-1]) {
		return 0
	}
	for i, g := range row[:min(len(row), maxGroups)] {
		if n+g.to-g.from > maxCard {
			return 0
		}
		n += copy(number[n:], text[g.from:g.to])
		if (g.to == len(text) || !isLetter(text[g.to])) && grouped(row[:i+1]) && issued(string(number[:n])) && luhn(string(number[:n])) {
			return i + 1
		}
	}
	return 0
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// grouped reports whether digits are parted as on a card: not at all, in fours, or as
// 4-6-5 and 4-6-4.
func grouped(row []digitsOf) bool {
	size := func(i int) int { return row[i].to - row[i].from }
	switch {
	case len(row) == 1:
		return true
	case size(0) != 4:
		return false
	case len(row) == 3 && size(1) == 6:
		return size(2) == 5 || size(2) == 4
	}
	for i := range row[:len(row)-1] {
		if size(i) != 4 {
			return false
		}
	}
	return size(len(row)-1) <= 4
}

// issued reports whether a number begins as those of an issuer do that are so long
// (Visa, Mastercard, American Express, Diners, JCB, Discover, UnionPay, Maestro).
func issued(number string) bool {
	n := len(number)
	if n < 14 {
		return false
	}
	switch first := number[:2]; {
	case number[0] == '4':
		return n == 16 || n == 19
	case first >= "51" && first <= "55", number[:4] >= "2221" && number[:4] <= "2720", first == "35":
		return n == 16
	case first == "34" || first == "37":
		return n == 15
	case first == "30" || first == "36" || first == "38" || first == "39":
		return n == 14 || n == 16
	case number[0] == '6', first == "50", first >= "56" && first <= "58":
		return n >= 16
	}
	return false
}

// luhn checks the last digit of a card's number (ISO/IEC 7812-1, annex B).
func luhn(number string) bool {
	sum, double := 0, false
	for i := len(number) - 1; i >= 0; i-- {
		if number[i] < '0' || number[i] > '9' {
			continue
		}
		d := int(number[i] - '0')
		if double {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
		double = !double
	}
	return sum%10 == 0
}
