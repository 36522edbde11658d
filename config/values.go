package config

import (
	"fmt"
	"reflect"
)

// Values calls each for every setting that holds a text, with its path: secrets
// as well, for a scan that looks for what should not be there. value is lent for
// the call.
func (c *Config) Values(each func(path string, value []byte)) {
	values("", reflect.ValueOf(c).Elem(), each)
}

func values(path string, v reflect.Value, each func(path string, value []byte)) {
	if s, ok := reflect.TypeAssert[Secret](v); ok {
		s.Use(func(b []byte) { each(path, b) })
		return
	}
	switch v.Kind() {
	case reflect.String:
		each(path, []byte(v.String()))
	case reflect.Struct:
		for field, value := range v.Fields() {
			values(join(path, field.Tag.Get("yaml")), value, each)
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			values(join(path, fmt.Sprint(key)), v.MapIndex(key), each)
		}
	}
}
