package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"cloud.google.com/go/storage"

	"farshore/agent/record"
	"farshore/agent/restore"
	"farshore/agent/restore/dir"
	"farshore/agent/restore/gcstarget"
	"farshore/agent/restore/repos"
	"farshore/agent/restore/s3target"
	"farshore/agent/vault"
	"farshore/providers/s3/s3client"
)

// runRestore restores.
func runRestore(ctx context.Context, e *env, o restoreOptions) (result, error) {
	var r restoreResult
	err := e.withVault(ctx, o.access, func(v *vault.Vault) error {
		c, err := e.choose(ctx, v, o.source, o.at)
		if err != nil {
			return err
		}
		snap, err := c.snapshot(ctx, v)
		if err != nil {
			return err
		}
		p := new(restore.Progress)
		bar := e.follow("restore", func() (int64, int64, int64, int64) {
			return p.Done.Load(), max(p.DoneBytes.Load(), p.Read.Load()), p.Planned.Load(), p.PlannedBytes.Load()
		})
		defer bar.Done()
		sum, err := restoreItems(ctx, v, snap, o, p)
		bar.Done()
		notices := e.sightings(v)
		if sum == nil {
			return err
		}
		noun := "item"
		if holdsRepositories(snap) {
			noun = "repository"
		}
		r = restoreOf(o, c, sum, noun)
		if err = explained(o, sum, o.access.recovers(v), err); err != nil && sum.Restored.Items+sum.Equal.Items+sum.Differs.Items == 0 {
			r = restoreResult{} // its numbers would say nothing
		}
		lacking, perr := partly(ctx, snap, o)
		r.Failed, r.Notices = append(r.Failed, lacking...), append(r.Notices, notices...)
		verdict := verdictOf(sum, noun, err, newestComplete([]*vault.Chain{c.chain}, c.commit.Time))
		if err == nil && verdict == nil {
			verdict = partlyError(lacking, o.source)
		}
		return errors.Join(err, verdict, perr)
	})
	if r.Source == "" {
		return nil, err
	}
	return r, err
}

// restoreItems restores a snapshot of whatever kind. The summary is nil where nothing could begin.
func restoreItems(ctx context.Context, v *vault.Vault, snap *vault.Snapshot, o restoreOptions, p *restore.Progress) (*restore.Summary, error) {
	scheme, _, isURL := strings.Cut(o.to, "://")
	switch {
	case holdsRepositories(snap):
		return restoreRepositories(ctx, v, snap, o, p)
	case isURL && pushes(scheme):
		return nil, usagef("%s is a bucket: its objects can't be pushed to %s", o.source, o.to).with("DEST is a directory, or an s3:// or gs:// URL")
	case o.hooks || o.as != repos.AsRepository:
		return nil, usagef("--hooks and --as are for repositories: %s is a bucket", o.source)
	}
	target, done, err := openTarget(ctx, o.to)
	if err != nil {
		return nil, err
	}
	sum, err := restore.Run(ctx, snap, v.NewReader(), target, restore.Options{
		Prefix: o.prefix, Item: o.item, Overwrite: o.overwrite, DryRun: o.dryRun, Progress: p,
	})
	return sum, errors.Join(err, done())
}

// explained says what errors mean with which a restore could not begin.
func explained(o restoreOptions, sum *restore.Summary, recovers bool, err error) error {
	var none *restore.NotFoundError
	switch {
	case errors.As(err, &none):
		return noItem(o.item, o.source)
	case errors.Is(err, vault.ErrLocked) && recovers:
		return damagef("no item could be restored: the recovery identity at hand opens none of their packs, which are damaged or were never sealed to it").with(damageHint)
	case errors.Is(err, vault.ErrLocked) && sum.Restored.Items == 0:
		return fmt.Errorf("the contents are sealed to the recovery keys: %w", vault.ErrLocked)
	}
	return err
}

// noItem says that a snapshot has no item of a path.
func noItem(item, source string) error {
	return usagef("the snapshot has no item %s", printable(item)).with("`farshore ls %s` lists the items; paths are exact, without a leading slash unless the key has one", source)
}

