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
		Short: "Show everything on this machine, with nothing but this program",
		Long: `Play the whole story on this machine in under a minute: an embedded S3 server is the primary cloud, a directory the second.
A bucket is replicated, changed and replicated again; an intruder deletes everything at the primary; the vault restores it, and every
byte and header is compared. Each farshore command is shown and runs in a process of its own, with credentials of the demo's own:
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

// play is the story.
func (d *demo) play(ctx context.Context) error {
	d.e.say("Two clouds on this machine, below %s", d.dir)
	for i, act := range []struct {
		title string
		do    func(context.Context) error
	}{
		{"The primary cloud: an S3 server and a bucket with data", d.fill},
		{"The second cloud: a vault, its keys, and the recovery kit", d.begin},
		{"The first pass stores everything", d.replicate},
		{"Life goes on: objects are added, replaced and deleted", d.change},
		{"The second pass stores what is new", d.replicate},
		{"An intruder with the owner's credentials deletes the bucket", d.attack},
		{"The next pass sees an empty bucket: one more point in time", d.replicate},
		{"A bare machine with the recovery kit: what is there?", d.look},
		{"The bucket, as it was before the attack", d.restoreBucket},
		{"A directory, as the bucket was at the first pass", d.restoreDirectory},
		{"The proof: every stored byte hashed, every item rebuilt", d.verify},
	} {
		d.e.say("\n%d. %s", i+1, act.title)
		if err := act.do(ctx); err != nil {
			return err
		}
	}
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
	// ReadBytes were read at the source in all passes, UniqueBytes of them were not in the vault yet.
	ReadBytes   int64 `json:"read_bytes"`
	UniqueBytes int64 `json:"unique_bytes"`
	// StoredObjects and StoredBytes are what the vault's directory holds.
	StoredObjects int64 `json:"stored_objects"`
	StoredBytes   int64 `json:"stored_bytes"`
	// Bucket and Directory are what was compared after the restores.
	Bucket    demoComparison `json:"bucket"`
	Directory demoComparison `json:"directory"`
	// Verified are the items that verify rebuilt.
	Verified int64   `json:"verified_items"`
	Seconds  float64 `json:"seconds"`
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
		p.line("Everything came back, every byte and header compared.")
		p.line("")
		p.line("  the bucket    %s, %s", plural(r.Objects, "object"), formatBytes(r.Bytes))
		p.line("  its history   %s, %s in %s", plural(int64(r.Snapshots), "snapshot"), formatBytes(r.HistoryBytes), plural(r.HistoryItems, "item"))
		p.line("  read          %s, of which %s had not been stored before", formatBytes(r.ReadBytes), formatBytes(r.UniqueBytes))
		p.line("  the vault     %s in %s: compressed, sealed, padded", formatBytes(r.StoredBytes), plural(r.StoredObjects, "file"))
		p.line("  compared      %s in the bucket, with %s", plural(r.Bucket.Items, "object"), plural(r.Bucket.Attributes, "header"))
		p.line("                %s in the directory", plural(r.Directory.Items, "file"))
		p.line("  verified      %s rebuilt from the vault", plural(r.Verified, "item"))
		p.line("  took          %s", formatDuration(time.Duration(r.Seconds*float64(time.Second))))
	}
	if r.Kept != "" {
		p.line("")
		p.line("Kept in %s: the vault, the agent, the kit, and what was restored.", r.Kept)
	}
}
