package report

import (
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"farshore/agent/record"
	"farshore/agent/record/jsontext"
)

// envelopeRoom is more than what the other two lines of a signed object take.
const envelopeRoom = 1024

// EncodeHeaderDrill writes the report's body as one line of JSON without a line feed, or says why no reader would take it.
func EncodeHeaderDrill(d *HeaderDrill) ([]byte, error) { return Encode(d) }

// Encode writes a body as one line of JSON without a line feed, or says why no reader would take it: the same value gives the same bytes. It sets an empty Type, and changes
// nothing else.
func Encode(b Body) ([]byte, error) {
	c := b.common()
	if *c.typ == "" {
		*c.typ = c.kind
	}
	if err := checkBody(b); err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	out := shapes{}.appendValue(nil, reflect.ValueOf(b).Elem())
	if len(out) > MaxSize-envelopeRoom {
		return nil, fmt.Errorf("report: %d bytes are more than a reader takes", len(out))
	}
	return out, nil
}

// checkBody refuses what can't be written, and what no run can have come to.
func checkBody(b Body) error {
	if err := b.common().check(); err != nil {
		return err
	}
	if err := (shapes{}).sound(reflect.ValueOf(b).Elem(), member{}); err != nil {
		return err
	}
	return b.check()
}

// sound holds a value to what the member may be: no type of body has other rules for it. Errors begin with where it stands.
func (s shapes) sound(v reflect.Value, m member) error {
	switch x := v.Interface().(type) {
	case time.Time:
		if !isTime(x) && !(m.optional && x.IsZero()) {
			return fmt.Errorf("%s is no time between the years 1 and 9999", m.name)
		}
		return nil
	case record.Hash:
		if x.IsZero() {
			return fmt.Errorf("%s is missing", m.name)
		}
		return nil
	case string:
		if len(x) > most(m.name) || !utf8.ValidString(x) {
			return fmt.Errorf("%s has more than %d bytes, or is not UTF-8", m.name, most(m.name))
		}
		return nil
	case int64:
		if x < m.least || x >= 1<<53 {
			return fmt.Errorf("%s is %d, and not from %d to 2^53-1", m.name, x, m.least)
		}
		return nil
	case float64:
		if math.IsNaN(x) || x < 0 || x > 1e15 {
			return fmt.Errorf("%s is not a number from 0 to 10^15", m.name)
		}
		return nil
	}
	return s.soundWhole(v, m)
}

// soundWhole is sound for what consists of others.
func (s shapes) soundWhole(v reflect.Value, m member) error {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return s.sound(v.Elem(), m)
	case reflect.Slice:
		if v.Len() > most(m.name) {
			return fmt.Errorf("%s has more than %d elements", m.name, most(m.name))
		}
		for i := range v.Len() {
			if err := s.sound(v.Index(i), element(m, v.Type())); err != nil {
				return fmt.Errorf("%s[%d]: %w", m.name, i, err)
			}
		}
	case reflect.Struct:
		for _, f := range s.of(v.Type()) {
			if err := s.sound(v.Field(f.index), f); err != nil {
				if v.Field(f.index).Kind() == reflect.Struct && f.name != "" && v.Field(f.index).Type() != reflect.TypeFor[time.Time]() {
					return fmt.Errorf("%s: %w", f.name, err)
				}
				return err
			}
		}
	case reflect.Map:
		if v.Len() > most(m.name) {
			return fmt.Errorf("%s has more than %d members", m.name, most(m.name))
		}
		for _, k := range v.MapKeys() {
			if !isName(k.String()) || s.sound(v.MapIndex(k), member{}) != nil {
				return fmt.Errorf("%s: %.40q is no member", m.name, k.String())
			}
		}
	}
	return nil
}

// element is what the elements of a list may be: a list in it has no name of its own, and is as long as the list of heads at most.
func element(m member, list reflect.Type) member {
	if list.Elem().Kind() == reflect.Slice {
		return member{name: "heads"}
	}
	return member{least: m.least}
}

// isName reports whether s may be the name of a member.
func isName(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
}

// appendValue writes a value that is sound.
func (s shapes) appendValue(dst []byte, v reflect.Value) []byte {
	switch x := v.Interface().(type) {
	case time.Time:
		return jsontext.AppendString(dst, record.FormatTime(x))
	case record.Hash:
		return jsontext.AppendString(dst, x.String())
	}
	switch v.Kind() {
	case reflect.Pointer:
		return s.appendValue(dst, v.Elem())
	case reflect.String:
		return jsontext.AppendString(dst, v.String())
	case reflect.Int64:
		return strconv.AppendInt(dst, v.Int(), 10)
	case reflect.Float64:
		return strconv.AppendFloat(dst, v.Float(), 'f', -1, 64)
	case reflect.Bool:
		return strconv.AppendBool(dst, v.Bool())
	case reflect.Slice:
		return s.appendList(dst, v)
	case reflect.Map:
		return appendMap(dst, v.Interface().(map[string]string))
	}
	return s.appendStruct(dst, v)
}

func (s shapes) appendList(dst []byte, v reflect.Value) []byte {
	dst = append(dst, '[')
	for i := range v.Len() {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = s.appendValue(dst, v.Index(i))
	}
	return append(dst, ']')
}

func appendMap(dst []byte, m map[string]string) []byte {
	dst = append(dst, '{')
	for _, k := range slices.Sorted(maps.Keys(m)) {
		dst = jsontext.AppendString(appendKey(dst, k), m[k])
	}
	return append(dst, '}')
}

func (s shapes) appendStruct(dst []byte, v reflect.Value) []byte {
	dst = append(dst, '{')
	for _, m := range s.of(v.Type()) {
		if f := v.Field(m.index); !m.optional || !isEmpty(f) {
			dst = s.appendValue(appendKey(dst, m.name), f)
		}
	}
	return append(dst, '}')
}

func appendKey(dst []byte, key string) []byte {
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	return append(append(append(dst, '"'), key...), '"', ':')
}

// isEmpty reports whether an optional member is left out.
func isEmpty(v reflect.Value) bool {
	if t, ok := v.Interface().(time.Time); ok {
		return t.IsZero()
	}
	switch v.Kind() {
	case reflect.Slice, reflect.Map:
		return v.Len() == 0
	}
	return v.IsZero()
}

// cut makes a text fit a report.
func cut(s string) string { return cutTo(s, MaxText) }

// cutTo makes a text UTF-8 of at most so many bytes, on one line.
func cutTo(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' {
			return '?' // it would take six bytes, and nobody can read it
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most-len("…")], "") + "…"
	}
	return s
}
