package main

import (
	"cmp"
	"context"
	"os"
	"time"

	"github.com/spf13/cobra"

	"farshore/agent/audit"
	"farshore/agent/config"
	"farshore/crypto/sign"
)

// verifyOptions are what verify was asked for.
type verifyOptions struct {
	access *access
	full   bool
	dryRun bool
	// drill is where a whole snapshot is restored to, "" for no drill.
	drill string
	// key signs the report; nil: none is left.
	key      *sign.PrivateKey
	noReport bool
	// packless says that the agent's own credential is used, which need not be allowed to read packs: then it is no failure that it may not, though the report says INCOMPLETE.
	packless bool
	// begins is called when all that was asked for is known to make sense, and the audit begins.
	begins func()
	// source is the only source whose items are restored, "" for all.
	source string
	// scratch is where repositories are restored to be checked, "" for the system's directory for temporary files.
	scratch string
	// The budget of a sample: zero for what the configuration says, or the default.
	bytes    int64
	duration time.Duration
	share    float64
}

// verifyFlags are the flags as they are written.
type verifyFlags struct {
	bytes, share, key string
	noReport          bool
	// given are the names of the flags that were written, if only with nothing behind them.
	given func(string) bool
}

func verifyCommand(e *env) *cobra.Command {
	var o verifyOptions
	var f verifyFlags
	cmd := &cobra.Command{
		Use:   "verify [SOURCE]",
		Short: "Prove, within a budget, that what the vault holds is whole and can be restored",
		Long: `Verify a sample within a budget, and leave a signed report in the vault. Every run lists everything that commits name: presence,
size, versions, locks. Then it reads packs and pages that it draws at random, and compares each with the hash in its name, which
takes no key; with a recovery identity it restores items that it draws, too, and compares their SHA-256, and repositories by
git's or Subversion's own check; where the configuration names the source, what did not change there is compared with it.

The budget is --bytes, --duration or --share, whichever ends first, else the configuration's, else 1 % of what is stored and at
least 1 GiB. 70 % of it goes to what was never or longest ago verified, 20 % is uniform over everything, 10 % goes to the newest
and to what was found bad before. The draw comes from random bytes whose hash is stored before: ` + "`farshore report check`" + ` makes it
again. A duration alone reads what it can until then; beside bytes or a share, a run whose time is over first is incomplete.
An interrupted run keeps what it verified.

The report is signed by the agent's key where the configuration has one, or by --key. With neither, or with --no-report, none is
left. With SOURCE, its name or a chain's id, only its items are restored and compared; packs and pages are those of the whole
vault.

--full reads everything instead, and restores every item of every snapshot with a recovery identity. --drill restores the newest
snapshot of SOURCE that has no suspicious change, whole, to an empty DESTINATION, and compares the time with recovery_time.
--dry-run reads no object: it says what a run would read, what that costs, and what it costs to promise that everything is
verified.

It needs a credential that may read everything, packs/ too, and create below reports/: the auditor's.

Exit codes: 0 nothing that was checked is damaged, 1 failed, 2 usage or configuration, 3 finished, but not all that was to be
checked could be, 4 damage or tampering, 130 interrupted.`,
		Example: "  farshore verify --share 5% --identity recovery.key\n  farshore verify --full --vault gs://offsite/vault --identity recovery.key\n  farshore verify shop --drill /srv/drill --identity recovery.key",
		Args:    arguments(0, 1, "at most one SOURCE"),
	}
	fs := cmd.Flags()
	fs.StringVar(&f.bytes, "bytes", "", "read at most this `SIZE`, such as 20GiB")
	fs.DurationVar(&o.duration, "duration", 0, "read for at most this `TIME`, such as 2h")
	fs.StringVar(&f.share, "share", "", "read at most this `SHARE` of what is stored, such as 5%")
	fs.BoolVar(&o.full, "full", false, "read everything")
	fs.StringVar(&o.drill, "drill", "", "restore a whole snapshot of SOURCE to this empty `DESTINATION`, a directory or a URL as restore takes")
	fs.BoolVar(&o.dryRun, "dry-run", false, "read no object, say what a run would take and cost")
	fs.StringVar(&o.scratch, "scratch", "", "`DIRECTORY` for repositories while they are checked, and what does not fit into memory (default: that for temporary files)")
	fs.StringVar(&f.key, "key", "", "`FILE` with the signing key of an auditor, or of the owner, for the report (default: the agent's)")
	fs.BoolVar(&f.noReport, "no-report", false, "leave no report in the vault")
	return e.reads(cmd, func(ctx context.Context, args []string) (result, error) {
		if len(args) == 1 {
			o.source = args[0]
		}
		f.given = cmd.Flags().Changed
		if err := f.fill(&o); err != nil {
			return nil, err
		}
		var err error
		if o.access, err = e.access(); err != nil {
			return nil, err
		}
		if err := f.sign(e, &o); err != nil {
			return nil, err
		}
		o.configured(o.access.config)
		switch {
		case o.dryRun:
			return runVerifyPlan(ctx, e, o)
		case o.drill != "":
			return e.tellingDrill(ctx, o)
		}
		return e.tellingAudit(ctx, o)
	})
}

