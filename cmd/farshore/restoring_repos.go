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
	var dest repos.Destination
	switch {
	case isURL && !pushes(scheme):
		return nil, usagef("%s holds repositories, and %s:// takes none", o.source, scheme).with("DEST is a directory, or git+https:// or git+ssh:// for repositories of git")
	case isURL:
		secret := o.passwordFile
		if secret != "" {
			var err error
			if secret, err = filepath.Abs(secret); err != nil {
				return nil, err
			}
		}
		dest = repos.Destination{URL: o.to, Push: gitrepo.PushOptions{Username: o.username, Password: password(secret)}}
	default:
		dest.Dir = o.to
	}
	return repos.Run(ctx, snap, v.NewReader(), dest, repos.Options{
		Prefix: o.prefix, Item: o.item, Overwrite: o.overwrite, Hooks: o.hooks, DryRun: o.dryRun, As: o.as, Progress: p,
	})
}
