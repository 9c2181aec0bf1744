package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"farshore/agent/record"
	"farshore/agent/record/jsontext"
)

// decodeCommon reads what the bodies of reports of every type have.
func decodeCommon(data []byte) (kind string, prev record.Hash, at time.Time, err error) {
	err = decode(data, object{"type": text(&kind), "prev": hash(&prev), "time": moment(&at)}, "type", "time")
	return kind, prev, at, err
}

// DecodeHeaderDrill reads a header drill's body and checks each of its members. It does not check signatures.
func DecodeHeaderDrill(data []byte) (*HeaderDrill, error) {
	d := new(HeaderDrill)
	var kind string
	var prev record.Hash
	err := decode(data, object{
		"type": text(&kind), "prev": hash(&prev), "vault": hash(&d.Vault), "time": moment(&d.Time), "statement": integer(&d.Statement), "recovery": integer(&d.Recovery),
		"heads":      array(&d.Heads, MaxHeads, readHead),
		"population": integer(&d.Population), "drawn": integer(&d.Drawn), "opened": integer(&d.Opened), "failed": integer(&d.Failed), "unread": integer(&d.Unread),
		"findings": array(&d.Findings, MaxFindings, readFinding), "omitted": integer(&d.Omitted),
	}, "type", "vault", "time", "statement", "recovery", "population", "drawn", "opened", "failed", "unread", "omitted")
	if err == nil && kind != TypeHeaderDrill {
		err = fmt.Errorf("report: type is %.40q, not %q", kind, TypeHeaderDrill)
	}
	if err != nil {
		return nil, err
	}
	if !prev.IsZero() {
		d.Prev = &prev
	}
	if err := d.check(); err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	return d, nil
}

func readHead(h *Head) (object, []string) {
	return object{"chain": text(&h.Chain), "seq": integer(&h.Seq), "hash": hash(&h.Hash)}, []string{"chain", "seq", "hash"}
}

func readFinding(f *Finding) (object, []string) {
	return object{"pack": hash(&f.Pack), "kind": text(&f.Kind), "detail": text(&f.Detail)}, []string{"pack", "kind"}
}

// object says how each known member of an object is read. Names match exactly; a name given twice is refused, an unknown one skipped.
type object map[string]func(json.RawMessage) error

// decode reads a body.
func decode(data []byte, o object, needed ...string) error {
	err := errors.New("has more bytes than a report may have")
	if len(data) <= MaxSize {
		err = jsontext.Check(data)
	}
	if err == nil {
		err = o.read(data, needed)
	}
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}

// read reads an object, which is known to be valid JSON.
func (o object) read(data []byte, needed []string) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return errors.New("is not an object")
	}
	seen := map[string]bool{}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return err
		}
		name, _ := t.(string)
		if seen[name] {
			return fmt.Errorf("member %.40q is given twice", name)
		}
		seen[name] = true
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return err
		}
		if read := o[name]; read != nil {
			if err := read(value); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	for _, name := range needed {
		if !seen[name] {
			return fmt.Errorf("member %s is missing", name)
		}
	}
	return nil
}

func text(dst *string) func(json.RawMessage) error {
	return func(v json.RawMessage) error {
		if len(v) == 0 || v[0] != '"' {
			return errors.New("is not a string")
		}
		return json.Unmarshal(v, dst)
	}
}

// integer reads a number from 0 to 2^53-1.
func integer(dst *int64) func(json.RawMessage) error {
	return func(v json.RawMessage) error {
		n, err := strconv.ParseInt(string(v), 10, 64)
		if err != nil || n < 0 || n >= 1<<53 {
			return fmt.Errorf("%.40q is not an integer from 0 to 2^53-1", v)
		}
		*dst = n
		return nil
	}
}

func hash(dst *record.Hash) func(json.RawMessage) error {
	return func(v json.RawMessage) error {
		var s string
		if err := text(&s)(v); err != nil {
			return err
		}
		h, err := record.ParseHash(s)
		if err == nil && h.IsZero() {
			err = errors.New("is the zero hash")
		}
		*dst = h
		return err
	}
}

// moment reads a time of RFC 3339 in UTC with at most nine digits of fraction.
func moment(dst *time.Time) func(json.RawMessage) error {
	return func(v json.RawMessage) error {
		var s string
		if err := text(&s)(v); err != nil {
			return err
		}
		t, err := time.Parse(time.RFC3339Nano, s)
		if err != nil || !strings.HasSuffix(s, "Z") || strings.Contains(s, ",") || len(s) > len("2006-01-02T15:04:05.123456789Z") {
			return fmt.Errorf("%.40q is not a time of RFC 3339 in UTC (Z) with at most nine digits of fraction", s)
		}
		*dst = t.UTC()
		return nil
	}
}

// array reads at most so many objects.
func array[T any](dst *[]T, most int, one func(*T) (object, []string)) func(json.RawMessage) error {
	return func(v json.RawMessage) error {
		dec := json.NewDecoder(bytes.NewReader(v))
		if t, err := dec.Token(); err != nil || t != json.Delim('[') {
			return errors.New("is not an array")
		}
		for i := 0; dec.More(); i++ {
			var raw json.RawMessage
			if err := dec.Decode(&raw); err != nil {
				return err
			}
			if i == most {
				return fmt.Errorf("has more than %d elements", most)
			}
			var x T
			o, needed := one(&x)
			if err := o.read(raw, needed); err != nil {
				return fmt.Errorf("[%d]: %w", i, err)
			}
			*dst = append(*dst, x)
		}
		return nil
	}
}
