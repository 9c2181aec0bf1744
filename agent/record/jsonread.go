package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"farshore/agent/record/jsontext"
)

// jsonReader reads one JSON value member by member. It is stricter than encoding/json: names are matched exactly, a name given
// twice, bytes that are not UTF-8 and halves of surrogate pairs are refused, and what is unknown is skipped without being kept.
type jsonReader struct {
	dec *json.Decoder
}

// readJSON checks that data is one JSON value and nothing else, and hands it to read.
func readJSON(data []byte, read func(*jsonReader) error) error {
	if err := jsontext.Check(data); err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	return read(&jsonReader{dec})
}

// located is an error with the place in the JSON where it was met: "packs[3].size".
type located struct {
	place string
	err   error
}

func (l *located) Error() string { return l.place + ": " + l.err.Error() }
func (l *located) Unwrap() error { return l.err }

// at puts a member's name or an element's index in front of an error's place.
func at(place string, err error) error {
	var inner *located
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &inner):
		return &located{place, err}
	case strings.HasPrefix(inner.place, "["):
		return &located{place + inner.place, inner.err}
	}
	return &located{place + "." + inner.place, inner.err}
}

func atIndex(i int, err error) error { return at("["+strconv.Itoa(i)+"]", err) }

// members are the names that an object had.
type members map[string]bool

// need refuses an object that lacks one of the names.
func (m members) need(names ...string) error {
	for _, name := range names {
		if !m[name] {
			return fmt.Errorf("member %s is missing", name)
		}
	}
	return nil
}

// notBoth refuses an object that has both names.
func (m members) notBoth(a, b string) error {
	if m[a] && m[b] {
		return fmt.Errorf("has both %s and %s", a, b)
	}
	return nil
}

// object reads an object. For each member it calls member, which reads the value, with skip if it does not know the name.
func (j *jsonReader) object(member func(name string) error) (members, error) {
	if err := j.delim('{', "an object"); err != nil {
		return nil, err
	}
	seen := members{}
	for j.dec.More() {
		t, err := j.dec.Token()
		if err != nil {
			return nil, err
		}
		name, ok := t.(string)
		if !ok {
			return nil, fmt.Errorf("a member's name is %v", t)
		}
		if seen[name] {
			return nil, fmt.Errorf("member %s is given twice", quote(name))
		}
		seen[name] = true
		if err := member(name); err != nil {
			return nil, at(placeName(name), err)
		}
	}
	return seen, j.delim('}', "an object's end")
}

// placeName makes a member's name fit for an error's place.
func placeName(name string) string {
	for _, c := range []byte(name) {
		if c != '_' && c != '-' && c != ':' && (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return quote(name)
		}
	}
	return name
}

// array reads an array. For each element it calls element, which reads it.
func (j *jsonReader) array(element func() error) error {
	if err := j.delim('[', "an array"); err != nil {
		return err
	}
	for i := 0; j.dec.More(); i++ {
		if err := element(); err != nil {
			return atIndex(i, err)
		}
	}
	return j.delim(']', "an array's end")
}

func (j *jsonReader) delim(want json.Delim, what string) error {
	t, err := j.dec.Token()
	if err != nil {
		return err
	}
	if t != want {
		return errors.New("is not " + what)
	}
	return nil
}

// skip reads a value of any type and forgets it. Nothing inside of it is looked at but that it is JSON.
func (j *jsonReader) skip() error {
	var value json.RawMessage
	return j.dec.Decode(&value)
}
