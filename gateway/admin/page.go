package admin

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
)

// maxPage is how many items one answer has at most, and without a limit.
const maxPage = 1000

// page is the part of a list that a call asks for: up to limit items after
// cursor, which is the id of the last item of the page before.
type page struct {
	limit  int
	cursor string
}

func pageOf(q url.Values) (p page, err error) {
	p = page{limit: maxPage, cursor: q.Get("cursor")}
	if text := q.Get("limit"); text != "" {
		if p.limit, err = strconv.Atoi(text); err != nil || p.limit < 1 || p.limit > maxPage {
			return p, &failure{http.StatusBadRequest, "invalid_request", "limit", "limit: want a number from 1 to " + strconv.Itoa(maxPage)}
		}
	}
	return p, nil
}

// cut gives the page of a list that is ordered by id, and the cursor of the
// next one; empty when there is none.
func cut[T any](p page, all []T, id func(T) string) (items []T, next string) {
	from := 0
	if p.cursor != "" {
		at, found := slices.BinarySearchFunc(all, p.cursor, func(item T, cursor string) int { return cmp.Compare(id(item), cursor) })
		if from = at; found {
			from++
		}
	}
	items = all[from:]
	if len(items) > p.limit {
		items = items[:p.limit]
		next = id(items[len(items)-1])
	}
	return items, next
}
