package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
	"time"

	"farshore/agent/config"
	"farshore/crypto/keyring"
	"farshore/providers"
)

//go:embed recovery.md.tmpl
var guideTemplate string

// layout is where init writes, and what it has written.
type layout struct {
	config, state                           string
	keys, agent, metadata                   string
	kit, recovery, unfinished, owner, guide string
	vault                                   string
	made                                    []string // files and directories, in the order in which they were made
}

// newLayout names all the files.
func newLayout(o initOptions) *layout {
	keys := filepath.Join(filepath.Dir(o.config), "keys")
	return &layout{
		vault: o.vault, config: o.config, state: o.state,
		keys: keys, agent: filepath.Join(keys, config.AgentKey), metadata: filepath.Join(keys, config.MetadataKey),
		kit: o.kit, recovery: filepath.Join(o.kit, "recovery.key"), unfinished: filepath.Join(o.kit, "recovery.key.unfinished"),
		owner: filepath.Join(o.kit, "owner.key"), guide: filepath.Join(o.kit, "RECOVERY.md"),
	}
}

// check refuses files that exist, all at once.
func (l *layout) check() error {
	var there []string
	for _, path := range []string{l.config, l.agent, l.metadata, l.recovery, l.unfinished, l.owner, l.guide} {
		if _, err := os.Lstat(path); err == nil {
			there = append(there, path)
		} else if !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if len(there) == 0 {
		return nil
	}
	f := usagef("exists already, and is left as it is: %s", strings.Join(there, ", "))
	if there[0] == l.config {
		return f.with("a configuration means that init was done here: name another with --config, and another --kit")
	}
	return f.with("they belong to another vault or agent, whose configuration lies beside them: then give --config in a directory of its own, and another --kit. " +
		"Or an init that was killed left them, and no configuration: if no vault was made with them, move them away and run init again")
}

// writeKeys writes the keys, before there is a vault. The recovery key has a name that says so, until its comments can name the vault.
func (l *layout) writeKeys(k *initKeys) error {
	for _, dir := range []string{filepath.Dir(l.config), l.keys, l.kit} {
		if err := l.mkdir(dir); err != nil {
			return err
		}
	}
	owner := k.owner.Public().String()
	return l.each([]step{
		{l.agent, func(path string) error { return keyring.WriteAgentKey(path, k.agent) }},
		{l.metadata, func(path string) error { return keyring.WriteMetadata(path, k.metadata) }},
		{l.owner, func(path string) error { return keyring.WriteOwnerKey(path, k.owner) }},
		{l.unfinished, func(path string) error {
			if k.recovery == "" {
				return nil
			}
			return keyring.WriteRecovery(path, k.recovery, "", owner)
		}},
	})
}

// step writes one file.
type step struct {
	path  string
	write func(path string) error
}

// each takes the steps, and remembers what was made.
func (l *layout) each(steps []step) error {
	for _, s := range steps {
		if err := s.write(s.path); err != nil {
			return err
		}
		if _, err := os.Lstat(s.path); err == nil {
			l.made = append(l.made, s.path)
		}
	}
	return nil
}

// mkdir makes a directory that only its owner may enter, and those above it, where they are missing.
func (l *layout) mkdir(dir string) error {
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := l.mkdir(filepath.Dir(dir)); err != nil {
		return err
	}
	mode := fs.FileMode(0o755)
	if dir == l.keys || dir == l.kit {
		mode = 0o700
	}
	if err := os.Mkdir(dir, mode); err != nil {
		return err
	}
	l.made = append(l.made, dir)
	return nil
}

// finish writes what names the vault, and the configuration at the very end.
func (l *layout) finish(k *initKeys, r *initResult, now time.Time) error {
	if k.recovery != "" {
		if err := keyring.WriteRecovery(l.recovery, k.recovery, r.VaultID, r.Owner); err != nil {
			return err
		}
		if err := os.Remove(l.unfinished); err != nil {
			return err
		}
	}
	text, err := guide(r, now)
	if err != nil {
		return err
	}
	if err := createFile(l.guide, text); err != nil {
		return err
	}
	return config.Create(l.config, &config.Config{
		Vault: r.Vault, Owner: r.Owner, Recipients: r.Recipients, State: l.state,
		Commit: config.Commit{Every: config.DefaultEvery, Bytes: config.DefaultBytes},
	})
}

// undo removes what was made, the last first. Directories that were there before stay.
func (l *layout) undo() error {
	var errs []error
	for _, path := range slices.Backward(l.made) {
		if err := os.Remove(path); err != nil {
			errs = append(errs, err)
		}
	}
	l.made = nil
	return errors.Join(errs...)
}

// abandon decides what becomes of the keys when the vault could not be made: they are removed only when its place is empty for certain.
func (l *layout) abandon(ctx context.Context, b *providers.Bucket) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkPatience)
	defer cancel()
	if err := checkEmpty(ctx, b); err != nil {
		return fmt.Errorf("the vault may have been made all the same (%w); its keys are kept: %s", err, strings.Join(l.made, ", "))
	}
	return l.undo()
}

// guide writes RECOVERY.md.
func guide(r *initResult, now time.Time) (string, error) {
	t, err := template.New("recovery").Parse(guideTemplate)
	if err != nil {
		return "", err
	}
	scheme, _, _ := strings.Cut(r.Vault, ":")
	var b strings.Builder
	err = t.Execute(&b, struct {
		*initResult
		Date, Version, Scheme string
		OwnRecovery, Hybrid   bool
	}{r, now.UTC().Format(time.DateOnly), buildVersion().Version, scheme, r.recovery, strings.HasPrefix(r.Recipients[0], "age1pq1")})
	return b.String(), err
}

// createFile writes a new file that only its owner may read, and makes it durable.
func createFile(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Sync(), f.Close())
}
