package items

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"syscall"

	"farshore/agent/record"
	"farshore/agent/repo/gitcmd"
	"farshore/agent/repo/process"
	"farshore/agent/repo/svncmd"
	"farshore/agent/repo/tempdir"
	"farshore/agent/report"
	"farshore/agent/vault"
	"farshore/agent/verify/repos"
)

// DefaultRepositories is how many repositories are restored and checked where nobody says how many.
const DefaultRepositories = 3

// candidate is a repository that was drawn.
type candidate struct {
	*repos.Set
	source string
	rank   []byte
}

// repositories draws repositories of the newest snapshots and has each restored and checked by git or Subversion.
func (r *run) repositories(ctx context.Context) error {
	if !r.o.Restore || r.o.Repositories < 0 || !slices.ContainsFunc(r.o.Chains, hasRepositories) {
		return nil
	}
	drawn, total, err := r.drawRepositories(ctx)
	if err != nil {
		return err
	}
	dealt := int64(0)
	defer func() {
		if total > dealt {
			r.unchecked("repositories restored and checked by their own programs", total-dealt, "only a few are drawn in a run, and none that is larger than its budget")
		}
	}()
	if len(drawn) == 0 {
		return nil
	}
	dir, err := tempdir.New(r.o.Scratch, "farshore-verify-")
	if err != nil {
		r.res.Repos.Unchecked += int64(len(drawn))
		dealt = int64(len(drawn))
		r.o.Note(report.AuditFinding{Severity: string(vault.Notice), Text: "repositories could not be restored: no scratch directory could be made" + want(err)})
		return nil
	}
	var spent int64
	for i, c := range drawn {
		if spent += c.Size(); r.o.Bytes > 0 && spent > r.o.Bytes {
			break // the others are counted as not checked
		}
		if err = r.repository(ctx, c, filepath.Join(dir.Path, fmt.Sprint(i))); err != nil {
			break
		}
		dealt++
	}
	return errors.Join(err, dir.Close())
}

func hasRepositories(c *vault.Chain) bool {
	return (c.Source.Kind == record.KindGit || c.Source.Kind == record.KindSVN) && newest(c) != nil
}

// drawRepositories returns those of the least ranks among the repositories that the budget has room for, and how many there are.
func (r *run) drawRepositories(ctx context.Context) (drawn []candidate, total int64, err error) {
	for _, c := range r.o.Chains {
		if !hasRepositories(c) {
			continue
		}
		if err := r.offer(ctx, c, &drawn, &total); err != nil {
			if err = r.broken(ctx, err); err != nil {
				return nil, total, err
			}
		}
	}
	return drawn, total, nil
}

// offer lets the repositories of a chain take part.
func (r *run) offer(ctx context.Context, c *vault.Chain, drawn *[]candidate, total *int64) error {
	snap, err := r.v.Snapshot(ctx, newest(c))
	if err != nil {
		return err
	}
	for set, err := range repos.Sets(snap.Records(ctx, "", "")) {
		if err != nil {
			return err
		}
		*total++
		if r.o.Bytes > 0 && set.Size() > r.o.Bytes {
			continue
		}
		next := candidate{set, c.Source.Name, r.hash("repositories", c.ID, set.Path)}
		at, _ := slices.BinarySearchFunc(*drawn, next, func(a, b candidate) int { return bytes.Compare(a.rank, b.rank) })
		if at < r.o.Repositories {
			*drawn = slices.Insert(*drawn, at, next)
			*drawn = (*drawn)[:min(len(*drawn), r.o.Repositories)]
		}
	}
	return nil
}

// broken says that the repositories of a chain can't be listed, where that is for damage or want of a key.
func (r *run) broken(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, vault.ErrLocked):
		r.unchecked("repositories of a source", -1, "no key at hand opens its snapshot")
		return nil
	case !r.isLoss(ctx, err):
		return err
	}
	object := objectOf(err, nil)
	r.lose(Lost{Object: object, Kind: r.diagnose(ctx, object), Why: err.Error()}, "the repositories of a source can't be listed: a page of its newest snapshot is lost")
	return nil
}

// repository has one repository checked.
func (r *run) repository(ctx context.Context, c candidate, dir string) error {
	out, err := repos.Check(ctx, r.reader, c.Set, dir)
	res := &r.res.Repos
	switch {
	case len(out.Problems) > 0:
		res.Problems++
		for i, p := range out.Problems {
			if i < maxProblems && len(r.res.Lost) < MaxLost {
				r.res.Lost = append(r.res.Lost, Lost{Kind: report.DamageContent, Source: c.source, Path: c.Path, Why: p})
			}
		}
		r.o.Note(report.AuditFinding{
			Severity: string(vault.Damage), Item: r.o.Name(c.source, c.Path),
			Text: fmt.Sprintf("a repository is not as it was captured when it is restored: %s", unnamed(len(out.Problems), "problem", "problems")),
		})
	case out.Unchecked != nil:
		res.Unchecked++
		why := "this machine could not restore or check it" + want(out.Unchecked)
		if out.Locked {
			why = "no key at hand opens it"
		}
		r.o.Note(report.AuditFinding{Severity: string(vault.Notice), Item: r.o.Name(c.source, c.Path), Text: "a repository was not checked: " + why})
	case out.Done:
		res.Checked++
	}
	return err
}

// maxProblems bounds how many problems of one repository are listed.
const maxProblems = 20

// want says what this machine lacks to check repositories; "" where it is not known. Only known words are said: an error may have a name in it.
func want(err error) string {
	switch {
	case errors.Is(err, svncmd.ErrMissing):
		return ": the programs svnadmin and svn can't be run"
	case errors.Is(err, gitcmd.ErrMissing):
		return ": the git program can't be run"
	case process.NoRoom(err):
		return ": there is no room in the scratch directory"
	case errors.Is(err, syscall.EROFS):
		return ": its file system can't be written"
	case errors.Is(err, fs.ErrPermission):
		return ": this user may not write there"
	case errors.Is(err, fs.ErrNotExist):
		return ": a directory is not there"
	}
	return ""
}
