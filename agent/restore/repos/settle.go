package repos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"

	"farshore/agent/record"
	"farshore/agent/repo/process"
	"farshore/agent/repo/svncmd"
	"farshore/agent/repo/tempdir"
	"farshore/agent/restore/gitrepo"
	"farshore/agent/restore/internal/workplace"
	"farshore/agent/vault"
)

// built is what came of making one repository.
type built struct {
	problems   []string
	damaged    bool // some of the problems are damage in the vault
	notPutBack map[string]int64
}

// note adds a line on what is not as it was, though the repository as such is whole.
func (b *built) note(line string) {
	if b.notPutBack == nil {
		b.notPutBack = map[string]int64{}
	}
	b.notPutBack[line]++
}

// settle restores one repository, or counts why not. An error stops the run.
func (r *run) settle(ctx context.Context, it *item) error {
	w := vault.NewWatch(counted{r})
	var err error
	switch {
	case it.svn != nil && r.dest.URL != "":
		r.outOfForm(it, "a Subversion repository can't be pushed to a git server; restore it to a directory")
	case r.dest.URL != "":
		err = r.push(ctx, it, w)
	case r.o.As == AsRepository:
		err = r.folder(ctx, it, w)
	case (r.o.As == AsBundle) == (it.svn == nil):
		err = r.file(ctx, it, w)
	case it.svn == nil:
		r.outOfForm(it, "a git repository has no dump; restore it as a bundle")
	default:
		r.outOfForm(it, "a Subversion repository has no bundle; restore it as a dump")
	}
	if err != nil {
		return r.judge(ctx, it, w, err)
	}
	return nil
}

// judge sorts a failure: what is about this repository is counted, and the rest stops the run.
func (r *run) judge(ctx context.Context, it *item, w *vault.Watch, err error) error {
	var damage *vault.DamageError
	var part *gitrepo.PartError
	failure := w.Failure()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case process.NoRoom(err):
		return fmt.Errorf("no room left for %q; make room and restore again, what is there already is skipped: %w", it.path, err)
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, svncmd.ErrMissing):
		return err
	case failure == nil && process.Machine(err):
		r.failed(it, fmt.Errorf("it failed for a cause that says nothing of what the vault has; see to that and restore again: %w", err))
	case failure == nil && errors.As(err, &part), errors.As(failure, &damage), errors.Is(failure, vault.ErrContent):
		r.damaged(it, err)
	case errors.Is(failure, vault.ErrLocked):
		r.locked.Add(1)
		r.damaged(it, err)
	case failure != nil:
		return fmt.Errorf("read %q: %w", it.path, err)
	default:
		r.failed(it, err)
	}
	return nil
}

// counted reads parts and counts what passes.
type counted struct{ run *run }

// Copy implements vault.PartReader.
func (c counted) Copy(ctx context.Context, to io.Writer, p *record.Part) error {
	return c.run.parts.Copy(ctx, &sink{w: to, run: c.run, packed: len(p.Extents)+len(p.Pages) > 0}, p)
}

// sink counts what passes.
type sink struct {
	w      io.Writer
	run    *run
	packed bool
}

// Write hands on.
func (s *sink) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	s.run.progress.Read.Add(int64(n))
	if s.packed && n > 0 {
		s.run.opened.Store(true)
	}
	return n, err
}

// folder restores a repository to the directory.
func (r *run) folder(ctx context.Context, it *item, w *vault.Watch) error {
	p, err := r.find(it.path)
	if err != nil {
		return err
	}
	replaced := ""
	if p.there {
		same, why, err := r.same(ctx, it, w, p.path)
		switch {
		case err != nil:
			return err
		case same:
			r.equal(it, p)
			return nil
		case !isRepository(p.path):
			r.differs(it, p, "a folder that is no repository has the name; move it away, or restore elsewhere")
			return nil
		case !r.o.Overwrite:
			r.differs(it, p, why)
			return nil
		}
		replaced = why
	}
	if r.o.DryRun {
		r.restored(it, p, replaced, nil)
		return nil
	}
	b, err := r.replace(p, func(to string) (*built, error) { return r.build(ctx, it, w, to) })
	if err != nil {
		return err
	}
	r.restored(it, p, replaced, b)
	return nil
}

// same reports whether what is at path is the repository.
func (r *run) same(ctx context.Context, it *item, w *vault.Watch, path string) (same bool, why string, err error) {
	switch {
	case !isRepository(path):
		return false, "", nil
	case it.svn != nil:
		return r.o.SVN.Same(ctx, w, it.svn, path)
	}
	return gitrepo.Same(ctx, w, it.git, path)
}

// replace makes something at its place. What has the name is moved aside only when its successor is whole.
func (r *run) replace(p place, make func(to string) (*built, error)) (*built, error) {
	if !p.there {
		return make(p.path)
	}
	var b *built
	left, err := workplace.Replace(p.path, func(to string) (err error) {
		b, err = make(to)
		return err
	})
	if err != nil {
		return nil, err
	}
	if left != nil {
		b.note(fmt.Sprintf("what an interrupted restore left can't be removed: %v", left))
	}
	return b, nil
}

