package repos

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"

	"farshore/agent/record"
	"farshore/agent/restore/gitrepo"
	"farshore/agent/restore/svnrepo"
)

// subversion is package svnrepo as an SVN.
type subversion struct{}

// Build implements SVN.
func (subversion) Build(ctx context.Context, parts gitrepo.Parts, svn, sidecar *record.Record, dir string, hooks bool) ([]string, error) {
	if err := os.MkdirAll(filepath.Dir(dir), 0o777); err != nil {
		return nil, err
	}
	rep, err := svnrepo.Build(ctx, parts, svnrepo.Set{SVN: svn, Sidecar: sidecar}, dir, svnrepo.Options{Hooks: hooks})
	if err != nil {
		return nil, err
	}
	return rep.Notes, nil
}

// Same implements SVN. Subversion has no cheaper comparison than a whole check.
func (subversion) Same(ctx context.Context, parts gitrepo.Parts, svn *record.Record, dir string) (bool, string, error) {
	found, err := svnrepo.Check(ctx, parts, svnrepo.Set{SVN: svn}, dir)
	return err == nil && len(found) == 0, strings.Join(found, "; "), err
}

// Dump implements SVN.
func (subversion) Dump(ctx context.Context, parts gitrepo.Parts, svn *record.Record, w io.Writer) error {
	return svnrepo.Dump(ctx, parts, svnrepo.Set{SVN: svn}, w)
}
