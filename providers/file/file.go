// Package file is a vault's store in a directory: a disk, a network share, or a place to copy from.
//
// An object is written to a temporary file in .tmp below the vault's directory, synced, and then linked to its name, which fails when the
// name exists; so no reader ever sees half an object, and after a power cut an object is there whole or not at all. Directories are synced
// too before a create succeeds. Only .tmp is ever cleaned, and only of files that are a day old.
//
// Objects are regular files. A symbolic link, device or pipe is not an object: it is not listed, and to read it is an error. Nothing
// outside the directory can be reached through any name or link (os.Root). On its own a directory can't be append-only: whoever
// may write to it may delete from it.
package file

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"farshore/providers"
)

const (
	// tmpDir holds files that are being written. It lies in the vault's directory, to be on the same file system.
	tmpDir = ".tmp"
	// tmpAge is how old a temporary file must be to be taken for the rest of a crash: no upload lasts so long.
	tmpAge = 24 * time.Hour
)

// Driver stores objects in a directory. It may be used concurrently, by several processes too.
type Driver struct {
	root *os.Root
	dir  string

	large memory

	mu     sync.Mutex
	synced map[string]bool // directories whose own entry is known to be on disk
}

// Option changes how a directory is opened.
type Option func(*settings)

type settings struct{ create bool }

// CreateDir makes the directory, for its owner alone, where it does not exist.
func CreateDir() Option { return func(s *settings) { s.create = true } }

// Open returns the store at a URL of the form file:///directory.
func Open(rawURL string, options ...Option) (*Driver, error) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Scheme != "file" || (u.Host != "" && u.Host != "localhost") || u.User != nil || u.Opaque != "" || !strings.HasPrefix(u.Path, "/") {
		return nil, errors.New("file address: write file:///absolute/directory")
	}
	if u.RawQuery != "" || strings.ContainsAny(rawURL, "?#") {
		return nil, errors.New("file address: it has no parameters; a ? or # in a directory's name is written %3F or %23")
	}
	return New(filepath.FromSlash(u.Path), options...)
}

// New returns the store in a directory, and cleans what a crash left in its .tmp as far as it may. The caller closes it.
func New(dir string, options ...Option) (*Driver, error) {
	var s settings
	for _, o := range options {
		o(&s)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open the vault's directory %s: %w", dir, err)
	}
	if s.create {
		if err := makeDir(dir); err != nil {
			return nil, err
		}
	}
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open the vault's directory %s: it does not exist: create it, or mount what should be there", dir)
	}
	if err != nil {
		return nil, fmt.Errorf("open the vault's directory %s: %w", dir, err)
	}
	d := &Driver{root: root, dir: dir, synced: map[string]bool{".": true}}
	d.clean(time.Now().Add(-tmpAge))
	return d, nil
}

// makeDir makes the directory durable, its parents included.
func makeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the vault's directory: %w", err)
	}
	parent, err := os.Open(filepath.Dir(dir))
	if err != nil {
		return fmt.Errorf("make the vault's directory %s: %w", dir, err)
	}
	return errors.Join(parent.Sync(), parent.Close())
}

// clean removes temporary files last written before the time. It is housekeeping: on a read-only disk, or for a reader without
// the right, they stay.
func (d *Driver) clean(before time.Time) {
	entries, err := fs.ReadDir(d.root.FS(), tmpDir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() && info.ModTime().Before(before) {
			_ = d.root.Remove(tmpDir + "/" + e.Name()) // see above
		}
	}
}

// Close frees the directory. Objects being read stay readable.
func (d *Driver) Close() error { return d.root.Close() }

// Traits says what kind of store this is.
func (d *Driver) Traits() providers.Traits {
	place := url.URL{Scheme: "file", Path: filepath.ToSlash(d.dir)}
	return providers.Traits{Kind: "file", Place: place.String(), CreateOnly: providers.CreateOnlyStore, Checksum: "SHA-256", Local: true}
}

