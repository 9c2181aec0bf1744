package main

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// run is the program but for its process: it returns the exit code.
func run(args []string, e *env) int {
	ctx, stop := catchSignals(e)
	defer stop()
	e.out = newOutput(e)
	e.out.json = asksJSON(args)
	root := newRoot(e)
	root.SetArgs(args)
	root.SetIn(e.stdin)
	root.SetOut(e.stdout)
	root.SetErr(e.stderr)
	cmd, err := root.ExecuteContextC(ctx)
	return e.finish(ctx, cmd, err)
}

// asksJSON looks for --json, also where the other arguments can't be parsed.
func asksJSON(args []string) bool {
	if len(args) > 0 && strings.HasPrefix(args[0], cobra.ShellCompRequestCmd) {
		return false // a shell asks how a line goes on, and what is on the line is not meant for this run
	}
	if i := slices.Index(args, "--"); i >= 0 {
		args = args[:i]
	}
	return slices.Contains(args, "--json") || slices.Contains(args, "--json=true")
}

// finish writes what the command returned and how it failed, and returns the exit code.
func (e *env) finish(ctx context.Context, cmd *cobra.Command, err error) int {
	f := classify(ctx, err)
	e.out.schema = schema(cmd)
	if werr := e.out.close(f); werr != nil && f == nil {
		f = classify(ctx, werr)
		e.out.json = false
	}
	if f == nil {
		return exitDone
	}
	if !e.out.json {
		e.report(f)
	}
	return f.exit
}

// schema names what a command prints: farshore.source-add/1.
func schema(cmd *cobra.Command) string {
	words := strings.Fields(cmd.CommandPath())[1:]
	if len(words) == 0 {
		words = []string{"usage"}
	}
	return "farshore." + strings.Join(words, "-") + "/1"
}

// action is what a command does: it returns what to print, an error, or both where it ended incomplete.
type action func(ctx context.Context, args []string) (result, error)

// does makes a command run an action.
func (e *env) does(cmd *cobra.Command, run action) *cobra.Command {
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		e.out.json, e.out.schema = e.flags.json, schema(cmd)
		res, err := run(cmd.Context(), args)
		e.out.result = res
		return err
	}
	return cmd
}

// newRoot builds the whole tree of commands.
func newRoot(e *env) *cobra.Command {
	root := &cobra.Command{
		Use:   "farshore",
		Short: "Copy buckets and repositories, sealed, to another cloud, and back",
		Long: `farshore streams S3 buckets and repositories of git and Subversion, deduplicated, compressed and encrypted, into a
vault at a second cloud provider, and restores any point in time. Its credential there should be able to add and never to
destroy: policy prints such a one, and probe proves what it may do.

To begin: init, policy, probe, source add, replicate. As a service: install, status. To restore: snapshots, ls, restore. To be sure: verify, report,
locks, drill header.

Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 finished but incomplete or not
provable, 4 damage, tampering or a destructive permission, 130 interrupted.`,
		Example:       "  farshore demo\n  farshore init --vault gs://offsite/vault --config farshore.yaml --kit kit",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	addCommonFlags(root, e)
	root.AddCommand(
		initCommand(e), sourceCommand(e), replicateCommand(e), snapshotsCommand(e), lsCommand(e), catCommand(e),
		restoreCommand(e), verifyCommand(e), demoCommand(e), versionCommand(e),
		probeCommand(e),
		drillCommand(e),
		policyCommand(e),
		vaultCommand(e),
		locksCommand(e),
		reportCommand(e),
		notifyCommand(e),
		daemonCommand(e), statusCommand(e), triggerCommand(e), reloadCommand(e),
		configCommand(e),
		completionCommand(e), manCommand(e),
		installCommand(e), uninstallCommand(e),
	)
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetHelpCommand(helpCommand())
	root.SetFlagErrorFunc(flagError)
	group(root)
	help := root.HelpFunc()
	root.SetHelpFunc(func(cmd *cobra.Command, args []string) { e.help(cmd, args, help) })
	e.complete(root)
	return root
}

// addCommonFlags defines the flags that every command has.
func addCommonFlags(root *cobra.Command, e *env) {
	f := root.PersistentFlags()
	f.StringVar(&e.flags.config, "config", "", "configuration `FILE` (default: $FARSHORE_CONFIG, ./farshore.yaml, the user's, /etc/farshore)")
	f.StringVar(&e.flags.vault, "vault", "", "vault `URL`: file:///dir, s3://bucket/prefix, gs://bucket/prefix, rclone:REMOTE:PATH")
	f.StringArrayVar(&e.flags.identities, "identity", nil, "`FILE` with an identity that opens the vault, such as recovery.key; may be repeated")
	f.StringVar(&e.flags.ownerPub, "owner-pub", "", "the vault owner's public `KEY`, ed25519:…")
	f.StringVar(&e.flags.state, "state", "", "`DIRECTORY` of the local cache")
	f.BoolVar(&e.flags.json, "json", false, "print one JSON object on stdout")
	f.BoolVarP(&e.flags.quiet, "quiet", "q", false, "show no progress and no notes")
	f.BoolVarP(&e.flags.verbose, "verbose", "v", false, "say more on stderr")
}

// group makes a command that only has commands below it refuse to be called without one of them.
func group(cmd *cobra.Command) {
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return unknownCommand(cmd, args[0])
		}
		return usagef("%s needs a command", cmd.CommandPath()).with("run `%s --help` for the commands", cmd.CommandPath())
	}
}

// helpCommand makes the command that people try first.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND]",
		Short:   "Say what a command does",
		Long:    "Say what a command does, as --help behind the command does.\n\nExit codes: 0 done, 2 there is no such command.",
		Example: "  farshore help restore\n  farshore help source add",
		RunE: func(cmd *cobra.Command, args []string) error {
			found, rest, err := cmd.Root().Find(args)
			if len(rest) > 0 {
				return unknownCommand(found, rest[0])
			}
			if err != nil {
				return unknownCommand(cmd.Root(), args[0])
			}
			return found.Help()
		},
	}
}

// help prints a command's help: in --json, as the one object.
func (e *env) help(cmd *cobra.Command, args []string, print func(*cobra.Command, []string)) {
	if !e.out.json {
		print(cmd, args)
		return
	}
	var b strings.Builder
	cmd.SetOut(&b)
	print(cmd, args)
	e.out.result = helpResult{Help: b.String()}
}

// helpResult is the result of --help.
type helpResult struct {
	Help string `json:"help"`
}

func (h helpResult) text(p *printer) { p.line("%s", h.Help) }
