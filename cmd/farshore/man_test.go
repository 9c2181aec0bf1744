package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"farshore/providers/servers"
)

// TestMan writes the pages twice: each command has one, both times the same, and the date is the one that the environment says.
func TestMan(t *testing.T) {
	var dirs [2]string
	for i := range dirs {
		dirs[i] = filepath.Join(t.TempDir(), "man1")
		e, stdout, stderr := testEnv(t)
		e.getenv = func(name string) string { return map[string]string{"SOURCE_DATE_EPOCH": "1000000000"}[name] }
		if code := run([]string{"man", dirs[i]}, e); code != exitDone || !strings.Contains(stdout.String(), "manual pages in "+dirs[i]) {
			t.Fatalf("exit code %d: %s%s", code, stdout, stderr)
		}
	}
	e, _, _ := testEnv(t)
	for _, c := range commands(newRoot(e)) {
		name := strings.ReplaceAll(c.CommandPath(), " ", "-") + ".1"
		one, err := os.ReadFile(filepath.Join(dirs[0], name))
		if err != nil {
			t.Fatal(err)
		}
		two, err := os.ReadFile(filepath.Join(dirs[1], name))
		if err != nil || !bytes.Equal(one, two) {
			t.Errorf("%s differs when it is written again, or %v", name, err)
		}
		if !bytes.Contains(one, []byte(` 1 "2001-09-09" farshore`)) {
			t.Errorf("%s does not have the date", name)
		}
	}
	entries, err := os.ReadDir(dirs[0])
	if err != nil || len(entries) != len(commands(newRoot(e)))+1 { // help is made when a command line is read
		t.Errorf("%d pages: %v", len(entries), err)
	}
}

func TestManDate(t *testing.T) {
	tests := []struct{ epoch, built, want string }{
		{"", "", ""},
		{"", "2026-11-22T23:59:59-05:00", "2026-11-23"},
		{"0", "2026-11-22T12:00:00Z", "1970-01-01"},
		{"x", "", "error"},
		{"-1", "", "error"},
	}
	for _, tt := range tests {
		got, err := manDate(func(string) string { return tt.epoch }, tt.built)
		if err != nil {
			got = "error"
		}
		if got != tt.want {
			t.Errorf("manDate(%q, %q) = %q, %v", tt.epoch, tt.built, got, err)
		}
	}
}

// TestManShown has each page set by groff: it has nothing to complain of, and every word of the help text is shown as it is.
func TestManShown(t *testing.T) {
	if _, err := exec.LookPath("groff"); err != nil {
		servers.Missing(t, "groff", "apt-get install groff-base")
	}
	e, _, _ := testEnv(t)
	for _, c := range commands(newRoot(e)) {
		var stdout, stderr bytes.Buffer
		cmd := exec.Command("groff", "-man", "-ww", "-Tutf8", "-P-cbou")
		cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
		cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(manPage(c, "2026-11-22")), &stdout, &stderr
		if err := cmd.Run(); err != nil || stderr.Len() > 0 {
			t.Errorf("%s: %v: %s", c.CommandPath(), err, stderr.String())
		}
		shown := " " + strings.Join(strings.Fields(stdout.String()), " ") + " "
		for _, word := range strings.Fields(c.Long + " " + c.Example) {
			if !strings.Contains(shown, " "+word+" ") {
				t.Errorf("%s: the page does not show %q", c.CommandPath(), word)
			}
		}
	}
}
