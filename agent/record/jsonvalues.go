package record

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

func (j *jsonReader) string(dst *string) error {
	t, err := j.dec.Token()
	if err != nil {
		return err
	}
	s, ok := t.(string)
	if !ok {
		return errors.New("is not a string")
	}
	*dst = s
	return nil
}

// text reads a string of a record, which may be marked as base64.
func (j *jsonReader) text(dst *string) error {
	var s string
	if err := j.string(&s); err != nil {
		return err
	}
	v, err := parseText(s)
	if err == nil {
		*dst = v
	}
	return err
}

func parseText(s string) (string, error) {
	coded, marked := strings.CutPrefix(s, base64Mark)
	if !marked {
		return s, nil
	}
	b, err := decodeBase64(paddedBase64, coded)
	if err != nil {
		return "", err
	}
	if !needsMark(string(b)) {
		return "", fmt.Errorf("%s is in base64 without need", quote(s))
	}
	return string(b), nil
}

// path reads a path that is UTF-8.
func (j *jsonReader) path(dst *string) error {
	if err := j.string(dst); err != nil {
		return err
	}
	if *dst == "" {
		return errors.New("is empty")
	}
	return nil
}

// path64 reads a path that is not UTF-8.
func (j *jsonReader) path64(dst *string) error {
	b, err := j.bytes(paddedBase64)
	if err != nil {
		return err
	}
	if utf8.Valid(b) {
		return errors.New("is in base64 without need")
	}
	*dst = string(b)
	return nil
}

func (j *jsonReader) bytes(e *base64.Encoding) ([]byte, error) {
	var s string
	if err := j.string(&s); err != nil {
		return nil, err
	}
	return decodeBase64(e, s)
}

// key reads 32 bytes in base64 without padding.
func (j *jsonReader) key(dst *[32]byte) error {
	b, err := j.bytes(plainBase64)
	if err != nil {
		return err
	}
	if len(b) != len(dst) {
		return fmt.Errorf("has %d bytes in place of %d", len(b), len(dst))
	}
	copy(dst[:], b)
	return nil
}

// int64 reads an integer between least and most.
func (j *jsonReader) int64(dst *int64, least, most int64) error {
	t, err := j.dec.Token()
	if err != nil {
		return err
	}
	number, ok := t.(json.Number)
	if !ok {
		return errors.New("is not a number")
	}
	n, err := strconv.ParseInt(string(number), 10, 64)
	if err != nil {
		return fmt.Errorf("%s is not an integer that fits", quote(string(number)))
	}
	if err := between(n, least, most); err != nil {
		return err
	}
	*dst = n
	return nil
}

func (j *jsonReader) int(dst *int, least, most int64) error {
	var n int64
	err := j.int64(&n, least, most)
	*dst = int(n)
	return err
}

func between(n, least, most int64) error {
	if n < least || n > most {
		return fmt.Errorf("%d is not between %d and %d", n, least, most)
	}
	return nil
}

func (j *jsonReader) bool(dst *bool) error {
	t, err := j.dec.Token()
	if err != nil {
		return err
	}
	b, ok := t.(bool)
	if !ok {
		return errors.New("is not true or false")
	}
	*dst = b
	return nil
}

func (j *jsonReader) hash(dst *Hash) error {
	var s string
	if err := j.string(&s); err != nil {
		return err
	}
	h, err := ParseHash(s)
	if err != nil {
		return err
	}
	if h.IsZero() {
		return errors.New("is the zero hash")
	}
	*dst = h
	return nil
}

func (j *jsonReader) time(dst *time.Time) error {
	var s string
	if err := j.string(&s); err != nil {
		return err
	}
	t, err := parseTime(s)
	if err == nil {
		*dst = t
	}
	return err
}

func parseTime(s string) (time.Time, error) {
	var t time.Time
	if err := t.UnmarshalText([]byte(s)); err != nil {
		return time.Time{}, fmt.Errorf("%s is not a time of RFC 3339", quote(s))
	}
	if !strings.HasSuffix(s, "Z") || strings.Contains(s, ",") || len(s) > len("2006-01-02T15:04:05.123456789Z") || t.IsZero() {
		return time.Time{}, fmt.Errorf("%s is not a time in UTC (Z) with at most nine digits of fraction", quote(s))
	}
	return t.UTC(), nil
}

func (j *jsonReader) strings(dst *[]string) error {
	return j.array(func() error {
		var s string
		err := j.string(&s)
		*dst = append(*dst, s)
		return err
	})
}

func (j *jsonReader) hashes(dst *[]Hash) error {
	return j.array(func() error {
		var h Hash
		err := j.hash(&h)
		*dst = append(*dst, h)
		return err
	})
}

// ref reads {"name", "size"}.
func (j *jsonReader) ref(dst *Ref) error {
	seen, err := j.object(func(name string) error { return j.refMember(dst, name) })
	if err != nil {
		return err
	}
	return seen.need("name", "size")
}

// refMember reads a member of an object that is a reference and perhaps more.
func (j *jsonReader) refMember(dst *Ref, name string) error {
	switch name {
	case "name":
		return j.hash(&dst.Name)
	case "size":
		return j.int64(&dst.Size, 0, maxStored)
	}
	return j.skip()
}

// pairs reads references that are written [hash, size]. A header may name a pack twice: positions are what counts.
func (j *jsonReader) pairs(dst *[]Ref) error {
	return j.array(func() error {
		var r Ref
		if err := j.pair(&r); err != nil {
			return err
		}
		*dst = append(*dst, r)
		return nil
	})
}

func (j *jsonReader) pair(dst *Ref) error {
	i := 0
	err := j.array(func() error {
		i++
		switch i {
		case 1:
			return j.hash(&dst.Name)
		case 2:
			return j.int64(&dst.Size, 0, maxStored)
		}
		return errors.New("is one more than a hash and a size")
	})
	if err == nil && i < 2 {
		return errors.New("is not a hash and a size")
	}
	return err
}
