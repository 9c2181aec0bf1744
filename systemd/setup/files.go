package setup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// maxText bounds a file of text: none of ours comes near it.
const maxText = 1 << 20

// stampPrefix begins the last line of each file of text that is installed: the SHA-256 of what is before. So nobody has to remember what was installed, also not of earlier versions.
const stampPrefix = "# Written by farshore install, sha256 "

// stamp adds the last line.
func stamp(text string) string {
	sum := sha256.Sum256([]byte(text))
	return text + stampPrefix + hex.EncodeToString(sum[:]) + "\n"
}

// intact reports whether a file is as it was installed.
func intact(data []byte) bool {
	i := bytes.LastIndex(data, []byte(stampPrefix))
	return i >= 0 && stamp(string(data[:i])) == string(data)
}

// text reads a file of text; nil for none. A symbolic link, or what else is no regular file, is not ours, and is an error of type *Kept.
func (m *Machine) text(path string) ([]byte, error) {
	f, err := os.OpenFile(m.path(path), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if errors.Is(err, unix.ELOOP) {
		return nil, &Kept{"it is a symbolic link, which farshore did not make"}
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, &Kept{"it is no regular file, and farshore did not make it"})
	}
	data, err := io.ReadAll(io.LimitReader(f, maxText))
	if data == nil {
		data = []byte{}
	}
	return data, err
}

// textStep keeps a file of text as it should be: with a stamp, or, for "", not there. changed is set where it is not, also in a dry run. A file that is not as it was installed is kept.
func textStep(m *Machine, path, text string, force bool, changed *bool) Step {
	want := ""
	if text != "" {
		want = stamp(text)
	}
	look := func(want string) (bool, error) {
		have, err := m.text(path)
		var kept *Kept
		switch {
		case errors.As(err, &kept) && force:
		case err != nil:
			return false, err
		case string(have) == want && (have != nil) == (want != ""):
			return true, nil
		case have != nil && !intact(have) && !force:
			return false, &Kept{"it was changed, or farshore did not write it: move the changes to a file of your own (`systemctl edit` makes one), or use --force"}
		}
		*changed = true
		return false, nil
	}
	return Step{
		What: path,
		Done: func(context.Context) (bool, error) { return look(want) },
		Do:   func(context.Context) error { return m.put(path, want) },
		Gone: func(context.Context) (bool, error) { return look("") },
		Undo: func(context.Context) error { return m.put(path, "") },
	}
}

// put writes a file of text, or removes it for "", with the folder when that is empty then and is one of drop-ins.
func (m *Machine) put(path, text string) error {
	dir := m.path(filepath.Dir(path))
	if text != "" {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		return replace(m.path(path), strings.NewReader(text), 0o644)
	}
	if err := os.Remove(m.path(path)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if strings.HasSuffix(dir, ".d") && strings.HasPrefix(path, unitDir) {
		if err := os.Remove(dir); err != nil && !errors.Is(err, unix.ENOTEMPTY) && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return syncDir(dir)
}

// replace writes a file in one step: a power cut leaves the old one or the new one. It replaces a symbolic link, and does not follow it.
func replace(path string, content io.Reader, mode fs.FileMode) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".farshore-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close(), os.Remove(f.Name()))
		}
	}()
	if _, err = io.Copy(f, content); err != nil {
		return err
	}
	if err = f.Chmod(mode); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	return errors.Join(f.Close(), syncDir(dir))
}

// syncDir makes the names in a folder durable. One that is gone, and a file system that can't, are no failure.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOTSUP) {
		err = nil
	}
	return errors.Join(err, d.Close())
}

// treeStep is a folder of the role that is only removed, and only when somebody asked for it. A symbolic link in its place is kept, and none within is followed.
func treeStep(m *Machine, path string, remove bool) Step {
	s := Step{What: path}
	if !remove {
		return s
	}
	s.Gone = func(context.Context) (bool, error) {
		info, err := os.Lstat(m.path(path))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return true, nil
		case err != nil:
			return false, err
		case !info.IsDir():
			return false, &Kept{"it is no folder but a link or a file: remove it, and what it stands for, by hand"}
		}
		return false, nil
	}
	s.Undo = func(context.Context) error {
		return errors.Join(os.RemoveAll(m.path(path)), syncDir(m.path(filepath.Dir(path))))
	}
	return s
}

// timeStep is where systemd notes when the verifier's timer ran last. systemd makes it, and removes it for nobody.
func timeStep(m *Machine) Step {
	const path = "/var/lib/systemd/timers/stamp-farshore-verify.timer"
	return Step{
		What: path,
		Gone: func(context.Context) (bool, error) {
			there, err := m.exists(path)
			return !there, err
		},
		Undo: func(context.Context) error { return os.Remove(m.path(path)) },
	}
}

// open opens a file or folder for a change of its owner and mode, and follows no symbolic link.
func (m *Machine) open(path string) (*os.File, error) {
	f, err := os.OpenFile(m.path(path), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, unix.ELOOP) {
		return nil, &Kept{"it is a symbolic link: put the file itself there"}
	}
	return f, err
}
