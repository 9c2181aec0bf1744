package gitcmd_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"farshore/agent/repo/gitcmd"
)

func repository(t *testing.T, format string) *gitcmd.Git {
	t.Helper()
	g, err := gitcmd.Init(t.Context(), filepath.Join(t.TempDir(), "r.git"), format)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestRun(t *testing.T) {
	for _, format := range []string{"sha1", "sha256"} {
		g := repository(t, format)
		out, err := g.Output(t.Context(), strings.NewReader("hello"), "hash-object", "-w", "--stdin")
		if err != nil {
			t.Fatal(err)
		}
		s, err := g.Start(t.Context(), nil, "cat-file", "blob", strings.TrimSpace(string(out)))
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(s)
		if err != nil || string(b) != "hello" {
			t.Errorf("%s: %q, %v", format, b, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestFailure(t *testing.T) {
	g := repository(t, "sha1")
	var failed *gitcmd.Error
	err := g.Run(t.Context(), nil, io.Discard, "cat-file", "blob", "main:none")
	if !errors.As(err, &failed) || !strings.Contains(err.Error(), "main") {
		t.Errorf("error %v", err)
	}
	s, err := g.Start(t.Context(), nil, "cat-file", "blob", "main:none")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := io.ReadAll(s); !errors.As(err, &failed) {
		t.Errorf("a failed git looks like the end of its output: %v", err)
	}
}

// TestCancelled holds that git ends with its context, with what it started.
func TestCancelled(t *testing.T) {
	g := repository(t, "sha1")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	r, w := io.Pipe()
	defer w.Close()
	begin := time.Now()
	if err := g.Run(ctx, r, io.Discard, "cat-file", "--batch"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	_ = r.Close()
	if d := time.Since(begin); d > 20*time.Second {
		t.Errorf("it took %s", d)
	}
}

// TestInput holds that input which can't be read to its end fails the run, whatever git makes of the beginning.
func TestInput(t *testing.T) {
	g := repository(t, "sha1")
	bad := errors.New("broken")
	in := io.MultiReader(strings.NewReader("some"), iotest.ErrReader(bad))
	if err := g.Run(t.Context(), in, io.Discard, "hash-object", "-w", "--stdin"); !errors.Is(err, bad) {
		t.Errorf("error %v", err)
	}
}

// TestHostile holds that nothing in a repository's configuration is executed.
func TestHostile(t *testing.T) {
	g := repository(t, "sha1")
	mark := filepath.Join(t.TempDir(), "executed")
	config := "[core]\n\tfsmonitor = touch " + mark + "\n\thooksPath = hooks\n\talternateRefsCommand = touch " + mark +
		"\n\tsshCommand = touch " + mark + "\n[remote \"o\"]\n\turl = ext::touch " + mark + "\n\tpromisor = true\n\tuploadpack = touch " + mark +
		"\n[extensions]\n\tpartialClone = o\n[core]\n\trepositoryFormatVersion = 1\n[uploadpack]\n\tpackObjectsHook = touch " + mark + "\n"
	f, err := os.OpenFile(filepath.Join(g.Dir, "config"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(config); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"for-each-ref"}, {"cat-file", "-t", "0123456789012345678901234567890123456789"}, {"rev-list", "--objects", "0123456789012345678901234567890123456789"},
		{"fsck"}, {"pack-objects", "--revs", "--stdout"}, {"fetch", "o"}, {"update-ref", "refs/heads/x", "0123456789012345678901234567890123456789"},
	} {
		_ = g.Run(t.Context(), strings.NewReader(""), io.Discard, args...) // most of them fail, as they should
		if _, err := os.Stat(mark); err == nil {
			t.Fatalf("git %v executed what the repository's configuration says", args)
		}
	}
}
