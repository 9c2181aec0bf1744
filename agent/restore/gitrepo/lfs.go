package gitrepo

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"farshore/agent/record"
)

// lfsPath is where git-lfs looks for the object with this id in a git directory.
func lfsPath(dir, oid string) string {
	return filepath.Join(dir, "lfs", "objects", oid[:2], oid[2:4], oid)
}

// lfs writes the large files. One that the vault has damaged is named, and the others are written.
func (b *builder) lfs(ctx context.Context) error {
	if b.set.LFS == nil {
		return nil
	}
	for i := range b.set.LFS.Parts {
		p := &b.set.LFS.Parts[i]
		if p.Kind != record.PartLFS {
			continue
		}
		err := b.largeFile(ctx, p)
		switch {
		case err == nil:
			b.report.LFS++
			b.report.LFSBytes += p.Size
		case ctx.Err() == nil && damaged(err):
			b.report.Damaged++
			b.problems.add("large file %s: %v", p.SHA256, err)
		default:
			return failed(ctx, b.set.LFS, "large file "+p.SHA256.String(), err)
		}
	}
	return nil
}

// largeFile writes one, which is named by the hash of its content.
func (b *builder) largeFile(ctx context.Context, p *record.Part) error {
	path := lfsPath(b.dir, p.SHA256.String())
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	h := sha256.New()
	err := writeFile(path, 0o644, func(w io.Writer) error {
		if err := b.parts.Copy(ctx, io.MultiWriter(w, h), p); err != nil {
			return err
		}
		if sum := record.Hash(h.Sum(nil)); sum != p.SHA256 {
			return fmt.Errorf("its content has the SHA-256 %s", sum)
		}
		return nil
	})
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("the record has it twice")
	}
	return err
}

// writeFile makes a new file; when write fails, none is left. It does not make the file durable.
func writeFile(path string, mode os.FileMode, write func(w io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	if err := errors.Join(write(f), f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return os.Chmod(path, mode) // the umask is for files that people make
}
