package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
)

// list prints a list of the admin plane's, all pages of it; most bounds its
// items unless it is 0.
func list[T any](f *AdminFlags, path, name string, most int, header string, row func(*T) []string) error {
	if f.JSON {
		all := []json.RawMessage{}
		if err := items(f, path, name, most, func(item *json.RawMessage) { all = append(all, *item) }); err != nil {
			return err
		}
		return json.NewEncoder(stdout).Encode(map[string]any{name: all})
	}
	var rows [][]string
	if err := items(f, path, name, most, func(item *T) { rows = append(rows, row(item)) }); err != nil {
		return err
	}
	return table(header, rows)
}

// items calls each for the items of a list, page by page; most bounds them
// unless it is 0.
func items[T any](f *AdminFlags, path, name string, most int, each func(*T)) error {
	const page = 1000 // the most that the admin plane gives
	for cursor, n := "", 0; ; {
		limit := page
		if most > 0 {
			limit = min(page, most-n)
		}
		answer, err := f.exchange("GET", path+"?"+url.Values{"limit": {strconv.Itoa(limit)}, "cursor": {cursor}}.Encode(), nil)
		if err != nil {
			return err
		}
		var next struct {
			Next string `json:"next"`
		}
		var lists map[string]json.RawMessage
		var all []T
		if err := errors.Join(json.Unmarshal(answer, &next), json.Unmarshal(answer, &lists), json.Unmarshal(lists[name], &all)); err != nil {
			return fmt.Errorf("cannot read the admin plane's answer: %w", err)
		}
		for i := range all {
			each(&all[i])
		}
		n += len(all)
		if cursor = next.Next; cursor == "" || n == most {
			return nil
		}
	}
}
