package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"
)

// demoOptions are what demo was asked for.
type demoOptions struct {
	// keep is where the demo lives and stays; "" for a temporary directory that is removed.
	keep string
}

func demoCommand(e *env) *cobra.Command {
	var o demoOptions
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show everything on this machine",
		Long: `Play the whole story on this machine in under a minute: an embedded S3 server is the primary cloud, a directory the second.
A bucket, a git and a Subversion repository are replicated, changed and replicated again; an intruder deletes everything at the
primary; the vault restores it, and every byte, header, ref and revision is compared. Without the programs git or svnadmin
the demo does without such a repository, and says so. Each farshore command is shown and runs in a process of its own, with credentials of the demo's own:
nothing is read or written outside of the demo's directory.

Exit codes: 0 everything came back, 1 failed, 4 something did not come back, 130 interrupted.`,
		Example: "  farshore demo\n  farshore demo --keep /tmp/farshore-demo",
		Args:    arguments(0, 0, ""),
	}
	cmd.Flags().StringVar(&o.keep, "keep", "", "new `DIRECTORY` to use and keep (default: a temporary one that is removed)")
	return e.does(cmd, func(ctx context.Context, args []string) (result, error) {
		return runDemo(ctx, e, o)
	})
}

// runDemo plays the demo, and cleans up after it.
func runDemo(ctx context.Context, e *env, o demoOptions) (result, error) {
	begin := time.Now()
	d, err := newDemo(e, o)
	if err != nil {
		return nil, err
	}
	err = errors.Join(d.play(ctx), d.close())
	d.sum.Seconds = time.Since(begin).Seconds()
	return d.sum, err
}

// demoAct is one of the story's acts.
type demoAct struct {
	title string
	do    func(context.Context) error
	// where says whether it is played; nil means always.
	where func() bool
}

// acts are the story.
func (d *demo) acts() []demoAct {
	return []demoAct{
		{title: "The primary cloud: a bucket with data, and repositories", do: d.fill},
		{title: "The second cloud: a vault, its keys, and the recovery kit", do: d.begin},
		{title: "The first pass stores everything", do: d.replicate},
		{title: "Life goes on: objects change, and history is rewritten", do: d.change},
		{title: "The second pass stores what is new", do: d.replicate},
		{title: "An intruder with the owner's credentials deletes everything", do: d.attack},
		{title: "The next pass sees nothing left: one more point in time", do: d.replicate},
		{title: "A bare machine with the recovery kit: what is there?", do: d.look},
		{title: "The bucket, as it was before the attack", do: d.restoreBucket},
		{title: "A directory, as the bucket was at the first pass", do: d.restoreDirectory},
		{title: "The git repository, as it was before the attack", do: d.restoreGit, where: d.hasGit},
		{title: "The git repository, as it was before the force-push", do: d.restoreFirstGit, where: d.hasGit},
		{title: "The Subversion repository, as it was before the attack", do: d.restoreSVN, where: d.hasSVN},
		{title: "The proof: every stored byte hashed, every item rebuilt", do: d.verify},
	}
}

// play plays the acts.
func (d *demo) play(ctx context.Context) error {
	d.e.say("Two clouds on this machine, below %s", d.dir)
	n := 0
	for _, act := range d.acts() {
		if act.where != nil && !act.where() {
			continue
		}
		n++
		d.e.say("\n%d. %s", n, act.title)
		if err := act.do(ctx); err != nil {
			return err
		}
	}
	d.sum.whole = true
	return nil
}

// demoResult is the result of demo.
type demoResult struct {
	// Kept is the directory of the demo, where it was to be kept.
	Kept string `json:"kept,omitempty"`
	// Commands are those that ran, in order.
	Commands []demoRun `json:"commands"`
	// Objects and Bytes are what the bucket had before the attack; HistoryItems and HistoryBytes those of all snapshots together.
	Objects      int64 `json:"objects"`
	Bytes        int64 `json:"bytes"`
	Snapshots    int   `json:"snapshots"`
	HistoryItems int64 `json:"history_items"`
	HistoryBytes int64 `json:"history_bytes"`
	// ReadBytes were captured in all passes, a repository as a whole each time that it changed. UniqueBytes of them were not in the vault yet.
	ReadBytes   int64 `json:"read_bytes"`
	UniqueBytes int64 `json:"unique_bytes"`
	// StoredObjects and StoredBytes are what the vault's directory holds.
	StoredObjects int64 `json:"stored_objects"`
	StoredBytes   int64 `json:"stored_bytes"`
	// Bucket and Directory are what was compared after the restores.
	Bucket    demoComparison `json:"bucket"`
	Directory demoComparison `json:"directory"`
	// Code, CodeFirst and Books are what was compared of the repositories: the captures before the attack, and that of git at the first pass. They are
	// absent where the program is.
	Code      demoComparison `json:"code,omitzero"`
	CodeFirst demoComparison `json:"code_first,omitzero"`
	Books     demoComparison `json:"books,omitzero"`
	// Missing are the programs for whose want repositories were left out.
	Missing []string `json:"missing,omitempty"`
	// Verified are the contents that verify rebuilt; VerifiedRepositories are the captures of repositories that it had git and Subversion check.
	Verified             int64   `json:"verified_items"`
	VerifiedRepositories int64   `json:"verified_repositories"`
	Seconds              float64 `json:"seconds"`
	// whole is true when the story came to its good end.
	whole bool
}

// demoRun is one command that the demo ran.
type demoRun struct {
	Args    []string `json:"args"`
	Seconds float64  `json:"seconds"`
}

func (r *demoResult) text(p *printer) {
	if r.whole {
		p.line("")
		p.line("Everything came back, and all of it was compared.")
		p.line("")
		p.line("  the bucket    %s, %s", plural(r.Objects, "object"), formatBytes(r.Bytes))
		p.line("  its history   %s, %s in %s", plural(int64(r.Snapshots), "snapshot"), formatBytes(r.HistoryBytes), plural(r.HistoryItems, "item"))
		r.repositories(p)
		p.line("  captured      %s, of which %s had not been stored before", formatBytes(r.ReadBytes), formatBytes(r.UniqueBytes))
		p.line("  the vault     %s in %s: compressed, sealed, padded", formatBytes(r.StoredBytes), plural(r.StoredObjects, "file"))
		p.line("  compared      %s in the bucket, with %s", plural(r.Bucket.Items, "object"), plural(r.Bucket.Attributes, "header"))
		p.line("                %s in the directory", plural(r.Directory.Items, "file"))
		r.comparedRepositories(p)
		p.line("  verified      %s rebuilt from the vault", plural(r.Verified, "content"))
		if r.VerifiedRepositories > 0 {
			p.line("                %s of repositories restored and checked", plural(r.VerifiedRepositories, "capture"))
		}
		p.line("  took          %s", formatDuration(time.Duration(r.Seconds*float64(time.Second))))
	}
	if r.Kept != "" {
		p.line("")
		p.line("Kept in %s: the vault, the agent, the kit, and what was restored.", r.Kept)
	}
}
