package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestLoadTrusts loads a configuration that others may change, in each way in which they can, and expects it refused with what to do; and in ways in which they can't.
func TestLoadTrusts(t *testing.T) {
	tests := []struct {
		name   string
		change func(t *testing.T, dir, path string)
		want   string // of the error; "" for none
	}{
		{"as init makes it", func(*testing.T, string, string) {}, ""},
		{"its group may write", func(t *testing.T, _, path string) { chmod(t, path, 0o664) }, ""},
		{"everybody may write", func(t *testing.T, _, path string) { chmod(t, path, 0o666) }, "run chmod o-w "},
		{"everybody may write, nobody read", func(t *testing.T, _, path string) { chmod(t, path, 0o602) }, "run chmod o-w "},
		{"the directory is everybody's", func(t *testing.T, dir, _ string) { chmod(t, dir, 0o777) }, "put another file in this one's place"},
		{"the directory is everybody's, and each keeps his own", func(t *testing.T, dir, _ string) { chmod(t, dir, 0o777|os.ModeSticky) }, ""},
		{"a link into a directory of everybody's", func(t *testing.T, dir, path string) {
			open := filepath.Join(t.TempDir(), "open")
			if err := os.Mkdir(open, 0o700); err != nil {
				t.Fatal(err)
			}
			moveAndLink(t, path, filepath.Join(open, "real.yaml"))
			chmod(t, open, 0o777)
		}, "put another file in this one's place"},
		{"a link", func(t *testing.T, dir, path string) { moveAndLink(t, path, filepath.Join(t.TempDir(), "real.yaml")) }, ""},
		{"a link to what everybody may write", func(t *testing.T, dir, path string) {
			real := filepath.Join(t.TempDir(), "real.yaml")
			moveAndLink(t, path, real)
			chmod(t, real, 0o666)
		}, "run chmod o-w "},
		{"another user's", func(t *testing.T, _, path string) {
			if os.Geteuid() != 0 {
				t.Skip("only root can give a file away")
			}
			if err := os.Chown(path, 12345, -1); err != nil {
				t.Fatal(err)
			}
		}, "belongs to another user (uid 12345)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "farshore.yaml")
			write(t, path, head)
			tt.change(t, dir, path)
			_, err := Load(path)
			_, found, cerr := Check(path, func(string) string { return "" }, checkTime)
			var problems *Problems
			switch {
			case tt.want == "" && err != nil, cerr != nil:
				t.Errorf("%v, %v", err, cerr)
			case tt.want != "" && (!errors.As(err, &problems) || len(problems.List) != 1 || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %v, want %q", err, tt.want)
			case tt.want != "" && (len(found) != 1 || found[0].Severity != SeverityProblem || found[0].String() != err.Error()):
				t.Errorf("config check says %v", found)
			}
		})
	}
}

// TestTrustOfOthers holds that who is not root trusts root and himself alone, and that nobody replaces a file where nobody can write.
func TestTrustOfOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "farshore.yaml")
	write(t, path, head)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := distrust(path, info, os.Geteuid()); got != "" {
		t.Error(got)
	}
	if got := distrust(path, info, os.Geteuid()+1); (got == "") != (os.Geteuid() == 0) {
		t.Errorf("as another user: %q", got)
	}
	chmod(t, filepath.Dir(path), 0o777)
	if got := distrustPlaces(path, func(string) bool { return true }); got != "" {
		t.Errorf("where nobody can write: %s", got)
	}
	if got := distrustPlaces(path, readOnly); got == "" {
		t.Error("where everybody can write, all is well")
	}
}

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// moveAndLink moves a file and leaves a symbolic link in its place.
func moveAndLink(t *testing.T, path, to string) {
	t.Helper()
	if err := errors.Join(os.Rename(path, to), os.Symlink(to, path)); err != nil {
		t.Fatal(err)
	}
}
