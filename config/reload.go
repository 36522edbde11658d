package config

import (
	"maps"
	"reflect"
	"slices"
)

// Difference is what a changed configuration changes: the paths of keys, such as
// providers.groq.base_url.
type Difference struct {
	// Applied take effect by a reload, Waiting with the next start.
	Applied, Waiting []string
}

// Merge gives the configuration that counts after a reload: next's values of the
// keys whose fields say reload:"yes", running's of all others. Both are valid
// and stay as they are. The error is Problems: the two do not fit together, such
// as a limit that next raises beyond another that waits for a restart.
func Merge(running, next *Config) (*Config, Difference, error) {
	merged, d := *running, Difference{}
	merge("", reflect.ValueOf(running).Elem(), reflect.ValueOf(next).Elem(), reflect.ValueOf(&merged).Elem(), false, &d)
	check := &decoder{file: "beside what waits for a restart", lines: map[string]int{}}
	if check.validate(&merged); len(check.problems) > 0 {
		return nil, d, check.problems
	}
	return &merged, d, nil
}

// merge takes next's value of each field that a reload applies over into to.
func merge(path string, running, next, to reflect.Value, applied bool, d *Difference) {
	for i := range running.NumField() {
		field := running.Type().Field(i)
		at, applied := join(path, field.Tag.Get("yaml")), applied || reloaded(&field)
		was, will := running.Field(i), next.Field(i)
		if isSection(field.Type) {
			merge(at, was, will, to.Field(i), applied, d)
			continue
		}
		changed := differences(at, was, will)
		switch {
		case len(changed) == 0:
		case applied:
			to.Field(i).Set(will)
			d.Applied = append(d.Applied, changed...)
		default:
			d.Waiting = append(d.Waiting, changed...)
		}
	}
}

// reloaded reports whether a reload applies a field and all below it.
func reloaded(field *reflect.StructField) bool { return field.Tag.Get("reload") == "yes" }

// isSection reports whether a type is a mapping of keys that are known.
func isSection(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t != reflect.TypeFor[Secret]()
}

// differences lists the paths at which two values differ.
func differences(path string, a, b reflect.Value) (all []string) {
	switch {
	case a.Kind() == reflect.Map:
		names := map[string]bool{}
		for _, m := range []reflect.Value{a, b} {
			for _, key := range m.MapKeys() {
				names[key.String()] = true
			}
		}
		for _, name := range slices.Sorted(maps.Keys(names)) {
			was, will := a.MapIndex(reflect.ValueOf(name)), b.MapIndex(reflect.ValueOf(name))
			if at := join(path, name); was.IsValid() && will.IsValid() {
				all = append(all, differences(at, was, will)...)
			} else {
				all = append(all, at)
			}
		}
	case isSection(a.Type()):
		for field, was := range a.Fields() {
			all = append(all, differences(join(path, field.Tag.Get("yaml")), was, b.FieldByIndex(field.Index))...)
		}
	case a.Kind() == reflect.Slice && a.Len() == 0 && b.Len() == 0: // missing or empty
	case !reflect.DeepEqual(a.Interface(), b.Interface()):
		all = append(all, path)
	}
	return all
}
