package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"farshore/agent/record"
	"farshore/agent/tripwire"
	"farshore/agent/vault"
)

// snapshotsOptions are what snapshots was asked for.
type snapshotsOptions struct {
	access *access
	// source is the only source to show, "" for all.
	source string
}

func snapshotsCommand(e *env) *cobra.Command {
	return e.reads(&cobra.Command{
		Use:   "snapshots [SOURCE]",
		Short: "List the points in time that can be restored",
		Long: `List the snapshots in the vault. Without a key that opens it, it shows what anyone who can read the store may
see: the chains, with numbers, times and sizes, but not what they are of. The head of each chain is its newest commit: keep the
heads elsewhere, and give one back with --seen to notice that the vault has lost commits since. What was seen on this machine is
remembered in the local state, and noticed by itself.

Exit codes: 0 done, 1 failed, 2 usage or configuration, 4 damage or tampering.`,
		Example: "  farshore snapshots\n  farshore snapshots --vault gs://offsite/vault --identity recovery.key\n  farshore snapshots --seen 17:0f2e4c1b5a697887f0e1d2c3b4a59687",
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
	// Reports are about the newest header drill on record.
	reported
	// Protection is what is known here of the agent's credential, where there is a configuration.
	Protection *protection `json:"protection,omitempty"`
	Notices    []string    `json:"notices,omitempty"`
}

// chainResult is one chain; Source is empty without a key that opens it.
type chainResult struct {
	Chain   string `json:"chain"`
	Source  string `json:"source,omitempty"`
	Place   string `json:"place,omitempty"`
	Retired bool   `json:"retired,omitempty"`
	// Head is the newest commit's number and hash, to be kept elsewhere: whoever has it notices a chain that was cut or replaced.
	Head string `json:"head,omitempty"`
	// RolledBack says that the chain ends before a commit that was seen, or has another in its place.
	RolledBack string `json:"rolled_back,omitempty"`
	// Repositories are those of the newest snapshot, where the source is one of repositories.
	Repositories *holdsResult     `json:"repositories,omitempty"`
	Snapshots    []snapshotResult `json:"snapshots"`
}

// snapshotResult is one commit with its snapshot.
type snapshotResult struct {
	Seq        int64    `json:"seq"`
	Time       string   `json:"time"`
	Complete   bool     `json:"complete"`
	Revoked    bool     `json:"revoked,omitempty"`
	Suspicious []string `json:"suspicious,omitempty"`
	Accepted   []string `json:"accepted,omitempty"`
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
			items, size := formatCount(s.Items), formatBytes(s.Bytes)
			if !s.Complete {
				items, size = "-", "-" // only a pass that reached the end knows
			}
			rows = append(rows, []string{
				r.title(c), strconv.FormatInt(s.Seq, 10), s.Time, items, size, formatBytes(s.AddedBytes), s.state(),
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
			retired = " (retired)"
		}
		p.line("head of %s%s: %s", r.title(c), retired, or(briefHead(c.Head), "none"))
		if c.RolledBack != "" {
			p.line("  ROLLED BACK: %s", c.RolledBack)
		}
	}
	keepHeads(p, len(r.Chains))
	for _, c := range r.Chains {
		if c.Repositories != nil {
			p.line("%s in snapshot %d of %s%s", plural(c.Repositories.Count, "repository"), c.Repositories.Seq, r.title(c), c.Repositories.lacks(c.Source))
		}
	}
	p.line("%s", r.line())
	if r.Protection != nil {
		p.line("the agent's credential: %s", r.Protection)
	}
	printFindings(p, r.Findings)
}

// title is what commands call a chain: its source's name where that is known, and its id where several have the name.
func (r *snapshotsResult) title(c chainResult) string {
	same := 0
	for _, other := range r.Chains {
		if other.Source == c.Source {
			same++
		}
	}
	switch {
	case c.Source == "":
		return c.Chain
	case same > 1:
		return c.Source + " " + c.Chain
	}
	return c.Source
}

// state says in a word or two what a snapshot is good for.
func (s *snapshotResult) state() string {
	switch {
	case s.Revoked:
		return "revoked"
	case len(s.Suspicious) > 0:
		return s.suspicion()
	case !s.Complete:
		return "incomplete"
	case s.Unreadable > 0:
		return "complete, " + formatCount(s.Unreadable) + " unreadable"
	}
	return "complete"
}

// brief is state in a word where the snapshot is suspicious.
func (s *snapshotResult) brief() string {
	if len(s.Suspicious) > 0 && !s.Revoked {
		return "SUSPICIOUS"
	}
	return s.state()
}

// suspicion names the reasons' codes; --json has their texts.
func (s *snapshotResult) suspicion() string {
	var codes []string
	for _, reason := range s.Suspicious {
		codes = append(codes, tripwire.CodeOf(reason))
	}
	text := "SUSPICIOUS: " + strings.Join(codes, ", ")
	if !s.Complete {
		text = "incomplete, " + text
	}
	return text
}

// maxPrinted bounds how many findings are printed for people; --json has up to a thousand.
const maxPrinted = 25

func printFindings(p *printer, findings []findingResult) {
	for i, f := range findings {
		if i == maxPrinted {
			p.line("and %s more: --json lists them", plural(int64(len(findings)-i), "finding"))
			return
		}
		p.line("%s", clean(joinedBy(": ", f.Severity, f.Object, f.Text)))
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// runSnapshots reads the chains.
func runSnapshots(ctx context.Context, e *env, o snapshotsOptions) (result, error) {
	r := snapshotsResult{Chains: []chainResult{}}
	err := e.withVault(ctx, o.access, func(v *vault.Vault) error {
		r.VaultID, r.Owner, r.Pinned = v.ID(), v.Owner().String(), v.Pinned()
		chains, err := e.chains(ctx, v)
		if err != nil {
			return err
		}
		r.Findings = findingsOf(v.Findings())
		found := false
		var names []string
		for _, c := range chains {
			if c.Source.Name != "" {
				names = append(names, c.Source.Name)
			}
			if o.source != "" && !e.about(v, c, o.source) {
				continue
			}
			found = found || c.ID != ""
			r.Findings = append(r.Findings, findingsOf(c.Findings)...)
			if c.ID != "" {
				one := chainOf(c)
				one.Source = e.sourceOf(v, c)
				one.Repositories = holds(ctx, v, c)
				r.Chains = append(r.Chains, one)
			}
		}
		if o.source != "" && !found {
			r = snapshotsResult{}
			return e.noSource(v, o.source, names)
		}
		slices.SortStableFunc(r.Chains, chainResult.before)
		r.Protection = e.proven
		shelf, findings := e.reports(ctx, v)
		r.reported, r.Findings, r.Notices = shelf, append(r.Findings, findings...), e.sightings(v)
		if err := e.refuse(v, chains, o.source); err != nil {
			return err
		}
		return alarming(r.Findings)
	})
	if r.VaultID == "" {
		return nil, err
	}
	return r, err
}

// before orders chains by their sources' names, and those of one source by time.
func (c chainResult) before(d chainResult) int {
	if n := cmp.Compare(c.Source, d.Source); n != 0 || len(c.Snapshots) == 0 || len(d.Snapshots) == 0 {
		return n
	}
	return cmp.Compare(c.Snapshots[0].Time, d.Snapshots[0].Time)
}

// chainOf lists a chain's snapshots. Commits without one, as the first and a retiring one may be, are left out.
func chainOf(c *vault.Chain) chainResult {
	r := chainResult{Chain: c.ID, Source: c.Source.Name, Place: c.Source.Place, Retired: c.Retired(), Snapshots: []snapshotResult{}}
	if c.RolledBack != nil {
		r.RolledBack = c.RolledBack.Error()
	}
	for _, k := range c.Commits {
		if h := c.Head(); k == h {
			r.Head = fmt.Sprintf("%d:%s", h.Seq, h.Hash)
		}
		if k.Root == nil || k.Retired || (k.Seq == 1 && !k.Complete && k.Counts == (record.Counts{})) {
			continue
		}
		r.Snapshots = append(r.Snapshots, snapshotResult{
			Seq: k.Seq, Time: record.FormatTime(k.Time), Complete: k.Complete, Revoked: k.Revoked, Suspicious: k.Suspicious, Accepted: k.Accepted,
			Items: k.Counts.Items, Bytes: k.Counts.Bytes, Unreadable: k.Counts.Unreadable, AddedBytes: k.AddedBytes + k.StoredSize,
		})
	}
	return r
}
