package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"farshore/agent/config"
	"farshore/agent/record"
)

// replicateOptions are what replicate was asked for.
type replicateOptions struct {
	config *config.Config
	// sources are those to replicate, in the order of the configuration.
	sources []config.Source
	dryRun  bool
	// accept is the number of a suspicious snapshot of the only source that a person accepts; 0: none.
	accept int64
}

func replicateCommand(e *env) *cobra.Command {
	var dryRun bool
	var accept int64
	cmd := &cobra.Command{
		Use:   "replicate [SOURCE...]",
		Short: "Make one pass over the sources and commit what is new",
		Long: `Make one pass over the named sources, or all: list each, store what is new or changed since its last snapshot, and commit.
A long pass commits as it goes. What an interrupted run committed is kept, and the next one goes on there.

With --dry-run nothing is stored: it says how many objects, bytes and requests a pass would take, and what they cost; of
repositories, how many are new or changed.

Before it writes, the agent's credential must be proven append-only, unless the configuration says ` + "`require: none`" + `: by the
proof that is kept with the local state for 24 hours, or by what ` + "`farshore probe`" + ` does.

A pass that finds a change of the source beyond the configuration's thresholds ("tripwire:") takes the snapshot all the same,
marks it as suspicious, and ends with exit code 3 and the error code "suspicious". What nobody asked for by its number is
restored from the last snapshot before that is not. So are the snapshots after it, until the source is again within the
thresholds of the last good one, or a person accepts the change: --accept-change N makes one pass over one source, which is
compared with its suspicious snapshot N in place of the last good one.

Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 finished, but suspicious, or some items could not be read or a
listing did not reach its end, or it is not proven that the credential is append-only, 4 the vault is damaged or was tampered with, or the
credential may destroy what it holds, 130 interrupted.`,
		Example: "  farshore replicate\n  farshore replicate shop --dry-run\n  farshore replicate shop --accept-change 17",
		Args:    arguments(0, -1, "names of sources"),
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "store nothing, say what a pass would take and cost")
	cmd.Flags().Int64Var(&accept, "accept-change", 0, "accept what snapshot `N` of the one SOURCE shows, though it is suspicious")
	return e.does(cmd, func(ctx context.Context, args []string) (result, error) {
		c, err := e.loadConfig()
		if err != nil {
			return nil, err
		}
		sources, err := chooseSources(c, args)
		if err != nil {
			return nil, err
		}
		if cmd.Flags().Changed("accept-change") && (len(args) != 1 || accept < 1 || dryRun) {
			return nil, usagef("--accept-change takes the number of a suspicious snapshot, of one SOURCE, and no --dry-run").with("`farshore snapshots` lists the snapshots with their marks")
		}
		return runReplicate(ctx, e, replicateOptions{config: c, sources: sources, dryRun: dryRun, accept: accept})
	})
}

// chooseSources returns the named sources, or all.
func chooseSources(c *config.Config, names []string) ([]config.Source, error) {
	if len(c.Sources) == 0 {
		return nil, &failure{exit: exitUsage, code: codeConfig, err: fmt.Errorf("%s has no sources", c.Path), hint: "`farshore source add NAME URL` adds one"}
	}
	if len(names) == 0 {
		return c.Sources, nil
	}
	var out []config.Source
	for i, name := range names {
		s, err := findSource(c, name)
		if err != nil {
			return nil, err
		}
		for _, earlier := range names[:i] {
			if earlier == name {
				return nil, usagef("source %s is named twice", name)
			}
		}
		out = append(out, *s)
	}
	return out, nil
}

// replicateResult is the result of replicate.
type replicateResult struct {
	DryRun  bool         `json:"dry_run,omitempty"`
	Sources []passResult `json:"sources"`
	// Protection is what is known of the agent's credential at the vault; absent in a dry run, which writes nothing.
	Protection *protection `json:"protection,omitempty"`
	// Promise is what a dry run reckons that it takes to verify all that is then stored within 90 days; absent where nothing is.
	Promise *promiseCost `json:"promise,omitempty"`
	// Told says what came of telling channels; absent where the configuration has none, and in a dry run.
	Told *toldResult `json:"told,omitempty"`
}

// promise fills in what a promise of coverage takes, of what the vault holds and the passes would store at the most.
func (r *replicateResult) promise(address string) {
	var held, more int64
	for _, s := range r.Sources {
		held, more = max(held, s.held), more+s.ReadBytes
	}
	if held+more > 0 {
		c := promiseOf(address, held+more)
		r.Promise = &c
	}
}

