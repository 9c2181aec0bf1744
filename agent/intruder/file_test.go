package intruder

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fileThief is whoever runs as the agent's user over a directory.
type fileThief struct {
	t    *testing.T
	root string
}

func (f fileThief) path(name string) string { return filepath.Join(f.root, filepath.FromSlash(name)) }

func (f fileThief) put(name string, body []byte) error {
	if err := os.MkdirAll(filepath.Dir(f.path(name)), 0o755); err != nil {
		return err
	}
	return os.WriteFile(f.path(name), body, 0o644)
}

func (f fileThief) remove(name string) error { return os.Remove(f.path(name)) }

func (f fileThief) denied(err error) bool { return errors.Is(err, fs.ErrPermission) }

func (f fileThief) names() (out []string) {
	f.t.Helper()
	must(f.t, filepath.WalkDir(f.root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(f.root, path)
		if !strings.HasPrefix(name, ".") {
			out = append(out, filepath.ToSlash(name))
		}
		return err
	}))
	return out
}
