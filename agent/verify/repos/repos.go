// Package repos restores single repositories from a vault into a scratch place, and has git and Subversion check them there: they define the formats. What it says is of the
// repository, of the vault, or of this machine, and never one for the other. It leaves nothing behind.
package repos

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"slices"

	"farshore/agent/record"
	"farshore/agent/restore/gitrepo"
	"farshore/agent/restore/svnrepo"
	"farshore/agent/vault"
)

// Set is a repository's records in one snapshot, by kind: that of kind git or svn, and those of kinds lfs and sidecar where it has them.
type Set struct {
	Path string
	Kind string // record.KindGit or record.KindSVN
	Recs map[string]*record.Record
}

// Size is the plaintext bytes of all parts.
func (s *Set) Size() (n int64) {
	for _, r := range s.Recs {
		for i := range r.Parts {
			n += r.Parts[i].Size
		}
	}
	return n
}

// Sets groups records, which are in order, by their path, and leaves out what was never captured. Of an item that is unreadable it takes the last good record. After an error
// it stops.
func Sets(records iter.Seq2[*record.Record, error]) iter.Seq2[*Set, error] {
	return func(yield func(*Set, error) bool) {
		var cur *Set
		flush := func() bool { return cur == nil || cur.Kind == "" || yield(cur, nil) }
		for rec, err := range records {
			if err != nil {
				yield(nil, err)
				return
			}
			if cur == nil || cur.Path != rec.Path {
				if !flush() {
					return
				}
				cur = &Set{Path: rec.Path, Recs: map[string]*record.Record{}}
			}
			cur.take(rec)
		}
		flush()
	}
}

// take adds a record that has something captured.
func (s *Set) take(rec *record.Record) {
	good := rec
	if rec.State == record.Unreadable {
		good = rec.Last
	}
	if good == nil || good.State != record.Present {
		return
	}
	s.Recs[rec.Kind] = good
	if rec.Kind == record.KindGit || rec.Kind == record.KindSVN {
		s.Kind = rec.Kind
	}
}

// Current reports whether the attributes that a source gives of a repository now are those of its record: refs of git; id and youngest revision of Subversion.
func (s *Set) Current(now record.Attrs) bool { return Current(s.Recs[s.Kind], now) }

// Current is Set.Current for a record of kind git or svn.
func Current(rec *record.Record, now record.Attrs) bool {
	return now["refs"] == rec.Attrs["refs"] && now["youngest"] == rec.Attrs["youngest"] && now["uuid"] == rec.Attrs["uuid"]
}

// Outcome is what came of checking one repository.
type Outcome struct {
	// Done says that it was restored and checked to the end.
	Done bool
	// Problems are what is wrong with what is stored. None where Done: it is as it was captured.
	Problems []string
	// Unchecked says why it could not be checked: this machine, or that no key at hand opens it.
	Unchecked error
	// Locked says that Unchecked is for want of a key.
	Locked bool
}

// Check restores a repository into dir, which must not be there and is gone afterwards, and has it checked by its own program. The error is of the vault, which could not be
// read, of the context, or says that dir can't be removed: whoever goes on would fill the disk.
func Check(ctx context.Context, parts vault.PartReader, set *Set, dir string) (Outcome, error) {
	w := vault.NewWatch(parts)
	found, err := problems(ctx, w, set, dir)
	left := os.RemoveAll(dir)
	if left != nil {
		left = fmt.Errorf("what was restored to check it can't be removed; remove %s and verify again: %w", dir, left)
	}
	out, err := conclude(ctx, found, err, w.Failure())
	return out, errors.Join(err, left)
}

// conclude says what problems mean, and what restoring or checking failed with, and what the vault did.
func conclude(ctx context.Context, found []string, err, failure error) (Outcome, error) {
	verdict := judge(ctx, err, failure)
	cause := cmp.Or(err, failure)
	switch {
	case verdict == failed:
		return Outcome{}, cmp.Or(ctx.Err(), failure)
	case verdict == wrong && (err != nil || len(found) == 0):
		return Outcome{Done: true, Problems: append(found, cause.Error())}, nil
	case verdict == unchecked, verdict == locked:
		return Outcome{Problems: found, Unchecked: cause, Locked: verdict == locked}, nil
	}
	return Outcome{Done: true, Problems: found}, nil
}

// problems restores the repository into dir and returns what that and its check say is not as it was captured.
func problems(ctx context.Context, parts gitrepo.Parts, set *Set, dir string) ([]string, error) {
	if set.Kind == record.KindSVN {
		of := svnrepo.Set{SVN: set.Recs[record.KindSVN], Sidecar: set.Recs[record.KindSidecar]}
		if _, err := svnrepo.Build(ctx, parts, of, dir, svnrepo.Options{}); err != nil { // its notes are no problems
			return nil, err
		}
		return svnrepo.Check(ctx, parts, of, dir)
	}
	of := gitrepo.Set{Git: set.Recs[record.KindGit], LFS: set.Recs[record.KindLFS], Sidecar: set.Recs[record.KindSidecar]}
	built, err := gitrepo.Build(ctx, parts, of, dir, gitrepo.Options{AsStored: true})
	if err != nil {
		return nil, err
	}
	found, err := gitrepo.Check(ctx, parts, of, dir)
	return slices.Concat(built.Problems, found), err
}