// passResult is what one pass over one source did, or would do.
type passResult struct {
	Source string `json:"source"`
	// Chain and Seq name the newest commit, which is absent where nothing was committed.
	Chain string `json:"chain,omitempty"`
	Seq   int64  `json:"seq,omitempty"`
	// Head is SEQ:HASH of that commit, to be kept elsewhere.
	Head string `json:"head,omitempty"`
	// Complete is true when every range was listed to its end.
	Complete bool  `json:"complete"`
	Commits  int   `json:"commits"`
	Listed   int64 `json:"listed"`
	Excluded int64 `json:"excluded"`
	New      int64 `json:"new"`
	Changed  int64 `json:"changed"`
	// Renewed items did not change, and were stored anew because what they rested on was locked for less than min_lock_left.
	Renewed int64 `json:"renewed,omitempty"`
	// Mended items did not change, and were stored anew because what they rested on is damaged.
	Mended  int64 `json:"mended,omitempty"`
	Deleted int64 `json:"deleted"`
	Gone    int64 `json:"gone"`
	// ReadBytes were read at the source; StoredBytes of them were not in the vault yet, before compression.
	ReadBytes   int64 `json:"read_bytes"`
	StoredBytes int64 `json:"stored_bytes"`
	StoredPacks int64 `json:"stored_packs"`
	// ReadBack is how much of what is new was restored from the vault before it was committed; absent where nothing is new.
	ReadBack *readBackResult `json:"read_back,omitempty"`
	// Repositories counts repositories, where the source is one of those: the numbers above are of items, of which each has up to three.
	Repositories *repositoryCounts `json:"repositories,omitempty"`
	// Unreadable counts items by reason; Examples are some of them.
	Unreadable map[string]int64 `json:"unreadable,omitempty"`
	Examples   []unreadResult   `json:"examples,omitempty"`
	Seconds    float64          `json:"seconds"`
	// Costs are what a dry run estimates, at the source and at the vault.
	Costs []cost `json:"costs,omitempty"`
	// Unpriced says of which side, source or vault, the prices are not known.
	Unpriced []string `json:"unpriced,omitempty"`
	// Requests and Puts are what a dry run reckons with at the source and at the vault.
	Requests int64    `json:"source_requests,omitempty"`
	Puts     int64    `json:"vault_requests,omitempty"`
	Notices  []string `json:"notices,omitempty"`
	// Suspicious says why the newest commit is marked so, Accepted which marks of an earlier one were accepted. Good is the snapshot that it was compared with; absent where
	// there is none yet, so that nothing could be unusual.
	Suspicious []string `json:"suspicious,omitempty"`
	Accepted   []string `json:"accepted,omitempty"`
	Good       int64    `json:"compared_with,omitempty"`
	alarm      bool
	at         time.Time // of the newest commit
	tally      *tally
	// held is how many bytes the vault holds of all sources, of which a dry run knows.
	held int64
}

// readBackResult says how much of what is new was restored from the vault, and compared with the hashes taken at the source.
type readBackResult struct {
	Items   int64 `json:"items"`
	Bytes   int64 `json:"bytes"`
	OfItems int64 `json:"of_items"`
	OfBytes int64 `json:"of_bytes"`
}

// unreadResult is an item that could not be read.
type unreadResult struct {
	pathJSON
	Reason string `json:"reason"`
	Detail string `json:"detail,omitempty"`
	path   string
}

func (r replicateResult) text(p *printer) {
	for _, s := range r.Sources {
		s.print(p, r.DryRun)
	}
	if r.Protection != nil {
		p.line("%s", r.Protection)
	}
	if r.Promise != nil {
		p.line("to verify %s, as far as sizes are known and before compression; `farshore verify --dry-run` reckons with what is stored", r.Promise)
	}
}

// print writes a pass in a few lines.
func (r *passResult) print(p *printer, dryRun bool) {
	if !r.Complete && r.Listed == 0 && r.Commits == 0 {
		p.line("%s: nothing could be listed, and nothing was committed", r.Source)
		return
	}
	r.printCounts(p, dryRun)
	for _, x := range r.Examples {
		p.line("    %s: %s", printable(x.path), joined(x.Reason, lines(x.Detail)))
	}
	for _, c := range r.Costs {
		p.line("  costs %s", c)
	}
	for _, side := range r.Unpriced {
		p.line("  costs at the %s: its store's prices are not known", side)
	}
	for _, n := range r.Notices {
		p.line("  note: %s", n)
	}
	for _, reason := range r.Suspicious {
		p.line("  SUSPICIOUS: %s", reason)
	}
	for _, reason := range r.Accepted {
		p.line("  accepted: %s", reason)
	}
	if r.Good == 0 && r.Commits > 0 && r.Seq > 0 {
		p.line("  there was no complete snapshot to compare it with, so that nothing could look like an attack")
	}
	if r.Head != "" {
		p.line("  head %s", briefHead(r.Head))
	}
	if !r.Complete && !dryRun {
		p.line("  not complete: the next pass goes on from here")
	}
}

