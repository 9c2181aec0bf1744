package web_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden pages anew")

// TestGolden holds the pages to those that somebody has looked at.
func TestGolden(t *testing.T) {
	tag := regexp.MustCompile(`\?v=[0-9a-f]{16}`) // of the style sheet, which changes for itself
	for _, s := range samples() {
		list := map[string]string{"overview": "/", "live": "/live.json"}
		switch s.name {
		case "many", "hostile":
			continue // they are large: TestMany and TestHostile say what must hold
		case "well":
			list["reports"], list["heads"], list["missing"] = "/reports", "/heads", "/nothing"
		case "broken":
			list["source"] = "/source/svn"
		}
		h := s.handler(t)
		for name, path := range list {
			got := tag.ReplaceAll(get(h, path, nil).Body.Bytes(), []byte("?v=TAG"))
			if name == "live" {
				got = bytes.ReplaceAll(got, []byte(`","`), []byte("\",\n\"")) // so that a difference can be read
			}
			file := filepath.Join("testdata", s.name+"-"+name+".golden")
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s is not as it was: go test ./agent/daemon/web -run TestGolden -update, and look at the difference:\n%s", file, differs(got, want))
			}
		}
	}
}

// differs is the first line in which two texts differ.
func differs(got, want []byte) string {
	a, b := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
	for i := range a {
		if i >= len(b) || a[i] != b[i] {
			return "got  " + a[i][:min(len(a[i]), 400)] + "\nwant " + strings.Join(b[min(i, len(b)):min(i+1, len(b))], "")
		}
	}
	return "it ends early"
}

// TestMany shows 200 sources: all of them, the worst of them first where only some are drawn, and nothing without bounds.
func TestMany(t *testing.T) {
	s := manySample(200)
	w := get(s.handler(t), "/", nil)
	page := w.Body.String()
	if len(page) > 500<<10 {
		t.Errorf("the page has %d bytes", len(page))
	}
	_, rows, _ := strings.Cut(page, `data-of="source-row"`)
	rows, _, _ = strings.Cut(rows, "</tbody>")
	if n := strings.Count(rows, "<tr "); n != 200 {
		t.Errorf("%d sources are listed", n)
	}
	_, strips, _ := strings.Cut(page, `class="strips"`)
	if n := strings.Count(strips, `viewBox="0 0 300 10"`); n != 40 {
		t.Errorf("%d sources are drawn", n)
	}
	if worst, best := strings.Index(strips, "bucket-190"), strings.Index(strips, "bucket-000"); worst < 0 || best < worst {
		t.Error("the worst are not drawn first")
	}
	for _, want := range []string{"Needs you now", "4 late", "The 40 sources with the worst passes of 200"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}
