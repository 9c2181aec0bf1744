package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"farshore/agent/record"
	"farshore/agent/vault"
)

// catOptions are what cat was asked for.
type catOptions struct {
	access *access
	source string
	at     when
	item   string
}

func catCommand(e *env) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "cat SOURCE[@WHEN] ITEM",
		Short: "Write one item's content to stdout",
		Long: `Write the content of one item of a snapshot to stdout, or to a new file with --output. The content is compared with its
SHA-256 at the end: when the exit code is not 0, what was written must not be used. The recovery identity is needed.

Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 there is no such snapshot, 4 damage or tampering.`,
		Example: "  farshore cat shop images/a.png --vault gs://offsite/vault --identity recovery.key > a.png",
		Args:    arguments(2, 2, "SOURCE[@WHEN] and ITEM"),
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "new `FILE` to write to in place of stdout")
	return e.reads(cmd, func(ctx context.Context, args []string) (result, error) {
		source, at, err := parseAt(args[0])
		if err != nil {
			return nil, err
		}
		if e.flags.json && output == "" {
			return nil, usagef("with --json the content can't go to stdout too").with("name a file with --output FILE")
		}
		a, err := e.access()
		if err != nil {
			return nil, err
		}
		o := catOptions{access: a, source: source, at: at, item: args[1]}
		if output == "" {
			_, err := runCat(ctx, e, o, e.stdout)
			return nil, err
		}
		return catFile(output, func(w io.Writer) (*catResult, error) { return runCat(ctx, e, o, w) })
	})
}

// catFile writes to a new file, and removes it when the content did not come whole.
func catFile(path string, write func(io.Writer) (*catResult, error)) (result, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil, usagef("%s exists already and is left as it is", path)
	}
	if err != nil {
		return nil, fmt.Errorf("create output: %w", err)
	}
	r, err := write(f)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, errors.Join(err, os.Remove(path))
	}
	r.Output = path
	return r, nil
}

// catResult is the result of cat with --output.
type catResult struct {
	pathJSON
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
	Output string `json:"output"`
	// Notices are what was noticed on the way, tampering that was seen through above all.
	Notices []string `json:"notices,omitempty"`
}

func (r *catResult) text(p *printer) {
	p.line("%s written to %s, SHA-256 %s", formatBytes(r.Size), r.Output, r.SHA256)
}

// runCat writes an item's content to w.
func runCat(ctx context.Context, e *env, o catOptions, w io.Writer) (*catResult, error) {
	var r *catResult
	err := e.withVault(ctx, o.access, func(v *vault.Vault) error {
		c, err := e.choose(ctx, v, o.source, o.at)
		if err != nil {
			return err
		}
		snap, err := c.snapshot(ctx, v)
		if err != nil {
			return err
		}
		rec, err := snap.Find(ctx, o.item)
		if err != nil {
			return err
		}
		part, err := e.content(rec, o.item, o.source)
		if err != nil {
			return err
		}
		if err := v.NewReader().Copy(ctx, w, part); err != nil {
			return contentError(o.item, o.access.recovers(v), err)
		}
		r = &catResult{pathJSON: jsonPath(o.item), Size: part.Size, SHA256: part.SHA256.String(), Notices: e.sightings(v)}
		return nil
	})
	return r, err
}

// contentError says what it means that an item's content could not be read. What the recovery identity at hand does not open is damaged, or was
// never sealed to it.
func contentError(item string, recovers bool, err error) error {
	switch {
	case errors.Is(err, vault.ErrContent):
		return damagef("item %s: %w", printable(item), err).with(damageHint)
	case errors.Is(err, vault.ErrLocked) && recovers:
		return damagef("item %s: its pack is damaged, or was never sealed to the recovery identity at hand: %w", printable(item), err).with(damageHint)
	case errors.Is(err, vault.ErrLocked):
		return fmt.Errorf("the content of %s is sealed to the recovery keys: %w", printable(item), vault.ErrLocked)
	}
	return err
}

// damageHint says what to do about content that the vault does not have as it was.
const damageHint = "`farshore verify` says what is damaged; an earlier snapshot may have the same items"

// content returns the part that has an item's content. For an unreadable item that is the last good one's, with a warning.
func (e *env) content(rec *record.Record, item, source string) (*record.Part, error) {
	repository := rec != nil && rec.Kind != record.KindObject
	if !repository && rec != nil && rec.State == record.Unreadable && rec.Last != nil {
		e.warn("%s could not be read when the snapshot was taken (%s): this is its last good content", printable(item), rec.Reason)
		rec = rec.Last
	}
	switch {
	case rec == nil:
		return nil, noItem(item, source)
	case repository:
		return nil, usagef("%s is a repository (%s), and has no one content", printable(item), rec.Kind).with("`farshore restore --source %s --item %s --to DIR` restores it; --as bundle or --as dump writes one plain file", source, printable(item))
	case rec.State != record.Present || len(rec.Parts) == 0:
		return nil, fmt.Errorf("item %s has no content in this snapshot: it is %s %s", printable(item), rec.State, rec.Reason)
	}
	return &rec.Parts[0], nil
}
