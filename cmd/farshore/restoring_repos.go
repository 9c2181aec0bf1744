package main

import (
	"context"
	"path/filepath"
	"strings"

	"farshore/agent/record"
	"farshore/agent/restore"
	"farshore/agent/restore/gitrepo"
	"farshore/agent/restore/repos"
	"farshore/agent/vault"
)

// holdsRepositories reports whether a snapshot is one of repositories.
func holdsRepositories(snap *vault.Snapshot) bool {
	kind := snap.Source().Kind
	return kind == record.KindGit || kind == record.KindSVN
}

// restoreRepositories restores the repositories of a snapshot.
func restoreRepositories(ctx context.Context, v *vault.Vault, snap *vault.Snapshot, o restoreOptions, p *restore.Progress) (*restore.Summary, error) {
	scheme, _, isURL := strings.Cut(o.to, "://")
	svn := snap.Source().Kind == record.KindSVN
	var dest repos.Destination
	switch {
	case svn && isURL && pushes(scheme):
		return nil, usagef("%s holds Subversion repositories, which can't be pushed to a server of git", o.source).with("restore to a directory, and serve them from there")
	case svn && o.as == repos.AsBundle:
		return nil, usagef("%s holds Subversion repositories, which have no bundles", o.source).with("--as dump writes a dump of each")
	case !svn && o.as == repos.AsDump:
		return nil, usagef("%s holds git repositories, which have no dumps", o.source).with("--as bundle writes a bundle of each")
	case isURL && pushes(scheme) && o.as != repos.AsRepository:
		return nil, usagef("a git server takes repositories, no bundles").with("restore bundles to a directory")
	case isURL && !pushes(scheme):
		return nil, usagef("%s holds repositories, and %s:// takes none", o.source, scheme).with("DEST is a directory, or for repositories of git a server's git+https:// or git+ssh:// address")
	case isURL:
		secret := o.passwordFile
		if secret != "" {
			var err error
			if secret, err = filepath.Abs(secret); err != nil {
				return nil, err
			}
		}
		dest = repos.Destination{URL: o.to, Push: gitrepo.PushOptions{Username: o.username, Password: passwordIn(secret)}}
	default:
		dest.Dir = o.to
	}
	return repos.Run(ctx, snap, v.NewReader(), dest, repos.Options{
		Prefix: o.prefix, Item: o.item, Overwrite: o.overwrite, Hooks: o.hooks, DryRun: o.dryRun, As: o.as, Progress: p,
	})
}

// partly lists the repositories among those to restore that were captured, but for some of them: what is restored of these lacks that, too.
func partly(ctx context.Context, snap *vault.Snapshot, o restoreOptions) ([]failedResult, error) {
	if !holdsRepositories(snap) {
		return nil, nil
	}
	records := snap.Prefix(ctx, o.prefix)
	if o.itemSet {
		records = snap.Records(ctx, o.item, o.item+"\x00")
	}
	var out []failedResult
	for rec, err := range records {
		if err != nil {
			return nil, err
		}
		good := rec
		if rec.State == record.Unreadable {
			good = rec.Last
		}
		if good == nil || good.State != record.Present || good.Attrs[record.AttrOmitted] == "" {
			continue
		}
		why := "restored without what could not be captured; an earlier snapshot may have it: " + good.Attrs[record.AttrOmitted]
		out = append(out, failedResult{pathJSON: jsonPath(rec.Path), Error: why, path: rec.Path})
	}
	return out, nil
}

// partlyError is the failure that such repositories mean, nil without any.
func partlyError(lacking []failedResult, source string) error {
	if len(lacking) == 0 {
		return nil
	}
	return incompletef("%s captured, but for some of it: the lines above say what is missing", plural(int64(len(lacking)), "repository")).
		with("`farshore snapshots %s` lists earlier snapshots, and `farshore ls %s@NUMBER` what each has; --at NUMBER --item PATH --to ELSEWHERE restores one of them", source, source)
}
