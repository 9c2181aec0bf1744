package local

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strconv"

	"farshore/agent/source/git/lfs"
)

// maxPointers bounds the pointers of one call.
const maxPointers = 4 << 20

// Pointers returns the LFS pointers among the blobs that wants reach and haves do not, each once, in no particular order. Haves that are not there are
// ignored. The failures are those of Pack.
func (r *Repository) Pointers(ctx context.Context, wants, haves []string) ([]lfs.Pointer, error) {
	if err := r.checkShares(); err != nil {
		return nil, err
	}
	haves, err := r.present(ctx, haves)
	if err != nil {
		return nil, r.failure(err)
	}
	if len(wants) == 0 {
		return nil, nil
	}
	found, err := r.scan(ctx, wants, haves)
	if err != nil {
		return nil, r.diagnose(ctx, err, wants, haves)
	}
	return found, nil
}

// scan runs three git programs one after another: objects, the small blobs among them, their contents.
func (r *Repository) scan(ctx context.Context, wants, haves []string) ([]lfs.Pointer, error) {
	plain := func(line []byte) ([]byte, error) { return line, nil }
	list, err := r.pipe(ctx, revisions(wants, haves), plain, "rev-list", "--objects", "--no-object-names", "--stdin")
	if err != nil {
		return nil, err
	}
	defer list.close()
	small, err := r.pipe(ctx, list, smallBlob, "cat-file", "--batch-check=%(objectname) %(objecttype) %(objectsize)", "--buffer")
	if err != nil {
		return nil, err
	}
	defer small.close()
	contents, err := r.git.Start(ctx, small, "cat-file", "--batch", "--buffer")
	if err != nil {
		return nil, err
	}
	defer contents.Close()
	return readPointers(bufio.NewReader(contents))
}

// smallBlob takes "id type size", and hands the id of a blob that may be a pointer on.
func smallBlob(line []byte) ([]byte, error) {
	f := bytes.Fields(line)
	if len(f) != 3 {
		return nil, fmt.Errorf("git cat-file: %s: %w", line, ErrMoved) // "id missing"
	}
	size, err := strconv.ParseInt(string(f[2]), 10, 64)
	if err != nil {
		return nil, fmt.Errorf("git cat-file printed %q", line)
	}
	if string(f[1]) != "blob" || size == 0 || size > lfs.MaxPointer {
		return nil, nil
	}
	return f[0], nil
}

// readPointers reads "id type size", the content and a line feed, again and again.
func readPointers(in *bufio.Reader) ([]lfs.Pointer, error) {
	var found []lfs.Pointer
	seen := map[lfs.Pointer]bool{}
	for {
		line, err := in.ReadSlice('\n')
		if err == io.EOF && len(line) == 0 {
			return found, nil
		}
		if err != nil {
			return nil, err
		}
		_, last, _ := bytes.Cut(line, []byte(" blob "))
		size, err := strconv.Atoi(string(bytes.TrimSpace(last)))
		if err != nil || size < 0 || size > lfs.MaxPointer {
			return nil, fmt.Errorf("git cat-file printed %q", line)
		}
		content := make([]byte, size+1)
		if _, err := io.ReadFull(in, content); err != nil {
			return nil, err
		}
		p, ok := lfs.Parse(content[:size])
		if !ok || seen[p] {
			continue
		}
		if len(found) == maxPointers {
			return nil, unsupported("more than %d LFS objects", maxPointers)
		}
		seen[p] = true
		found = append(found, p)
	}
}

// LFSObject opens the large object of that SHA-256 where git-lfs keeps it: in the repository, or in one that it borrows objects from. fs.ErrNotExist: it is
// in none of them. The content is not checked. The caller closes it.
func (r *Repository) LFSObject(oid string) (io.ReadCloser, int64, error) {
	if !isSHA256(oid) {
		return nil, 0, fmt.Errorf("%q is no id of an LFS object: %w", oid, fs.ErrNotExist)
	}
	for _, dir := range r.lfsDirs() {
		file := filepath.Join(dir, "objects", oid[:2], oid[2:4], oid)
		if real, err := filepath.EvalSymlinks(filepath.Dir(file)); err == nil && !r.within(real) {
			return nil, 0, unsupported("%.300q, where it would be, lies outside of the source's directory: add that directory to the source, or copy the files into the repository", dir)
		}
		f, size, err := openRegular(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, 0, r.access(err)
		}
		return f, size, nil
	}
	return nil, 0, fmt.Errorf("LFS object %s in %s: %w", oid, r.dir, fs.ErrNotExist)
}

// lfsDirs are the folders in which git-lfs keeps objects: its own, which the configuration may name, and those beside alternates.
func (r *Repository) lfsDirs() []string {
	own := r.config["lfs.storage"]
	switch {
	case own == "":
		own = filepath.Join(r.dir, "lfs")
	case !filepath.IsAbs(own):
		own = filepath.Join(r.dir, own)
	}
	dirs := []string{own}
	for _, objects := range r.alternates {
		dirs = append(dirs, filepath.Join(filepath.Dir(objects), "lfs"))
	}
	return dirs
}

func isSHA256(s string) bool {
	if len(s) != 64 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
