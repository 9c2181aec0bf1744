package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// withSources is an environment whose configuration has the sources code and shop.
func withSources(t *testing.T) (*env, func(args ...string) string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "farshore.yaml")
	example, err := os.ReadFile(filepath.Join("..", "..", "testdata", "config", "good", "minimal.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	head, _, _ := strings.Cut(string(example), "sources:")
	sources := "sources:\n  - name: shop\n    url: s3://shop-images?region=us-east-1\n  - name: code\n    url: git+file:///srv/git\n"
	if err := os.WriteFile(path, []byte(head+sources), 0o600); err != nil {
		t.Fatal(err)
	}
	e, stdout, _ := testEnv(t)
	return e, func(args ...string) string {
		stdout.Reset()
		e.flags = commonFlags{}
		if code := run(append([]string{"__complete"}, strings.Split(strings.ReplaceAll(strings.Join(args, " "), "CONFIG", path), " ")...), e); code != exitDone {
			t.Errorf("%v: exit code %d", args, code)
		}
		return stdout.String()
	}
}

// TestCompletion asks as a shell does. The last line is what the shell is told to do: 4 no files, 16 only directories, 0 files.
func TestCompletion(t *testing.T) {
	_, ask := withSources(t)
	tests := []struct{ line, want string }{
		{"replicate --config CONFIG ", "shop\ncode\n:4\n"},
		{"replicate --config CONFIG shop ", "code\n:4\n"},
		{"replicate --config CONFIG c", "code\n:4\n"},
		{"replicate --config CONFIG --json ", "shop\ncode\n:4\n"},
		{"verify --config CONFIG ", "shop\ncode\n:4\n"},
		{"snapshots --config CONFIG ", "shop\ncode\n:4\n"},
		{"ls --config CONFIG ", "shop\ncode\n:4\n"},
		{"ls --config CONFIG shop ", ":4\n"},
		{"locks --config CONFIG shop ", ":4\n"},
		{"restore --config CONFIG --source ", "shop\ncode\n:4\n"},
		{"restore --config CONFIG --to ", ":16\n"},
		{"restore --identity ", ":0\n"},
		{"source remove --config CONFIG s", "shop\n:4\n"},
		{"source add --config CONFIG ", ":4\n"},
		{"vault sign --owner k ", ":0\n"},
		{"completion ", "bash\nzsh\nfish\n:4\n"},
		{"man ", ":16\n"},
		{"replicate --config /nonexistent ", ":4\n"},
	}
	for _, tt := range tests {
		t.Run(tt.line, func(t *testing.T) {
			if got := ask(tt.line); got != tt.want {
				t.Errorf("%q, not %q", got, tt.want)
			}
		})
	}
	if got := ask("ver"); !strings.Contains(got, "verify\t") || !strings.Contains(got, "version\t") {
		t.Errorf("commands: %q", got)
	}
}

// TestCompletionScripts has each shell that is here read its script.
func TestCompletionScripts(t *testing.T) {
	for _, shell := range shells {
		t.Run(shell, func(t *testing.T) {
			e, stdout, stderr := testEnv(t)
			if code := run([]string{"completion", shell}, e); code != exitDone || !strings.Contains(stdout.String(), "__complete") {
				t.Fatalf("exit code %d, %d bytes, %s", code, stdout.Len(), stderr)
			}
			if _, err := exec.LookPath(shell); err != nil {
				t.Skipf("%s is not here to read its script", shell)
			}
			path := filepath.Join(t.TempDir(), "script")
			if err := os.WriteFile(path, stdout.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command(shell, "-n", path).CombinedOutput(); err != nil || len(out) > 0 {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	e, _, stderr := testEnv(t)
	if code := run([]string{"completion", "csh"}, e); code != exitUsage || !strings.Contains(stderr.String(), "bash, zsh, fish") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}
