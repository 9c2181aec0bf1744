package keyring

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// maxFile is the number of bytes that a key file has at most.
const maxFile = 64 << 10

// create writes a new file that only its owner may read, and makes it and its name durable. It never replaces a file. What a failed write
// left is removed.
func create(path string, content []byte) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists already and was left as it is: %w", path, fs.ErrExist)
	}
	if err != nil {
		return fmt.Errorf("creating a key file: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("writing key file %s: %w", path, err), os.Remove(path))
		}
	}()
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes the names in a directory durable. A file system that can't sync a directory says EINVAL or ENOTSUP, and has to do it by itself.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOTSUP) {
		err = nil
	}
	return errors.Join(err, d.Close())
}

// read returns a key file's content. It refuses what isn't a regular file, is too large, or may be read by others than its owner. Symbolic links
// are followed.
func read(path string) ([]byte, error) {
	// O_NONBLOCK keeps the opening of a named pipe from waiting for a writer.
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if errors.Is(err, unix.ELOOP) {
		return nil, fmt.Errorf("%s: its symbolic links lead in a circle: %w", path, unix.ELOOP)
	}
	if err != nil {
		return nil, fmt.Errorf("opening a key file: %w", err)
	}
	defer f.Close()
	if err := checkFile(f, path); err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("reading a key file: %w", err)
	}
	if len(content) > maxFile {
		return nil, fmt.Errorf("%s: more than %d bytes: this is not a key file", path, maxFile)
	}
	return content, nil
}

// ReadSecret returns all of a file that holds a secret of several lines, such as the key of a certificate. It refuses a file that others may read.
func ReadSecret(path string) ([]byte, error) { return read(path) }

// ReadPassword returns the first line of a file that holds a password or a token. It refuses a file that others may read, and one that has more than
// blank lines behind the first.
func ReadPassword(path string) (string, error) {
	content, err := read(path)
	if err != nil {
		return "", err
	}
	first, rest, _ := strings.Cut(string(content), "\n")
	first = strings.TrimSuffix(first, "\r")
	switch {
	case first == "":
		return "", fmt.Errorf("%s: its first line is empty: it must be the password or token", path)
	case strings.TrimSpace(rest) != "":
		return "", fmt.Errorf("%s has more than one line: it must hold the password or token alone", path)
	}
	return first, nil
}

// checkFile looks at the open file, so that it can't be exchanged between look and read.
func checkFile(f *os.File, path string) error {
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("opening a key file: %w", err)
	}
	mode := info.Mode()
	switch {
	case mode.IsDir():
		return fmt.Errorf("%s is a directory, not a key file", path)
	case !mode.IsRegular():
		return fmt.Errorf("%s is not a regular file (%s)", path, mode.Type())
	case mode.Perm()&0o077 == 0, mode.Perm()&0o037 == 0 && onlyForMe(f):
		return nil
	}
	return fmt.Errorf("%s holds a secret and is open to others than its owner (mode %04o): run chmod 600 %s", path, mode.Perm(), path)
}

// Layout of a POSIX access control list in its extended attribute (acl(5), linux/posix_acl_xattr.h).
const (
	aclAttr    = "system.posix_acl_access"
	aclVersion = 2
	aclHeader  = 4
	aclEntry   = 8
	aclRead    = 4

	aclUserObj = 0x01
	aclUser    = 0x02
	aclMask    = 0x10
)

// onlyForMe reports whether the file has an access control list that lets nobody read it but its owner and this process's own user. Then the group's
// bits of its mode are the list's mask, and say nothing about the group: this is how systemd hands a credential to a service.
func onlyForMe(f *os.File) bool {
	buf := make([]byte, 1024)
	n, err := unix.Fgetxattr(int(f.Fd()), aclAttr, buf)
	if err != nil {
		return false
	}
	return aclOnlyFor(buf[:n], uint32(os.Geteuid()))
}

// aclOnlyFor reports whether an access control list lets nobody read but the owner and the user uid.
func aclOnlyFor(acl []byte, uid uint32) bool {
	if len(acl) < aclHeader || (len(acl)-aclHeader)%aclEntry != 0 || binary.LittleEndian.Uint32(acl) != aclVersion {
		return false
	}
	named := false
	for e := acl[aclHeader:]; len(e) > 0; e = e[aclEntry:] {
		tag, perm, id := binary.LittleEndian.Uint16(e), binary.LittleEndian.Uint16(e[2:]), binary.LittleEndian.Uint32(e[4:])
		switch {
		case tag == aclUserObj || tag == aclMask:
		case tag == aclUser && id == uid:
			named = true
		case perm&aclRead != 0:
			return false
		}
	}
	return named
}
