package svnrepo

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"farshore/agent/record"
	"farshore/agent/repo/svncmd"
)

// recordedLocks reads the record's locks; none when it has no such part.
func recordedLocks(ctx context.Context, parts Parts, rec *record.Record) ([]svncmd.Lock, error) {
	p := rec.Part(record.PartLocks)
	if p == nil {
		return nil, nil
	}
	var buf bytes.Buffer
	if err := parts.Copy(ctx, &buf, p); err != nil {
		return nil, fmt.Errorf("locks: %w", err)
	}
	return svncmd.DecodeLocks(buf.Bytes())
}

// locks makes the locks again, with their owners, comments and tokens. svnadmin says the present time for when they were made, and lets none expire. One that it
// refuses is noted.
func (b *build) locks(ctx context.Context) error {
	all, err := recordedLocks(ctx, b.parts, b.set.SVN)
	if err != nil {
		return err
	}
	comment := filepath.Join(b.scratch, "comment")
	for _, l := range all {
		if err := os.WriteFile(comment, []byte(l.Comment), 0o600); err != nil {
			return err
		}
		args := []string{"lock", "--bypass-hooks", "--quiet", "--", b.dir, l.Path, l.Owner, comment, l.Token}
		err := b.tool.Run(ctx, nil, &bytes.Buffer{}, svncmd.Admin, args...)
		switch {
		case err == nil:
			b.report.Locks++
		case ctx.Err() != nil:
			return ctx.Err()
		case machine(err):
			return fmt.Errorf("the lock of %s on %s: %w", l.Owner, l.Path, err)
		default:
			b.note("the lock of %s on %s could not be made again: %v", l.Owner, l.Path, err)
		}
	}
	return nil
}

// maxMode are the permission bits that a restored file may have.
const maxMode = 0o777

// sidecar writes the files beside the repository. No name or link leads out of the folder while it is written.
func (b *build) sidecar(ctx context.Context) error {
	if b.set.Sidecar == nil {
		return nil
	}
	dir := filepath.Join(b.dir, Sidecar)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	aside, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer aside.Close()
	inPlace, err := os.OpenRoot(b.dir)
	if err != nil {
		return err
	}
	defer inPlace.Close()
	for i := range b.set.Sidecar.Parts {
		p := &b.set.Sidecar.Parts[i]
		root, mask := aside, fs.FileMode(0o666)
		if name := p.Attrs["name"]; b.o.Hooks && (strings.HasPrefix(name, "hooks/") || strings.HasPrefix(name, "conf/")) {
			root, mask = inPlace, maxMode
		}
		if err := b.file(ctx, root, p, mask); err != nil {
			return fmt.Errorf("file %q beside the repository: %w", p.Attrs["name"], err)
		}
		b.report.Files++
	}
	if !b.o.Hooks {
		b.note("hooks and configuration lie in %s and are not in use: look at them, then put them in place", Sidecar)
	}
	return nil
}

func (b *build) file(ctx context.Context, root *os.Root, p *record.Part, mask fs.FileMode) error {
	name := filepath.FromSlash(p.Attrs["name"])
	if !filepath.IsLocal(name) {
		return fmt.Errorf("its name leads elsewhere")
	}
	if err := root.MkdirAll(filepath.FromSlash(path.Dir(p.Attrs["name"])), 0o755); err != nil {
		return err
	}
	if err := root.Remove(name); err != nil && !os.IsNotExist(err) {
		return err
	}
	if target, ok := p.Attrs["link"]; ok {
		return b.link(root, name, target, mask)
	}
	mode, err := strconv.ParseUint(p.Attrs["mode"], 8, 32)
	if err != nil || mode > maxMode {
		return fmt.Errorf("its mode is %.20q", p.Attrs["mode"])
	}
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = b.parts.Copy(ctx, f, p)
	if err == nil {
		err = f.Chmod(fs.FileMode(mode) & mask)
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// link makes a symbolic link where hooks are put in place; elsewhere it writes down where the link led to.
func (b *build) link(root *os.Root, name, target string, mask fs.FileMode) error {
	if mask == maxMode {
		return root.Symlink(target, name)
	}
	return root.WriteFile(name+".link", []byte(target+"\n"), 0o600)
}
