package audit

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"

	"github.com/ownkey/ownkey/internal/spill"
)

// Findings are the findings of a kind, in memory or on disk.
type Findings[T any] struct{ sorter *spill.Sorter }

// Len is how many there are.
func (f Findings[T]) Len() int { return f.sorter.Len() }

func (f Findings[T]) add(key []byte, finding *T) error {
	value, err := json.Marshal(finding)
	if err != nil {
		return err
	}
	return f.sorter.Add(key, value)
}

var errEnough = errors.New("enough")

// First gives the first n.
func (f Findings[T]) First(n int) (all []T, err error) {
	if n = min(n, f.Len()); n == 0 {
		return nil, nil
	}
	err = f.sorter.Each(func(_, value []byte) error {
		return decoded(value, func(finding *T) error {
			if all = append(all, *finding); len(all) == n {
				return errEnough
			}
			return nil
		})
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return all, err
}

// writeJSON writes all of them as a list.
func (f Findings[T]) writeJSON(w *bufio.Writer) error {
	_ = w.WriteByte('[') // Flush has the error, here and below
	separator := ""
	err := f.sorter.Each(func(_, value []byte) error {
		_, _ = w.WriteString(separator)
		_, err := w.Write(value)
		separator = ","
		return err
	})
	_ = w.WriteByte(']')
	return err
}

// WriteJSON writes the report with all findings, as one object on a line.
func (r *Report) WriteJSON(to io.Writer) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(to)
	_, _ = w.Write(b[:len(b)-1])
	_, _ = w.WriteString(`,"requests_without_unseal":`)
	err = r.WithoutUnseal.writeJSON(w)
	_, _ = w.WriteString(`,"foreign_unseals":`)
	err = errors.Join(err, r.Foreign.writeJSON(w))
	_, _ = w.WriteString("}\n")
	return errors.Join(err, w.Flush())
}
