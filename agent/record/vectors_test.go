package record

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

// TestVectors decodes each vector into the value that it stands for, and encodes that value into the vector's bytes.
func TestVectors(t *testing.T) {
	values := vectorValues(t)
	for _, name := range vectorFiles(t, "*.*") {
		t.Run(name, func(t *testing.T) {
			want, known := values[name]
			if !known {
				t.Fatal("the vector has no value to compare it with")
			}
			delete(values, name)
			data := readVector(t, name)
			c := codecFor(name)
			got, err := c.decode(data)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("decoded\n%+v\nin place of\n%+v", got, want)
			}
			encoded, err := c.encode(want)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(encoded, data) {
				t.Errorf("encoded\n%s\nin place of\n%s", encoded, data)
			}
		})
	}
	for name := range values {
		t.Errorf("vector %s is missing", name)
	}
}

// TestAcceptedVectors decodes other spellings and expects what the usual one decodes to.
func TestAcceptedVectors(t *testing.T) {
	usual := map[string]string{
		"segment/accept/spelling.jsonl":  "segment/plain.jsonl",
		"statement/accept/spelling.json": "statement/first.json",
		"commit/accept/spelling.json":    "commit/first.json",
	}
	for _, name := range vectorFiles(t, "accept/*") {
		t.Run(name, func(t *testing.T) {
			c := codecFor(name)
			got, err := c.decode(readVector(t, name))
			if err != nil {
				t.Fatal(err)
			}
			want, err := c.decode(readVector(t, usual[name]))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("decoded\n%+v\nin place of\n%+v", got, want)
			}
		})
	}
}

// TestBadVectors holds that each is refused, in the words of the file beside it.
func TestBadVectors(t *testing.T) {
	for _, name := range vectorFiles(t, "bad/*") {
		t.Run(name, func(t *testing.T) {
			got, err := codecFor(name).decode(readVector(t, name))
			if err == nil {
				t.Fatalf("decoded %+v", got)
			}
			if v := reflect.ValueOf(got); !v.IsNil() {
				t.Errorf("returned a value beside the error: %+v", got)
			}
			want := strings.TrimSuffix(string(readVector(t, name+".error")), "\n")
			if err.Error() != want {
				t.Errorf("failed with\n%v\nin place of\n%s", err, want)
			}
			if strings.ContainsAny(err.Error(), "\r\n") {
				t.Errorf("the error has more than one line: %q", err)
			}
		})
	}
}