// Create writes the object. A body that does not have the SHA-256 sum is kind Corrupt.
func (d *Driver) Create(ctx context.Context, name string, body *io.SectionReader, sum [32]byte) (providers.Info, error) {
	const op = "create"
	if err := check(op, name); err != nil {
		return providers.Info{}, err
	}
	if _, err := d.root.Lstat(name); err == nil {
		return providers.Info{}, fail(op, name, d.taken(name))
	}
	tmp, err := d.writeTemp(ctx, body, sum)
	if err != nil {
		return providers.Info{}, fail(op, name, err)
	}
	// After a link the temporary name is one too many; after a rename it is gone. Where it can't be removed it is cleaned in a day.
	defer func() { _ = d.root.Remove(tmp) }()
	info, err := d.publish(ctx, tmp, name)
	if err != nil {
		return providers.Info{}, fail(op, name, err)
	}
	return providers.Info{Name: name, Size: body.Size(), Modified: info.ModTime().UTC()}, nil
}

// writeTemp puts the body on disk in a temporary file and returns its name. When it fails it leaves none.
func (d *Driver) writeTemp(ctx context.Context, body *io.SectionReader, sum [32]byte) (tmp string, err error) {
	if err := d.root.Mkdir(tmpDir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	var id [16]byte
	_, _ = rand.Read(id[:]) // crypto/rand never fails: it ends the program instead
	tmp = tmpDir + "/" + hex.EncodeToString(id[:])
	f, err := d.root.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			_ = d.root.Remove(tmp) // cleaned in a day where this fails
		}
	}()
	return tmp, copyBody(ctx, f, body, sum)
}

// copyBuffer is large enough to make system calls rare and small enough for the processor's cache.
const copyBuffer = 256 << 10

// copyBody writes and syncs the body, and compares its SHA-256 with sum.
func copyBody(ctx context.Context, f *os.File, body *io.SectionReader, sum [32]byte) error {
	size, h := body.Size(), sha256.New()
	src := &contextReader{ctx: ctx, r: io.NewSectionReader(body, 0, size)}
	n, err := io.CopyBuffer(onlyWriter{io.MultiWriter(f, h)}, src, make([]byte, copyBuffer))
	switch {
	case err != nil:
		return err
	case n != size:
		return fmt.Errorf("the body ended at byte %d of %d: %w", n, size, io.ErrUnexpectedEOF)
	case [32]byte(h.Sum(nil)) != sum:
		return &providers.Error{Kind: providers.Corrupt, Err: fmt.Errorf("the body's SHA-256 is %x, announced was %x", h.Sum(nil), sum)}
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return ctx.Err()
}

// publish gives the temporary file its name, unless that exists, and makes the name durable.
func (d *Driver) publish(ctx context.Context, tmp, name string) (fs.FileInfo, error) {
	info, err := d.root.Lstat(tmp)
	if err != nil {
		return nil, err
	}
	parent := path.Dir(name)
	if err := d.root.MkdirAll(parent, 0o700); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	err = d.root.Link(tmp, name)
	if noLinks(err) {
		err = d.renameNoReplace(tmp, name)
	}
	if errors.Is(err, fs.ErrExist) {
		return nil, d.taken(name)
	}
	if err != nil {
		return nil, err
	}
	return info, d.syncDirs(parent)
}

// taken is the error for a name that exists. Whoever created it may have been stopped before the directory was synced, and the
// caller may be content with what is there; so it is synced now.
func (d *Driver) taken(name string) error {
	if err := d.syncDirs(path.Dir(name)); err != nil {
		return err
	}
	return &providers.Error{Kind: providers.Exists}
}

// syncDirs makes the directory's entries durable, and the directory itself with its parents where that is not known.
func (d *Driver) syncDirs(dir string) error {
	if err := d.syncDir(dir); err != nil {
		return err
	}
	d.mu.Lock()
	known := d.synced[dir]
	d.mu.Unlock()
	if known {
		return nil
	}
	if err := d.syncDirs(path.Dir(dir)); err != nil {
		return err
	}
	d.mu.Lock()
	d.synced[dir] = true
	d.mu.Unlock()
	return nil
}

func (d *Driver) syncDir(dir string) error {
	f, err := d.root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// check refuses names that no vault has, and those of this package's own files.
func check(op, name string) error {
	if err := providers.CheckName(op, name); err != nil {
		return err
	}
	if reserved(name) {
		return &providers.Error{Kind: providers.Other, Op: op, Name: name, Err: errors.New("this name is not the vault's to use in a directory")}
	}
	return nil
}

// reserved reports whether the name lies in .tmp, or where file systems keep what a repair found.
func reserved(name string) bool {
	top, _, _ := strings.Cut(name, "/")
	return top == tmpDir || top == "lost+found"
}
