package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"farshore/agent/record"
	"farshore/agent/vault"
)

// snapshotsOptions are what snapshots was asked for.
type snapshotsOptions struct {
	access *access
	// source is the only source to show, "" for all.
	source string
}

func snapshotsCommand(e *env) *cobra.Command {
	return e.does(&cobra.Command{
		Use:   "snapshots [SOURCE]",
		Short: "List the points in time that can be restored",
		Long: `List the snapshots in the vault. Without a key that opens it, it shows what anyone who can read the store may
see: the chains, with numbers, times and sizes, but not what they are of.

Exit codes: 0 done, 1 failed, 2 usage or configuration, 4 damage or tampering.`,
		Example: "  farshore snapshots\n  farshore snapshots --vault gs://offsite/vault --identity recovery.key",
		Args:    arguments(0, 1, "at most one SOURCE"),
	}, func(ctx context.Context, args []string) (result, error) {
		a, err := e.access()
		if err != nil {
			return nil, err
		}
		o := snapshotsOptions{access: a}
		if len(args) == 1 {
			o.source = args[0]
		}
		return runSnapshots(ctx, e, o)
	})
}

// snapshotsResult is the result of snapshots.
type snapshotsResult struct {
	VaultID  string          `json:"vault_id"`
	Owner    string          `json:"owner"`
	Pinned   bool            `json:"pinned"`
	Chains   []chainResult   `json:"chains"`
	Findings []findingResult `json:"findings,omitempty"`
}

// chainResult is one chain; Source is empty without a key that opens it.
type chainResult struct {
	Chain   string `json:"chain"`
	Source  string `json:"source,omitempty"`
	Place   string `json:"place,omitempty"`
	Retired bool   `json:"retired,omitempty"`
	// Head is the newest commit's number and hash, to be kept elsewhere: whoever has it notices a chain that was cut or replaced.
	Head      string           `json:"head,omitempty"`
	Snapshots []snapshotResult `json:"snapshots"`
}

// snapshotResult is one commit with its snapshot.
type snapshotResult struct {
	Seq        int64    `json:"seq"`
	Time       string   `json:"time"`
	Complete   bool     `json:"complete"`
	Revoked    bool     `json:"revoked,omitempty"`
	Suspicious []string `json:"suspicious,omitempty"`
	Items      int64    `json:"items"`
	Bytes      int64    `json:"bytes"`
	Unreadable int64    `json:"unreadable,omitempty"`
	// AddedBytes is what the commit added to the vault, stored bytes.
	AddedBytes int64 `json:"added_bytes"`
}

// findingResult is something that a reader noticed.
type findingResult struct {
	Severity string `json:"severity"`
	Object   string `json:"object"`
	Text     string `json:"text"`
}

func (r snapshotsResult) text(p *printer) {
	p.line("vault %s", r.VaultID)
	rows := [][]string{{"SOURCE", "NUMBER", "TIME", "ITEMS", "SIZE", "ADDED", "STATE"}}
	for _, c := range r.Chains {
		for _, s := range c.Snapshots {
			rows = append(rows, []string{
				cmp.Or(c.Source, c.Chain), strconv.FormatInt(s.Seq, 10), s.Time, formatCount(s.Items), formatBytes(s.Bytes), formatBytes(s.AddedBytes), s.state(),
			})
		}
	}
	p.table(rows)
	if len(rows) == 1 {
		p.line("no snapshots yet")
	}
	for _, c := range r.Chains {
		retired := ""
		if c.Retired {
			retired = ", retired"
		}
		p.line("head of %s: %s%s", cmp.Or(c.Source, c.Chain), c.Head, retired)
	}
	printFindings(p, r.Findings)
}

// state says in a word or two what a snapshot is good for.
func (s *snapshotResult) state() string {
	switch {
	case s.Revoked:
		return "revoked"
	case len(s.Suspicious) > 0:
		return "suspicious: " + s.Suspicious[0]
	case !s.Complete:
		return "incomplete"
	case s.Unreadable > 0:
		return "complete, " + formatCount(s.Unreadable) + " unreadable"
	}
	return "complete"
}

func printFindings(p *printer, findings []findingResult) {
	for _, f := range findings {
		p.line("%s: %s: %s", f.Severity, f.Object, f.Text)
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// runSnapshots reads the chains.
func runSnapshots(ctx context.Context, e *env, o snapshotsOptions) (result, error) {
	r := snapshotsResult{Chains: []chainResult{}}
	err := e.withVault(ctx, o.access, func(v *vault.Vault) error {
		r.VaultID, r.Owner, r.Pinned = v.ID(), v.Owner().String(), v.Pinned()
		chains, err := v.Chains(ctx)
		if err != nil {
			return err
		}
		r.Findings = findingsOf(v.Findings())
		found := false
		for _, c := range chains {
			if o.source != "" && c.Source.Name != o.source && c.ID != o.source {
				continue
			}
			found = true
			r.Findings = append(r.Findings, findingsOf(c.Findings)...)
			if c.ID != "" {
				r.Chains = append(r.Chains, chainOf(c))
			}
		}
		if o.source != "" && !found {
			return e.noSource(v, o.source, nil)
		}
		return alarming(r.Findings)
	})
	if r.VaultID == "" {
		return nil, err
	}
	return r, err
}

// chainOf lists a chain's snapshots. Commits without one, as the first and a retiring one may be, are left out.
func chainOf(c *vault.Chain) chainResult {
	r := chainResult{Chain: c.ID, Source: c.Source.Name, Place: c.Source.Place, Retired: c.Retired(), Snapshots: []snapshotResult{}}
	for _, k := range c.Commits {
		if h := c.Head(); k == h {
			r.Head = fmt.Sprintf("%d:%s", h.Seq, h.Hash)
		}
		if k.Root == nil || k.Retired || (k.Seq == 1 && !k.Complete && k.Counts == (record.Counts{})) {
			continue
		}
		r.Snapshots = append(r.Snapshots, snapshotResult{
			Seq: k.Seq, Time: record.FormatTime(k.Time), Complete: k.Complete, Revoked: k.Revoked, Suspicious: k.Suspicious,
			Items: k.Counts.Items, Bytes: k.Counts.Bytes, Unreadable: k.Counts.Unreadable, AddedBytes: k.AddedBytes + k.StoredSize,
		})
	}
	return r
}
