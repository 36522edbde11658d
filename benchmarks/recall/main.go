package main

import (
	"fmt"
	"os"

	"github.com/ownkey/ownkey/memory/index"
)

func main() {
	all, err := readLoCoMo(os.Args[1])
	if err != nil {
		panic(err)
	}
	w := &index.Default
	var ms []measured
	for _, c := range all {
		x := index.New(w)
		for _, t := range c.turns {
			x.Add(&index.Document{Text: t.text, Speaker: t.speaker, Session: t.session, Day: t.day})
		}
		for i := range c.questions {
			q := &c.questions[i]
			f := x.Search(q.text, 50, func(int) bool { return true })
			var ids []string
			for _, h := range f.Hits {
				ids = append(ids, c.turns[h.Doc].id)
			}
			ms = append(ms, measure(q, ids))
		}
	}
	fmt.Printf("all %+v\n", mean(ms, func(int) bool { return true }))
	fmt.Printf("1-4 %+v\n", mean(ms, func(c int) bool { return c < 5 }))
	for k := 1; k <= 5; k++ {
		fmt.Printf("%d %+v\n", k, mean(ms, func(c int) bool { return c == k }))
	}
}
