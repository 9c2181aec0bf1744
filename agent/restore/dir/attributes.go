package dir

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"unicode/utf8"

	"farshore/agent/restore"
)

// attributes writes the attributes of items to a file beside its final name. Its methods may be called concurrently, and on nil.
type attributes struct {
	path string

	mu   sync.Mutex
	file *os.File // nil once finished or abandoned
	w    *bufio.Writer
}

func newAttributes(path string) (*attributes, error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".partial-*")
	if err != nil {
		return nil, err
	}
	return &attributes{path: path, file: f, w: bufio.NewWriterSize(f, 64<<10)}, nil
}

// line is one item. Strings that are not UTF-8 are written as in records.
type line struct {
	Path   string            `json:"path,omitempty"`
	Path64 []byte            `json:"path64,omitempty"`
	As     string            `json:"as,omitempty"`
	Attrs  map[string]string `json:"attrs"`
}

// add writes one item's line.
func (a *attributes) add(it *restore.Item, as string) error {
	if a == nil {
		return nil
	}
	l := line{As: as, Attrs: make(map[string]string, len(it.Attrs))}
	if utf8.ValidString(it.Path) {
		l.Path = it.Path
	} else {
		l.Path64 = []byte(it.Path)
	}
	for k, v := range it.Attrs {
		l.Attrs[text(k)] = text(v)
	}
	b, err := json.Marshal(l)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	_, err = a.w.Write(append(b, '\n'))
	return err
}

// text writes a string of a record as docs/format.md, section 5.1, has it.
func text(s string) string {
	const mark = "base64:"
	if utf8.ValidString(s) && !strings.HasPrefix(s, mark) {
		return s
	}
	return mark + base64.StdEncoding.EncodeToString([]byte(s))
}

// finish puts the file in its place.
func (a *attributes) finish() error {
	if a == nil || a.file == nil {
		return nil
	}
	name := a.file.Name()
	err := errors.Join(a.w.Flush(), a.file.Sync(), a.file.Close())
	a.file = nil
	if err == nil {
		err = os.Rename(name, a.path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(name))
	}
	return nil
}

// abandon removes the file, unless it is finished.
func (a *attributes) abandon() error {
	if a == nil || a.file == nil {
		return nil
	}
	name := a.file.Name()
	err := a.file.Close()
	a.file = nil
	return errors.Join(err, os.Remove(name))
}
