package dir

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"
)

// folding is a folder that finds entries by a folded name. Its entries are real files, so that they can be told apart.
type folding struct {
	dir   string
	names []string
	fold  func(string) string
	reads int
}

func (f *folding) Lstat(name string) (fs.FileInfo, error) {
	for _, n := range f.names {
		if f.fold(n) == f.fold(name) {
			return os.Lstat(filepath.Join(f.dir, n))
		}
	}
	return nil, fs.ErrNotExist
}

func (f *folding) Has(name string) (bool, error) {
	f.reads++
	for _, n := range f.names {
		if n == name {
			return true, nil
		}
	}
	return false, nil
}

func TestExact(t *testing.T) {
	same := func(s string) string { return s }
	for name, tt := range map[string]struct {
		fold   func(string) string
		has    string
		ask    string
		exact  bool
		unread bool // the folder need not be read
	}{
		"plain":            {same, "name", "name", true, true},
		"case":             {strings.ToLower, "Name", "name", false, false},
		"case, upper":      {strings.ToLower, "name", "NAME", false, false},
		"case, mixed":      {strings.ToLower, "nAme", "naMe", false, false},
		"case, exact":      {strings.ToLower, "Name", "Name", true, false},
		"normalised":       {norm.NFD.String, "\u00e9", "e\u0301", false, false},
		"normalised, back": {norm.NFC.String, "e\u0301", "\u00e9", false, false},
		"final dot":        {func(s string) string { return strings.TrimRight(s, ". ") }, "a", "a.", false, false},
		"short name":       {func(s string) string { return strings.ReplaceAll(s, "gram files", "GRA~1") }, "program files", "proGRA~1", false, false},
		"tilde":            {same, "a~1", "a~1", true, false},
		"not utf-8":        {same, "\xff", "\xff", true, true},
	} {
		t.Run(name, func(t *testing.T) {
			f := &folding{dir: t.TempDir(), names: []string{tt.has, "other"}, fold: tt.fold}
			for _, n := range f.names {
				if err := os.WriteFile(filepath.Join(f.dir, n), nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			found, err := f.Lstat(tt.ask)
			if err != nil {
				t.Fatal(err)
			}
			got, err := exact(f, tt.ask, found)
			if err != nil || got != tt.exact {
				t.Errorf("exact = %v, %v, want %v", got, err, tt.exact)
			}
			if (f.reads == 0) != tt.unread {
				t.Errorf("the folder was read %d times", f.reads)
			}
		})
	}
}