// openTarget opens what --to names: an s3:// or gs:// URL, or else a directory. done releases it.
func openTarget(ctx context.Context, to string) (target restore.Target, done func() error, err error) {
	nothing := func() error { return nil }
	switch {
	case strings.HasPrefix(to, "s3://"):
		at, err := s3client.Parse(to)
		if err != nil {
			return nil, nil, usagef("--to: %w", err)
		}
		client, err := at.New(ctx, s3client.Options{UserAgent: userAgent()})
		if err != nil {
			return nil, nil, err
		}
		return s3target.New(client, at.Bucket, at.Prefix, s3target.Options{}), nothing, nil
	case strings.HasPrefix(to, "gs://"):
		u, err := url.Parse(to)
		if err != nil || u.Host == "" || u.RawQuery != "" {
			return nil, nil, usagef("--to: %q is no gs://bucket/prefix", to)
		}
		client, err := storage.NewClient(ctx)
		if err != nil {
			return nil, nil, fmt.Errorf("open %s: %w", to, err)
		}
		return gcstarget.New(client.Bucket(u.Host), strings.TrimPrefix(u.Path, "/"), gcstarget.Options{}), client.Close, nil
	}
	d, err := dir.Open(to, dir.Options{})
	if err != nil {
		return nil, nil, fmt.Errorf("open %s: %w", to, err)
	}
	return d, d.Close, nil
}

func restoreOf(o restoreOptions, c *chosen, s *restore.Summary, noun string) restoreResult {
	r := restoreResult{
		DryRun: o.dryRun, Source: s.Source.Name, Chain: c.chain.ID, Seq: c.commit.Seq, Time: record.FormatTime(c.commit.Time), Complete: c.commit.Complete, To: o.to,
		Restored: s.Restored.Items, Equal: s.Equal.Items, Differing: s.Differs.Items, Replaced: s.Overwritten.Items, Bytes: s.Restored.Bytes,
		Unreadable: s.Earlier.Items + s.Unrestorable.Items, Seconds: s.Duration.Seconds(), noun: noun,
	}
	for _, n := range s.Escaped.Named {
		r.Renamed = append(r.Renamed, renamedResult{pathJSON: jsonPath(n.Path), To: n.As, Why: n.Why, path: n.Path})
	}
	if more := s.Escaped.Items - int64(len(s.Escaped.Named)); more > 0 {
		r.Notices = append(r.Notices, plural(more, "more "+noun)+" restored under another name")
	}
	failed := "the destination can't hold it"
	if noun == "repository" {
		failed = "not as it was captured"
	}
	for _, t := range []struct {
		what  string
		tally *restore.Tally
	}{
		{"damaged in the vault", &s.Damaged}, {failed, &s.Failed},
		{"differs at the destination, left as it is", &s.Differs}, {"could not be read at the source, ever", &s.Unrestorable},
	} {
		for _, n := range t.tally.Named {
			r.Failed = append(r.Failed, failedResult{pathJSON: jsonPath(n.Path), Error: joined(t.what, n.Why), path: n.Path})
		}
		if more := t.tally.Items - int64(len(t.tally.Named)); more > 0 {
			r.Notices = append(r.Notices, plural(more, "more "+noun)+": "+t.what)
		}
	}
	for _, n := range s.Earlier.Named {
		r.Notices = append(r.Notices, printable(n.Path)+" could not be read when the snapshot was taken; its last good content was restored")
	}
	for _, what := range sortedKeys(s.NotPutBack) {
		if noun == "repository" {
			r.Notices = append(r.Notices, fmt.Sprintf("not as at the source: %s (%s)", what, formatCount(s.NotPutBack[what])))
		} else {
			r.Notices = append(r.Notices, fmt.Sprintf("not put back: %s of %s", what, plural(s.NotPutBack[what], noun)))
		}
	}
	return r
}

func joined(what, why string) string {
	if why == "" {
		return what
	}
	return what + ": " + why
}

// overwriteHint says what --overwrite does.
func overwriteHint(noun string) string {
	if noun == "repository" {
		return "--overwrite moves what differs aside and restores in its place; at a server it moves refs that differ. Or restore to an empty place"
	}
	return "--overwrite replaces what differs"
}

// verdictOf is the failure that a restore without an error still means.
func verdictOf(s *restore.Summary, noun string, err error, complete *chosen) error {
	switch {
	case err != nil:
		return nil
	case s.Damaged.Items > 0:
		return damagef("%s could not be restored: the vault no longer has them as they were", plural(s.Damaged.Items, noun)).with(damageHint)
	case s.Differs.Items > 0:
		return incompletef("%s of the snapshot not restored: something else has the name at the destination", plural(s.Differs.Items, noun)).with("%s", overwriteHint(noun))
	case s.Incomplete():
		f := incompletef("not every %s of the snapshot is at the destination as it was: the lines above say which, and why", noun)
		for _, n := range s.Failed.Named {
			if f.hint == "" {
				f.hint = serverHint(n.Why)
			}
		}
		return f
	case !s.Complete:
		f := incompletef("all is restored that the snapshot has, but it is incomplete: its pass did not reach the end")
		if complete != nil {
			return f.with("--at %d restores the newest complete one", complete.commit.Seq)
		}
		return f
	}
	return nil
}
