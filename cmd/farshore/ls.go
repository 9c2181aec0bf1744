package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"farshore/agent/record"
	"farshore/agent/vault"
)

// lsOptions are what ls was asked for.
type lsOptions struct {
	access *access
	source string
	at     when
	prefix string
}

func lsCommand(e *env) *cobra.Command {
	return e.reads(&cobra.Command{
		Use:   "ls SOURCE[@WHEN] [PREFIX]",
		Short: "List the items of a snapshot",
		Long: `List the items of a source's newest complete snapshot that is not suspicious, or of that of WHEN: a commit's number, or a
time, which means the last complete snapshot not later than it. PREFIX is the bytes that paths begin with. Odd bytes of paths are shown as \xNN.

Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 no complete snapshot, 4 damage or tampering.`,
		Example: "  farshore ls shop images/2026/\n  farshore ls shop@2026-11-21T19:10:54Z --vault gs://offsite/vault --identity recovery.key",
		Args:    arguments(1, 2, "SOURCE[@WHEN] and at most one PREFIX"),
	}, func(ctx context.Context, args []string) (result, error) {
		source, at, err := parseAt(args[0])
		if err != nil {
			return nil, err
		}
		a, err := e.access()
		if err != nil {
			return nil, err
		}
		o := lsOptions{access: a, source: source, at: at}
		if len(args) == 2 {
			o.prefix = args[1]
		}
		return runLs(ctx, e, o, func(i result) error { return e.out.item(i) })
	})
}

// lsItem is one line of ls, an element of the result's member "items".
type lsItem struct {
	pathJSON
	Version string `json:"version,omitempty"`
	State   string `json:"state"`
	Reason  string `json:"reason,omitempty"`
	// Detail says of a repository what its source said, and what to do.
	Detail string `json:"detail,omitempty"`
	Size   int64  `json:"size"`
	// Modified is the source's own time, where it gave one.
	Modified string `json:"modified,omitempty"`
	SHA256   string `json:"sha256,omitempty"`
	// Kind is that of a repository's record: git, lfs, sidecar or svn; absent for an object. About says what it holds, Omitted what of it could not be
	// captured, a line each.
	Kind    string `json:"kind,omitempty"`
	About   string `json:"about,omitempty"`
	Omitted string `json:"omitted,omitempty"`
	path    string
}

// newLsItem returns an item with its path in all its forms.
func newLsItem(path string) lsItem { return lsItem{pathJSON: jsonPath(path), path: path} }

func (i lsItem) text(p *printer) {
	state := ""
	if i.Reason != "" {
		state += "  (" + i.State + ": " + i.Reason + ")"
	}
	p.line("%12s  %-20s  %s%s", formatCount(i.Size), toTheSecond(i.Modified), printable(i.path), state)
}

// toTheSecond shortens a time for people; whatever it is else stays as it is, but for its length.
func toTheSecond(text string) string {
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return t.UTC().Format(time.RFC3339)
	}
	return fmt.Sprintf("%.20s", printable(text))
}

// lsResult is what ls says behind the items.
type lsResult struct {
	Source   string `json:"source"`
	Chain    string `json:"chain"`
	Seq      int64  `json:"seq"`
	Time     string `json:"time"`
	Complete bool   `json:"complete"`
	Count    int64  `json:"count"`
	Bytes    int64  `json:"bytes"`
	// Repositories counts those that the items are of, where the source is one of repositories.
	Repositories int64 `json:"repositories,omitempty"`
	// Notices are what was noticed on the way, tampering that was seen through above all.
	Notices []string `json:"notices,omitempty"`
}

func (r lsResult) text(p *printer) {
	what := plural(r.Count, "item")
	if r.Repositories > 0 {
		what = plural(r.Repositories, "repository")
	}
	p.line("%s, %s, in snapshot %d of %s", what, formatBytes(r.Bytes), r.Seq, r.Time)
}

// runLs lists a snapshot's items to emit, in order. People see the items of a repository as one line.
func runLs(ctx context.Context, e *env, o lsOptions, emit func(result) error) (result, error) {
	var r lsResult
	err := e.withVault(ctx, o.access, func(v *vault.Vault) error {
		c, err := e.choose(ctx, v, o.source, o.at)
		if err != nil {
			return err
		}
		snap, err := c.snapshot(ctx, v)
		if err != nil {
			return err
		}
		r = lsResult{Source: snap.Source().Name, Chain: c.chain.ID, Seq: c.commit.Seq, Time: record.FormatTime(c.commit.Time), Complete: c.commit.Complete}
		l := lister{r: &r, emit: emit, together: !e.flags.json}
		for rec, err := range snap.Prefix(ctx, o.prefix) {
			if err == nil {
				err = l.add(itemOf(rec))
			}
			if err != nil {
				return err
			}
		}
		r.Notices = e.sightings(v)
		return l.flush()
	})
	if err != nil && r.Chain == "" {
		return nil, err
	}
	return r, err
}

// itemOf shows a record. Of an unreadable item it shows the last good record's size, if there is one.
func itemOf(rec *record.Record) lsItem {
	i := newLsItem(rec.Path)
	i.Version, i.State, i.Reason = rec.Version, rec.State, rec.Reason
	good := rec
	if rec.Last != nil {
		good = rec.Last
	}
	i.Size, i.Modified = good.Size(), good.Attrs["modified"]
	if rec.Kind != record.KindObject {
		i.Kind, i.About, i.Omitted, i.Detail = rec.Kind, about(rec.Kind, good), good.Attrs[record.AttrOmitted], rec.Detail
		i.Modified = good.Attrs["captured"]
		return i
	}
	if len(good.Parts) == 1 {
		i.SHA256 = good.Parts[0].SHA256.String()
	}
	return i
}