// fill reads the flags and holds them to what makes sense together.
func (f *verifyFlags) fill(o *verifyOptions) (err error) {
	budget := f.given("bytes") || f.given("share") || f.given("duration")
	switch {
	case o.full && budget:
		return usagef("--full reads everything: it takes no --bytes, --duration or --share")
	case f.given("drill") && o.drill == "":
		return usagef("--drill names no destination").with("name a directory that does not exist yet, or a URL as restore takes")
	case o.drill != "" && (budget || o.full || o.dryRun):
		return usagef("--drill restores one snapshot whole: it takes no budget, --full or --dry-run")
	case o.drill != "" && o.source == "":
		return usagef("--drill needs a SOURCE").with("`farshore snapshots` lists the sources in the vault")
	case o.full && o.dryRun:
		return usagef("--dry-run is about a sample: --full reads everything that is stored")
	case f.given("key") && f.key == "":
		return usagef("--key names no file")
	case f.noReport && f.given("key"):
		return usagef("--no-report leaves nothing to sign with --key")
	case f.given("duration") && o.duration <= 0:
		return usagef("--duration: %w", errNothing)
	}
	if f.given("bytes") {
		if o.bytes, err = config.ParseSize(f.bytes); err != nil || o.bytes < 1 {
			return usagef("--bytes: %w", cmp.Or(err, errNothing))
		}
	}
	if f.given("share") {
		if o.share, err = config.ParseShare(f.share); err != nil {
			return usagef("--share: %w", err)
		}
	}
	return nil
}

// sign finds the key that signs the report. A dry run signs nothing: the key says whose ledger it goes by.
func (f *verifyFlags) sign(e *env, o *verifyOptions) error {
	if f.noReport {
		o.noReport = true
		return nil
	}
	k, err := e.reportKey(o.access, f.key)
	o.key = k
	return err
}

// configured fills in what the flags leave to the configuration.
func (o *verifyOptions) configured(c *config.Config) {
	if c == nil {
		return
	}
	if o.scratch == "" {
		o.scratch = c.Verify.Scratch
	}
	if o.bytes == 0 && o.duration == 0 && o.share == 0 {
		o.bytes, o.duration, o.share = c.Verify.Bytes, c.Verify.Duration, c.Verify.Share
	}
}

// auditOptions are what agent/audit wants to know.
func (e *env) auditOptions(ctx context.Context, o verifyOptions, recovery bool) audit.Options {
	out := audit.Options{
		Key: o.key, Bytes: o.bytes, Duration: o.duration, Share: o.share, Recovery: recovery, Source: o.source, Scratch: o.scratch, Program: "farshore " + buildVersion().Version,
		Now: e.now, Protection: protectionReport(e.proven), MaxAge: map[string]time.Duration{}, Progress: new(audit.Progress),
	}
	c := o.access.config
	if c == nil {
		return out
	}
	out.Coverage, out.Every = c.Verify.Coverage, c.Verify.Every
	if len(c.Sources) == 0 { // a verifier's, which is about all that the vault has
		out.MaxAgeElse = c.Goals.MaxAge
	}
	for i := range c.Sources {
		if g := c.GoalsOf(&c.Sources[i]); g.MaxAge > 0 {
			out.MaxAge[c.Sources[i].Name] = g.MaxAge
		}
	}
	out.Live, out.Lookers = e.liveSources(ctx, c)
	return out
}

// scratchThere refuses a directory for scratch that is none, before anything is read.
func (o *verifyOptions) scratchThere() error { return scratchThere(o.scratch) }

func scratchThere(dir string) error {
	if dir == "" {
		return nil
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return usagef("scratch: %s is no directory", dir).with("--scratch names one that is there, or verify.scratch in the configuration")
	}
	return nil
}
