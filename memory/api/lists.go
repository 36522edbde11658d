package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"

	"github.com/ownkey/ownkey/memory"
)

// Lists of a body are read no further than they may be long: an element that is
// empty takes a byte or two there, and a hundred times as much when it was read.
type (
	memoryList []newMemory
	factList   []string
	bucketList []string
)

// UnmarshalJSON reads at most [memory.MaxBatch] memories.
func (l *memoryList) UnmarshalJSON(raw []byte) (err error) {
	*l, err = readList[newMemory](raw, "memories", memory.MaxBatch)
	return err
}

// UnmarshalJSON reads at most [memory.MaxFacts] facts.
func (l *factList) UnmarshalJSON(raw []byte) (err error) {
	*l, err = readList[string](raw, "facts", memory.MaxFacts)
	return err
}

// UnmarshalJSON reads at most as many names as a query may have.
func (l *bucketList) UnmarshalJSON(raw []byte) (err error) {
	*l, err = readList[string](raw, "buckets", maxBuckets)
	return err
}

// readList reads a list without members that are not known; null is none.
func readList[T any](raw []byte, field string, most int) ([]T, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	switch first, err := d.Token(); {
	case err == nil && first == nil:
		return nil, nil
	case err != nil || first != json.Delim('['):
		return nil, &memory.InvalidError{Field: field, Reason: "must be a list"}
	}
	all := []T{}
	for d.More() {
		if len(all) == most {
			return nil, &memory.InvalidError{Field: field, Reason: "must not be more than " + strconv.Itoa(most)}
		}
		var one T
		if err := d.Decode(&one); err != nil {
			return nil, inElement(field+"["+strconv.Itoa(len(all))+"]", err)
		}
		all = append(all, one)
	}
	return all, nil
}

// inElement says of an error in an element of a list where it stands.
func inElement(element string, err error) error {
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) && kind.Field == "" {
		return &memory.InvalidError{Field: element, Reason: "must be a " + kindName(kind.Type.Kind().String())}
	}
	wrong := badBody(err)
	var invalid *memory.InvalidError
	if errors.As(wrong, &invalid) && invalid.Field != "body" {
		return &memory.InvalidError{Field: element + "." + invalid.Field, Reason: invalid.Reason}
	}
	return wrong
}
