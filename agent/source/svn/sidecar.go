package svn

import (
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

// maxBeside bounds how many such files there may be.
const maxBeside = 10000

// sideFiles calls each with the files beside a repository, in the order of their names. The templates that a new repository comes with are left out.
func sideFiles(dir string, each func(name string, info fs.FileInfo) error) error {
	n := 0
	for _, top := range beside {
		err := filepath.WalkDir(filepath.Join(dir, filepath.FromSlash(top)), func(p string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil || d.IsDir() || strings.HasSuffix(p, ".tmpl") {
				return err
			}
			if n++; n > maxBeside {
				return unreadable(record.ReasonTooLarge, "there are more than %d files in hooks and conf: keep there only what Subversion uses", maxBeside)
			}
			info, err := d.Info()
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			name, rerr := filepath.Rel(dir, p)
			if err = errors.Join(err, rerr); err != nil {
				return err
			}
			return each(filepath.ToSlash(name), info)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func sidecarAttrs(dir string) (record.Attrs, error) {
	s := newStamp()
	err := sideFiles(dir, func(name string, info fs.FileInfo) error {
		s.add(name, info)
		return nil
	})
	if err != nil {
		return nil, gone(err)
	}
	return record.Attrs{attrStamp: s.String()}, nil
}

// captureSidecar stores the files beside a repository. What is neither a file nor a symbolic link is omitted.
func captureSidecar(ctx context.Context, dir string, e source.Entry, sink source.Sink) (*record.Record, error) {
	if !isRepository(dir) {
		return nil, source.ErrGone
	}
	rec := &record.Record{Path: e.Path, Version: e.Version, Kind: record.KindSidecar, State: record.Present, Attrs: record.Attrs{}}
	if v := e.Attrs[attrStamp]; v != "" {
		rec.Attrs[attrStamp] = v
	}
	var omitted []string
	var bad error // of the sink
	err := sideFiles(dir, func(name string, info fs.FileInfo) error {
		p, body, err := openFile(filepath.Join(dir, filepath.FromSlash(name)), name, info)
		var left *omission
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case errors.As(err, &left):
			omitted = append(omitted, fmt.Sprintf("%q: %s", name, left.why))
			return nil
		case err != nil:
			return err
		}
		p, bad = sink.Part(ctx, p, -1, body)
		rec.Parts = append(rec.Parts, p)
		return errors.Join(bad, body.Close())
	})
	if bad != nil {
		return nil, bad
	}
	if err != nil {
		return nil, gone(err)
	}
	slices.SortFunc(rec.Parts, func(a, b record.Part) int { return strings.Compare(a.Attrs["name"], b.Attrs["name"]) })
	if len(omitted) > 0 {
		rec.Attrs[record.AttrOmitted] = strings.Join(omitted, "\n")
	}
	return rec, nil
}

// omission says why a file can't be stored.
type omission struct{ why string }

func (o *omission) Error() string { return o.why }

// openFile makes the part of a file or symbolic link, and opens it.
func openFile(path, name string, info fs.FileInfo) (record.Part, io.ReadCloser, error) {
	p := record.Part{Kind: record.PartFile, Attrs: record.Attrs{"name": name}}
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(path)
		p.Attrs["link"] = target
		return p, io.NopCloser(strings.NewReader("")), err
	case !info.Mode().IsRegular():
		return p, nil, &omission{"it is neither a file nor a symbolic link"}
	}
	p.Attrs["mode"] = fmt.Sprintf("%o", info.Mode().Perm())
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrPermission) {
		return p, nil, &omission{"it may not be read"}
	}
	return p, f, err
}
