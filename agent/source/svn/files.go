package svn

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"farshore/agent/record"
	"farshore/agent/source"
)

// oddFile says that something stands in a file's place that is not opened: a pipe, a device, a link, or far more than belongs there.
type oddFile struct{ what string }

func (o *oddFile) Error() string { return o.what }

// openRegular opens a regular file. It neither follows a link nor waits for the other end of a pipe.
func openRegular(name string) (*os.File, int64, error) {
	info, err := os.Lstat(name) // opening a device may do something to it
	if err == nil && !info.Mode().IsRegular() {
		err = &oddFile{name + " is no regular file"}
	}
	if err != nil {
		return nil, 0, err
	}
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
	if errors.Is(err, syscall.ELOOP) {
		err = &oddFile{name + " is a symbolic link"}
	}
	if err != nil {
		return nil, 0, err
	}
	if info, err = f.Stat(); err == nil && !info.Mode().IsRegular() {
		err = &oddFile{name + " is no regular file"}
	}
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, info.Size(), nil
}

// maxSmall is how many bytes a repository's small files have at most.
const maxSmall = 4096

// readSmall reads a small regular file.
func readSmall(name string) ([]byte, error) {
	f, size, err := openRegular(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if size > maxSmall {
		return nil, &oddFile{fmt.Sprintf("%s has %d bytes, more than %d", name, size, maxSmall)}
	}
	return io.ReadAll(io.LimitReader(f, maxSmall))
}

// readFolder returns up to max of a folder's entries, all when max is not positive, in no order. What is no folder is not opened.
func readFolder(name string, max int) ([]fs.DirEntry, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	entries, err := f.ReadDir(max)
	if err == io.EOF {
		err = nil
	}
	return entries, err
}

// examine tells by its structure whether a folder is a repository, of whatever back end and however damaged. An error says that it can't be known.
func examine(dir string) (bool, error) {
	format, err := os.Lstat(filepath.Join(dir, "format"))
	if err == nil && format.IsDir() {
		return false, nil
	}
	var db fs.FileInfo
	if err == nil {
		db, err = os.Stat(filepath.Join(dir, "db"))
	}
	if absent(err) || errors.Is(err, syscall.ELOOP) {
		return false, nil
	}
	return err == nil && db.IsDir(), err
}

func isRepository(dir string) bool {
	is, err := examine(dir)
	return is && err == nil
}

// absent says that a file is not there.
func absent(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) }

// readByPrograms are files that Subversion's programs open, and would wait for if they were pipes.
var readByPrograms = []string{
	"db/fsfs.conf", "db/min-unpacked-rev", "db/min-unpacked-revprop", "db/rep-cache.db", "db/txn-current", "db/txn-current-lock", "db/write-lock",
	"db/pack-lock",
}

// waitless reports whether none of the files that programs open is something else.
func waitless(dir string) error {
	for _, name := range readByPrograms {
		name = filepath.Join(dir, name)
		info, err := os.Stat(name)
		if err == nil && !info.Mode().IsRegular() {
			err = &oddFile{name + " is no regular file"}
		}
		if err != nil && !absent(err) {
			return err
		}
	}
	return nil
}

// exhausted says that this machine has no more of something, which is no fault of a repository.
func exhausted(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ENOMEM) || errors.Is(err, syscall.EAGAIN)
}

// trouble makes what is wrong with the files of the repository in dir one of the errors of source.Source's Capture.
func trouble(dir string, err error) error {
	var un *source.Unreadable
	if err == nil || errors.As(err, &un) || errors.Is(err, source.ErrGone) || exhausted(err) {
		return err
	}
	is, unknown := examine(dir)
	if unknown != nil {
		err = unknown
	} else if !is {
		return source.ErrGone
	}
	var odd *oddFile
	switch {
	case absent(err), errors.As(err, &odd):
		return unreadable(record.ReasonBroken, "%v: run svnadmin verify there, and restore the file from a copy", err)
	case errors.Is(err, fs.ErrPermission):
		return unreadable(record.ReasonDenied, "%v: let the user that farshore runs as read the repository", err)
	}
	return unreadable(record.ReasonOther, "%v: look for faults of the disk or of the file system there", err)
}
