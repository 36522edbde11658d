package wire

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// What prints a text prints neither it nor what is spliced into it, with any
// verb: also those that are wrong for it, and in fields whose methods fmt can
// not call.
func TestTextDoesNotPrint(t *testing.T) {
	tx := text("secret prompt")
	type hiding struct{ t Text }
	body := NewBody(tx, Edit{With: []byte("secret memory")})
	values := []any{tx, &tx, struct{ T Text }{tx}, hiding{tx}, &hiding{tx}, []Text{tx}, map[string]Text{"t": tx}, body, &body}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%c", "%U", "%o", "%p", "%t", "%e", "%z"} {
		for _, v := range values {
			out := strings.ToLower(fmt.Sprintf(verb, v))
			for _, leak := range []string{"secret", "736563", "115 101 99", "u+0073 u+0065", "163 145", "0x73, 0x65", "'s' 'e'", "s e c"} {
				if strings.Contains(out, leak) {
					t.Errorf("%s of %T prints %s", verb, v, out)
				}
			}
		}
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(verb, tx); got != masked {
			t.Errorf("%s prints %s", verb, got)
		}
	}
	j, err := json.Marshal(map[string]any{"p": &tx, "t": tx})
	if err != nil || string(j) != `{"p":"[text]","t":"[text]"}` {
		t.Errorf("got %s, %v", j, err)
	}
}

func TestTextOfNothing(t *testing.T) {
	for _, tx := range []Text{{}, NewText(nil), text("")} {
		if tx.Len() != 0 || len(tx.Reveal()) != 0 || tx.String() != masked {
			t.Errorf("got %d bytes, %s", tx.Len(), tx)
		}
	}
}
