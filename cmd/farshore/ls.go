package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
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
	return e.does(&cobra.Command{
		Use:   "ls SOURCE[@WHEN] [PREFIX]",
		Short: "List the items of a snapshot",
		Long: `List the items of a source's newest snapshot, or of that of WHEN: a commit's number, or a time, which means the last
complete snapshot not later than it. PREFIX is the bytes that paths begin with. Odd bytes of paths are shown as \xNN.

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
		return runLs(ctx, e, o, func(i lsItem) error { return e.out.item(i) })
	})
}

// lsItem is one line of ls, an element of the result's member "items".
type lsItem struct {
	pathJSON
	Version string `json:"version,omitempty"`
	State   string `json:"state"`
	Reason  string `json:"reason,omitempty"`
	Size    int64  `json:"size"`
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
	if i.Kind != "" {
		state = "  [" + joinedBy(" ", i.Kind, i.About) + "]"
	}
	if i.Reason != "" {
		state += "  (" + i.State + ": " + i.Reason + ")"
	}
	if i.Omitted != "" {
		state += "  (incomplete: " + printable(firstLine(i.Omitted)) + ")"
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
}

func (r lsResult) text(p *printer) {
	p.line("%s, %s, in snapshot %d of %s", plural(r.Count, "item"), formatBytes(r.Bytes), r.Seq, r.Time)
}

// runLs lists a snapshot's items to emit, in order.
func runLs(ctx context.Context, e *env, o lsOptions, emit func(lsItem) error) (result, error) {
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
		for rec, err := range snap.Prefix(ctx, o.prefix) {
			if err != nil {
				return err
			}
			i := itemOf(rec)
			r.Count++
			r.Bytes += i.Size
			if err := emit(i); err != nil {
				return err
			}
		}
		return nil
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
		i.Kind, i.About, i.Omitted = rec.Kind, about(good), good.Attrs[record.AttrOmitted]
		i.Modified = good.Attrs["captured"]
		return i
	}
	if len(good.Parts) == 1 {
		i.SHA256 = good.Parts[0].SHA256.String()
	}
	return i
}

// about says in a few words what a repository's record holds.
func about(rec *record.Record) string {
	switch {
	case rec.Attrs["count"] != "":
		return rec.Attrs["count"] + " refs"
	case rec.Attrs["youngest"] != "":
		return "revision " + rec.Attrs["youngest"]
	}
	return plural(int64(len(rec.Parts)), "file")
}

// joinedBy joins what is not empty.
func joinedBy(sep string, words ...string) string {
	return strings.Join(slices.DeleteFunc(words, func(s string) bool { return s == "" }), sep)
}

func firstLine(s string) string {
	first, rest, _ := strings.Cut(s, "\n")
	if strings.TrimSpace(rest) != "" {
		first += " …"
	}
	return first
}
