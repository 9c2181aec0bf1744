package page_test

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"farshore/agent/report/page"
)

var update = flag.Bool("update", false, "write the golden files of reports as they are now")

const golden = "../../../testdata/golden/reports"

func textOf(tb testing.TB, s sample, columns int, colour bool) string {
	tb.Helper()
	var b bytes.Buffer
	if err := page.Text(&b, page.NewView(s.entry, s.names, s.history), columns, colour); err != nil {
		tb.Fatal(err)
	}
	return b.String()
}

// TestGolden holds the text of each kind of report to its golden file: a change of wording shows as a difference.
func TestGolden(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range samples() {
		t.Run(s.name, func(t *testing.T) {
			got := textOf(t, s, 100, false)
			file := filepath.Join(golden, s.name+".txt")
			seen[s.name+".txt"] = true
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s is not what is shown now (-update writes it):\n%s", file, got)
			}
		})
	}
	list, err := os.ReadDir(golden)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range list {
		if !seen[f.Name()] {
			t.Errorf("%s/%s belongs to no sample", golden, f.Name())
		}
	}
}

// TestTextFits holds every line to the width, and to characters that a terminal shows as they are.
func TestTextFits(t *testing.T) {
	for _, s := range samples() {
		for columns, most := range map[int]int{0: 100, 40: 60, 72: 72, 100: 100, 1000: 100} {
			for l := range strings.Lines(textOf(t, s, columns, false)) {
				l = strings.TrimSuffix(l, "\n")
				if utf8.RuneCountInString(l) > most {
					t.Errorf("%s at %d: %d characters: %s", s.name, columns, utf8.RuneCountInString(l), l)
				}
				if i := strings.IndexFunc(l, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
					t.Errorf("%s: a character that moves the cursor or can't be seen: %q", s.name, l)
				}
			}
		}
	}
}

// TestTextColour holds colours to add nothing that the text does not say.
func TestTextColour(t *testing.T) {
	for _, s := range samples() {
		painted := textOf(t, s, 100, true)
		if !strings.Contains(painted, "\x1b[") {
			t.Errorf("%s: no colour at all", s.name)
		}
		for _, code := range []string{"0", "1", "2", "31", "32", "33", "35"} {
			painted = strings.ReplaceAll(painted, "\x1b["+code+"m", "")
		}
		if got, want := squeeze(painted), squeeze(textOf(t, s, 100, false)); got != want {
			t.Errorf("%s: with colours it says:\n%s\nand without:\n%s", s.name, got, want)
		}
	}
}

// squeeze drops the blanks at the ends of lines.
func squeeze(s string) string {
	var out []string
	for _, l := range strings.Split(s, "\n") {
		out = append(out, strings.TrimRight(l, " "))
	}
	return strings.Join(out, "\n")
}

// TestNoEmptyClaims holds the text never to say that backups are verified, nor that all is well: a level, a number and a time say more.
func TestNoEmptyClaims(t *testing.T) {
	for _, s := range samples() {
		text := strings.ToLower(textOf(t, s, 100, false))
		for _, claim := range []string{"backups are", "all is well", "everything is fine", "is safe", "guaranteed", "nan", "+inf", "-inf", "%!"} {
			if strings.Contains(text, claim) {
				t.Errorf("%s says %q", s.name, claim)
			}
		}
	}
}

// full is a writer that has no room.
type noRoom struct{}

var errRoom = errors.New("no room")

func (noRoom) Write([]byte) (int, error) { return 0, errRoom }

func TestWriterFails(t *testing.T) {
	s := samples()[0]
	v := page.NewView(s.entry, s.names, nil)
	for name, err := range map[string]error{"text": page.Text(noRoom{}, v, 100, false), "html": page.HTML(noRoom{}, v)} {
		if !errors.Is(err, errRoom) {
			t.Errorf("%s to a writer that fails: %v", name, err)
		}
	}
	if err := page.Text(io.Discard, v, 100, false); err != nil {
		t.Error(err)
	}
}