// build makes a repository.
func (r *run) build(ctx context.Context, it *item, w *vault.Watch, to string) (*built, error) {
	if it.svn != nil {
		notes, err := r.o.SVN.Build(ctx, w, it.svn, it.sidecar(), to, r.o.Hooks)
		b := &built{}
		for _, n := range notes {
			b.note(n)
		}
		return b, err
	}
	rep, err := gitrepo.Build(ctx, w, it.git, to, gitrepo.Options{Hooks: r.o.Hooks})
	if err != nil {
		return nil, err
	}
	b := &built{problems: rep.Problems, damaged: rep.Damaged > 0}
	if rep.SidecarsOff > 0 {
		b.notPutBack = map[string]int64{"configuration and hooks, which lie in farshore-sidecar": int64(rep.SidecarsOff)}
	}
	return b, nil
}

// file restores a repository as a bundle or dump.
func (r *run) file(ctx context.Context, it *item, w *vault.Watch) error {
	suffix := ".bundle"
	if it.svn != nil {
		suffix = ".svndump"
	}
	p, err := r.find(it.path + suffix)
	if err != nil {
		return err
	}
	replaced := ""
	if p.there {
		same := false
		if it.svn == nil {
			if same, err = gitrepo.SameBundle(ctx, w, it.git, p.path); err != nil {
				return err
			}
		}
		switch {
		case same:
			r.equal(it, p)
			return nil
		case !r.o.Overwrite:
			r.differs(it, p, "a file has the name")
			return nil
		}
		replaced = "a file had the name"
	}
	if r.o.DryRun {
		r.restored(it, p, replaced, nil)
		return nil
	}
	b, err := r.replace(p, func(to string) (*built, error) { return beside(it), r.writeFile(ctx, it, w, to) })
	if err != nil {
		return err
	}
	r.restored(it, p, replaced, b)
	return nil
}

func (r *run) writeFile(ctx context.Context, it *item, w *vault.Watch, to string) error {
	return workplace.NewFile(to, func(f io.Writer) error {
		if it.svn != nil {
			return r.o.SVN.Dump(ctx, w, it.svn, f)
		}
		return gitrepo.Bundle(ctx, w, it.git, f, "")
	})
}

// beside is what neither a bundle or dump nor a server takes.
func beside(it *item) *built {
	b := &built{notPutBack: map[string]int64{}}
	if it.git.LFS != nil && len(it.git.LFS.Parts) > 0 {
		b.notPutBack["large files"] = int64(len(it.git.LFS.Parts))
	}
	if s := it.sidecar(); s != nil && len(s.Parts) > 0 {
		b.notPutBack["configuration and hooks"] = int64(len(s.Parts))
	}
	return b
}

// push restores a repository to a server.
func (r *run) push(ctx context.Context, it *item, w *vault.Watch) error {
	if r.o.DryRun {
		r.restored(it, place{}, "", nil)
		return nil
	}
	scratch, err := tempdir.New("", "farshore-push-")
	if err != nil {
		return err
	}
	set := it.git
	set.LFS, set.Sidecar = nil, nil
	dir := filepath.Join(scratch.Path, "repository.git")
	_, err = gitrepo.Build(ctx, w, set, dir, gitrepo.Options{})
	if err == nil {
		var rep *gitrepo.PushReport
		if rep, err = gitrepo.Push(ctx, dir, r.address(it), r.dest.Push); err == nil {
			r.pushed(it, rep)
		}
	}
	return errors.Join(err, scratch.Close())
}

// pushed counts what came of a push.
func (r *run) pushed(it *item, rep *gitrepo.PushReport) {
	b := beside(it)
	if rep.Moved > 0 {
		b.notPutBack["refs that the server has below refs/backup/"] = int64(rep.Moved)
	}
	if rep.Dangling > 0 {
		b.notPutBack["symbolic refs that point to nothing"] = int64(rep.Dangling)
	}
	if rep.Differs > 0 {
		b.problems = append(b.problems, fmt.Sprintf("%d refs are elsewhere at the server and were left alone: %s", rep.Differs, first(rep.DifferingRefs)))
	}
	if rep.Refused > 0 {
		b.problems = append(b.problems, fmt.Sprintf("the server refused %d refs: %s", rep.Refused, first(rep.RefusedRefs)))
	}
	if rep.Pushed+rep.Moved == 0 && rep.Same > 0 && len(b.problems) == 0 {
		r.equal(it, place{})
		return
	}
	r.restored(it, place{}, "", b)
}

func first(list []gitrepo.PushedRef) string {
	if len(list) == 0 {
		return ""
	}
	return fmt.Sprintf("%q %s", list[0].Name, list[0].Why)
}

// address is where a repository is pushed to. A working copy's git directory goes by the name of its folder.
func (r *run) address(it *item) string {
	base := strings.TrimPrefix(r.dest.URL, "git+")
	if !r.several {
		return base
	}
	path := it.path
	if folder, ok := strings.CutSuffix(path, "/.git"); ok {
		path = folder + ".git"
	}
	return strings.TrimSuffix(base, "/") + "/" + escapePath(base, path)
}
