package svn

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"farshore/agent/record"
	"farshore/agent/source"
)

// beside are the files and folders of a repository that a dump does not have.
var beside = []string{"README.txt", "conf", "db/format", "db/fs-type", "db/fsfs.conf", "db/uuid", "format", "hooks"}

// Bounds of a record of the files beside a repository. What is more is named as omitted.
const (
	maxBeside      = 4096     // files
	maxBesideBytes = 64 << 20 // in all files
	maxBesideNames = 1 << 20  // bytes of their names, and of where links lead to
	maxBesideSeen  = 20000    // files that are looked at, stored or not
	maxOmitted     = 20       // things that are named; of more only the number is said
)

// sideFiles calls each with the files beside a repository, in the order of their names. The templates that a new repository comes with are left out. It returns
// false when there are so many that not all were looked at.
func sideFiles(dir string, each func(name string, info fs.FileInfo) error) (all bool, err error) {
	w := &sideWalk{dir: dir, each: each}
	for _, top := range beside {
		if err := filepath.WalkDir(filepath.Join(dir, filepath.FromSlash(top)), w.visit); err != nil {
			return false, err
		}
	}
	return w.seen <= maxBesideSeen, nil
}

type sideWalk struct {
	dir  string
	each func(name string, info fs.FileInfo) error
	seen int
}

func (w *sideWalk) visit(p string, d fs.DirEntry, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || d.IsDir() || strings.HasSuffix(p, ".tmpl") {
		return err
	}
	if w.seen++; w.seen > maxBesideSeen {
		return fs.SkipAll
	}
	info, err := d.Info()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	name, rerr := filepath.Rel(w.dir, p)
	if err = errors.Join(err, rerr); err != nil {
		return err
	}
	return w.each(filepath.ToSlash(name), info)
}

func sidecarStamp(dir string) (string, error) {
	if is, err := examine(dir); !is || err != nil {
		return "", cmp.Or(err, source.ErrGone)
	}
	s := newStamp()
	_, err := sideFiles(dir, func(name string, info fs.FileInfo) error {
		s.add(name, info)
		return nil
	})
	return s.String(), err
}

// captureSidecar stores the files beside a repository. What is neither a file nor a symbolic link, what can't be read, and what is more than the bounds is omitted.
func captureSidecar(ctx context.Context, dir string, e source.Entry, sink source.Sink) (*record.Record, error) {
	if is, err := examine(dir); !is || err != nil {
		return nil, trouble(dir, cmp.Or(err, source.ErrGone))
	}
	rec := &record.Record{Path: e.Path, Version: e.Version, Kind: record.KindSidecar, State: record.Present, Attrs: record.Attrs{}}
	if v := e.Attrs[attrStamp]; v != "" {
		rec.Attrs[attrStamp] = v
	}
	c := &sidecar{ctx: ctx, dir: dir, sink: sink, rec: rec, files: maxBeside, bytes: maxBesideBytes, names: maxBesideNames}
	all, err := sideFiles(dir, c.file)
	if bad := cmp.Or(c.bad, ctx.Err()); bad != nil {
		return nil, bad
	}
	if err != nil {
		return nil, trouble(dir, err)
	}
	if !all {
		c.omit("more files", fmt.Sprintf("only %d in hooks and conf are looked at: keep there only what Subversion uses", maxBesideSeen))
	}
	slices.SortFunc(rec.Parts, func(a, b record.Part) int { return strings.Compare(a.Attrs["name"], b.Attrs["name"]) })
	if c.more > 0 {
		c.omitted = append(c.omitted, fmt.Sprintf("%d more: as these", c.more))
	}
	if len(c.omitted) > 0 {
		rec.Attrs[record.AttrOmitted] = strings.Join(c.omitted, "\n")
	}
	return rec, nil
}

// sidecar is one capture of the files beside a repository.
type sidecar struct {
	ctx  context.Context
	dir  string
	sink source.Sink
	rec  *record.Record
	bad  error // of the sink

	files, bytes, names int64 // that there still is room for
	omitted             []string
	more                int // that are omitted and not named
}

func (c *sidecar) omit(what, why string) {
	if len(c.omitted) >= maxOmitted {
		c.more++
		return
	}
	c.omitted = append(c.omitted, what+": "+strings.NewReplacer("\n", " ", "\r", " ").Replace(why))
}

// file stores a file. Its error ends the capture.
func (c *sidecar) file(name string, info fs.FileInfo) error {
	p, body, size, err := openBeside(filepath.Join(c.dir, filepath.FromSlash(name)), name, info)
	if absent(err) {
		return c.ctx.Err()
	}
	if err != nil {
		c.omit(fmt.Sprintf("%.200q", name), strings.ToValidUTF8(err.Error(), "?"))
		return c.ctx.Err()
	}
	defer body.Close()
	described := int64(len(name) + len(p.Attrs["link"]))
	if c.files < 1 || size > c.bytes || described > c.names {
		c.omit(fmt.Sprintf("%.200q", name), fmt.Sprintf("all such files together may be %d of %d bytes", maxBeside, maxBesideBytes))
		return c.ctx.Err()
	}
	watched := &watchedBody{Reader: io.LimitReader(body, size)} // what grows now is seen by the next listing
	p, err = c.sink.Part(c.ctx, p, size, watched)
	switch {
	case watched.err != nil && c.ctx.Err() == nil:
		c.omit(fmt.Sprintf("%.200q", name), strings.ToValidUTF8(watched.err.Error(), "?"))
		return nil
	case err != nil:
		c.bad = err
		return err
	}
	c.files, c.bytes, c.names = c.files-1, c.bytes-size, c.names-described
	c.rec.Parts = append(c.rec.Parts, p)
	return nil
}

// openBeside makes the part of a file or symbolic link, and opens it; size is how many bytes it has.
func openBeside(path, name string, info fs.FileInfo) (p record.Part, body io.ReadCloser, size int64, err error) {
	p = record.Part{Kind: record.PartFile, Attrs: record.Attrs{"name": name}}
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(path)
		p.Attrs["link"] = target
		return p, io.NopCloser(strings.NewReader("")), 0, err
	case !info.Mode().IsRegular():
		return p, nil, 0, &oddFile{"it is neither a file nor a symbolic link"}
	}
	p.Attrs["mode"] = fmt.Sprintf("%o", info.Mode().Perm())
	f, size, err := openRegular(path)
	if errors.Is(err, fs.ErrPermission) {
		err = &oddFile{"it may not be read"}
	}
	if err != nil {
		return p, nil, 0, err // a nil *os.File is no nil io.ReadCloser
	}
	return p, f, size, nil
}
