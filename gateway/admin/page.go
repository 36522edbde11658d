package admin

import (
	"net/http"
	"net/url"
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

// cut cuts what is behind the page off a list that begins with it.
func cut[T any](p page, list []T) (items []T, more bool) {
	return list[:min(p.limit, len(list))], len(list) > p.limit
}
