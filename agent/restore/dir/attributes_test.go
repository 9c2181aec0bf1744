package dir_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"farshore/agent/record"
	"farshore/agent/restore"
	"farshore/agent/restore/dir"
	"farshore/agent/restore/internal/rig"
)

func TestAttributesFile(t *testing.T) {
	r := rig.New(t)
	r.Put("a", []byte("x"), record.Attrs{"h:content-type": "text/plain", "m:odd": "\xff"})
	r.Put("b//c", []byte("y"))
	r.Put("\xff", []byte("z"))
	r.Replicate()
	root, file := t.TempDir(), filepath.Join(t.TempDir(), "attributes.ndjson")
	for range 2 { // the second run finds all equal, and writes the same
		target := open(t, root, dir.Options{Attributes: file})
		snap, reader := r.Snapshot()
		if _, err := restore.Run(t.Context(), snap, reader, target, restore.Options{}); err != nil {
			t.Fatal(err)
		}
		if err := target.Close(); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		lines := bytes.Split(bytes.TrimSpace(b), []byte("\n"))
		slices.SortFunc(lines, bytes.Compare)
		want := []string{
			`{"path":"a","attrs":{"h:content-type":"text/plain","m:odd":"base64:/w==","version-id":"1"}}`,
			`{"path":"b//c","as":"_farshore-escaped/b%2f%2fc","attrs":{"version-id":"2"}}`,
			`{"path64":"/w==","attrs":{"version-id":"3"}}`,
		}
		if got := string(bytes.Join(lines, []byte("\n"))); got != strings.Join(want, "\n") {
			t.Errorf("got\n%s", got)
		}
	}
	entries, err := os.ReadDir(filepath.Dir(file))
	if err != nil || len(entries) != 1 {
		t.Errorf("left beside it: %v, %v", entries, err)
	}
}
