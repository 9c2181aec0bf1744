package report

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"farshore/agent/record"
	"farshore/agent/record/jsontext"
)

// opening is what the bodies of reports of every type have, those of later versions too.
type opening struct {
	Type string       `json:"type"`
	Prev *record.Hash `json:"prev,omitempty"`
	Time time.Time    `json:"time"`
}

// decodeOpening reads it, and skips the rest.
func decodeOpening(data []byte) (opening, error) {
	var o opening
	err := decode(data, &o, true)
	if err == nil && !isTime(o.Time) {
		err = errors.New("report: time is none between the years 1 and 9999")
	}
	return o, err
}

// DecodeHeaderDrill reads a header drill's body and checks each of its members. It does not check signatures.
func DecodeHeaderDrill(data []byte) (*HeaderDrill, error) { return decodeAs(data, new(HeaderDrill)) }

// DecodeCommitment reads a commitment's body and checks each of its members. It does not check signatures.
func DecodeCommitment(data []byte) (*Commitment, error) { return decodeAs(data, new(Commitment)) }

// DecodeAudit reads an audit's body, checks each of its members, and that they say nothing that contradicts the others. It does not check signatures, nor whether the
// seed is that of the commitment.
func DecodeAudit(data []byte) (*Audit, error) { return decodeAs(data, new(Audit)) }

func decodeAs[T any, B interface {
	*T
	Body
}](data []byte, b B) (B, error) {
	if err := decodeBody(data, b); err != nil {
		return nil, err
	}
	return b, nil
}

// decodeBody reads a body of b's type.
func decodeBody(data []byte, b Body) error {
	_, drill := b.(*HeaderDrill)
	err := decode(data, b, drill)
	if err != nil {
		return err
	}
	if err := checkBody(b); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}

// decode fills the struct that dst points to. Names match exactly; one that is given twice is refused anywhere, an unknown one skipped, and null is no value of anything.
func decode(data []byte, dst any, loose bool) error {
	err := errors.New("has more bytes than a report may have")
	if len(data) <= MaxSize {
		err = jsontext.Check(data)
	}
	if err == nil {
		r := &reader{cursor: cursor{data: data, loose: loose}, types: shapes{}}
		err = r.structure(reflect.ValueOf(dst).Elem())
	}
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}

// reader fills values from a cursor.
type reader struct {
	cursor
	types shapes
}

func (r *reader) structure(v reflect.Value) error {
	members := r.types.of(v.Type())
	var seen uint64 // by the index of the member
	err := r.object(func(name string) error {
		for i := range members {
			if members[i].name == name {
				seen |= 1 << i
				return r.value(v.Field(members[i].index), name)
			}
		}
		return r.skip()
	})
	for i := range members {
		if err == nil && !members[i].optional && seen&(1<<i) == 0 {
			err = fmt.Errorf("member %s is missing", members[i].name)
		}
	}
	return err
}

// value reads one value; name is that of the member which it is, or is in.
func (r *reader) value(v reflect.Value, name string) error {
	switch x := v.Addr().Interface().(type) {
	case *time.Time:
		return r.moment(x)
	case *record.Hash:
		return r.hash(x)
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return r.value(v.Elem(), name)
	case reflect.Struct:
		return r.structure(v)
	case reflect.Slice:
		return r.slice(v, name)
	case reflect.Map:
		return r.dictionary(v, name)
	case reflect.String:
		s, err := r.string()
		v.SetString(s)
		return err
	}
	return r.scalar(v)
}

// slice reads an array; an empty one is nil.
func (r *reader) slice(v reflect.Value, name string) error {
	return r.list(func(i int) error {
		if i == most(name) {
			return fmt.Errorf("there are more than %d elements", i)
		}
		v.Grow(1)
		v.SetLen(i + 1)
		v.Index(i).SetZero()
		inner := name
		if v.Type().Elem().Kind() == reflect.Slice {
			inner = "heads"
		}
		return r.value(v.Index(i), inner)
	})
}

func (r *reader) dictionary(v reflect.Value, name string) error {
	m := map[string]string{}
	err := r.object(func(key string) (err error) {
		if len(m) == most(name) {
			return fmt.Errorf("there are more than %d members", len(m))
		}
		m[key], err = r.string()
		return err
	})
	if len(m) > 0 {
		v.Set(reflect.ValueOf(m))
	}
	return err
}

func (r *reader) string() (string, error) {
	if r.peek() != '"' {
		return "", errors.New("is not a string")
	}
	return r.text()
}

// scalar reads an integer from -1 to 2^53-1, a number or a truth value.
func (r *reader) scalar(v reflect.Value) error {
	c := r.peek()
	if c == '{' || c == '[' || c == '"' {
		return errors.New("is neither a number nor true or false")
	}
	word := string(r.word())
	switch v.Kind() {
	case reflect.Int64:
		n, err := strconv.ParseInt(word, 10, 64)
		if err != nil || n < -1 || n >= 1<<53 {
			return fmt.Errorf("%.40q is not an integer from 0 to 2^53-1", word)
		}
		v.SetInt(n)
	case reflect.Float64:
		f, err := strconv.ParseFloat(word, 64)
		if err != nil {
			return fmt.Errorf("%.40q is not a number", word)
		}
		v.SetFloat(f)
	case reflect.Bool:
		if word != "true" && word != "false" {
			return fmt.Errorf("%.40q is not true or false", word)
		}
		v.SetBool(word == "true")
	default:
		return fmt.Errorf("no value is read into a %s", v.Type())
	}
	return nil
}

func (r *reader) hash(dst *record.Hash) error {
	s, err := r.string()
	if err != nil {
		return err
	}
	h, err := record.ParseHash(s)
	if err == nil && h.IsZero() {
		err = errors.New("is the zero hash")
	}
	*dst = h
	return err
}

// moment reads a time of RFC 3339 in UTC with at most nine digits of fraction.
func (r *reader) moment(dst *time.Time) error {
	s, err := r.string()
	if err != nil {
		return err
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || !strings.HasSuffix(s, "Z") || strings.Contains(s, ",") || len(s) > len("2006-01-02T15:04:05.123456789Z") {
		return fmt.Errorf("%.40q is not a time of RFC 3339 in UTC (Z) with at most nine digits of fraction", s)
	}
	if *dst = t.UTC(); dst.IsZero() {
		return errors.New("the first instant of the year 1 is no time")
	}
	return nil
}