// printCounts says how many items or repositories were listed, and what came of them.
func (r *passResult) printCounts(p *printer, dryRun bool) {
	if r.Repositories != nil {
		r.printRepositories(p, dryRun)
		return
	}
	p.line("%s: %s listed, %s new, %s changed, %s deleted", r.Source, plural(r.Listed, "item"), formatCount(r.New), formatCount(r.Changed), formatCount(r.Deleted))
	if dryRun {
		p.line("  would read %s, with about %s to the source and %s to the vault", formatBytes(r.ReadBytes), plural(r.Requests, "request"), formatCount(r.Puts))
	} else {
		r.printCapture(p)
	}
	if r.Excluded > 0 {
		p.line("  %s excluded by patterns", plural(r.Excluded, "item"))
	}
	if r.Renewed > 0 {
		p.line("  %s unchanged and stored anew, because the locks below ended within min_lock_left", plural(r.Renewed, "item"))
	}
	if r.Gone > 0 {
		p.line("  %s went away between listing and reading: the next pass decides", plural(r.Gone, "item"))
	}
	for _, reason := range sortedKeys(r.Unreadable) {
		p.line("  %s unreadable: %s", plural(r.Unreadable[reason], "item"), reason)
	}
}

// printCapture says what was read and stored.
func (r *passResult) printCapture(p *printer) {
	took := formatDuration(time.Duration(r.Seconds * float64(time.Second)))
	if r.Commits == 0 {
		p.line("  captured %s in %s; %s", formatBytes(r.ReadBytes), took, r.committed())
		return
	}
	p.line("  captured %s in %s; %s new to the vault, in %s; %s", formatBytes(r.ReadBytes), took, formatBytes(r.StoredBytes), plural(r.StoredPacks, "pack"), r.committed())
	const how = "restored from the vault and compared with the source"
	switch k := r.ReadBack; {
	case k == nil:
	case r.Repositories != nil:
		p.line("  read back: %s of %s that are new %s", formatBytes(k.Bytes), formatBytes(k.OfBytes), how)
	default:
		p.line("  read back: %s of %s (%s of %s) %s", formatCount(k.Items), plural(k.OfItems, "new item"), formatBytes(k.Bytes), formatBytes(k.OfBytes), how)
	}
	switch {
	case r.Mended == 0:
	case r.Repositories != nil:
		p.line("  %s captured in full, because what was captured before is damaged", plural(r.Mended, "record"))
	default:
		p.line("  %s unchanged and stored anew, because what they rested on is damaged", plural(r.Mended, "item"))
	}
}

// printRepositories is printCounts for a source of repositories, which are never deleted from the vault's point of view.
func (r *passResult) printRepositories(p *printer, dryRun bool) {
	c := r.Repositories
	p.line("%s: %s listed, %s new, %s changed", r.Source, plural(c.Listed, "repository"), formatCount(c.New), formatCount(c.Changed))
	switch {
	case !dryRun:
		r.printCapture(p)
	case c.New+c.Changed > 0:
		p.line("  would read what is new in them: how much that is shows only when it is read")
	default:
		p.line("  would read nothing")
	}
	if c.Excluded > 0 {
		p.line("  %s excluded by patterns", plural(c.Excluded, "repository"))
	}
	if c.Gone > 0 {
		p.line("  %s went away between listing and reading: the next pass decides", plural(c.Gone, "repository"))
	}
	for _, reason := range sortedKeys(c.Unreadable) {
		n := plural(c.Unreadable[reason], "repository")
		switch reason {
		case record.ReasonPartial:
			p.line("  %s captured, but for some of it: %s", n, reason)
		case record.ReasonVanished:
			p.line("  %s not there, what was captured before is kept: %s", n, reason)
		default:
			p.line("  %s unreadable: %s", n, reason)
		}
	}
}

// lines makes one line of several for people.
func lines(text string) string {
	all := strings.Split(strings.TrimSpace(text), "\n")
	const most = 3
	more := len(all) - most
	if more > 0 {
		all = all[:most]
	}
	for i := range all {
		all[i] = clean(all[i])
	}
	out := strings.Join(all, "; ")
	if more > 0 {
		out += fmt.Sprintf("; and %s more: --json has all", formatCount(int64(more)))
	}
	return out
}

// committed says what came of the pass in the vault.
func (r *passResult) committed() string {
	switch r.Commits {
	case 0:
		return "nothing was committed"
	case 1:
		return fmt.Sprintf("snapshot %d", r.Seq)
	}
	return fmt.Sprintf("snapshot %d, by %d commits", r.Seq, r.Commits)
}
