package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"farshore/agent/config"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"farshore": main, "age-plugin-rehearsal": rehearsalPlugin})
}

// TestScript runs the scripts of testdata/script with the command itself.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			// Nothing of the machine's own configuration or credentials takes part, and the cloud's own address service is not asked.
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("AWS_EC2_METADATA_DISABLED", "true")
			env.Setenv("AWS_CONFIG_FILE", filepath.Join(env.WorkDir, "no-aws-config"))
			env.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(env.WorkDir, "no-aws-credentials"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"code": runCode},
	})
}

// runCode is "code N program args…": it holds a program to its exit code.
func runCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N program args...")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	if err != nil {
		got = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if got != args[0] {
		ts.Fatalf("%s ended with %s, not with exit code %s", strings.Join(args[1:], " "), got, args[0])
	}
}

// testEnv is an environment that touches nothing of the process. stdout and stderr are buffers.
func testEnv(t *testing.T) (*env, *bytes.Buffer, *bytes.Buffer) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	e := systemEnv()
	e.stdout, e.stderr = &stdout, &stderr
	e.getenv = func(string) string { return "" }
	e.width = func() int { return 0 }
	e.exit = func(code int) { t.Errorf("exit %d", code) }
	return e, &stdout, &stderr
}

// commands returns all commands below the root, and the root.
func commands(root *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{root}
	for _, c := range root.Commands() {
		if !c.Hidden {
			all = append(all, commands(c)...)
		}
	}
	return all
}

// TestHelp holds every command to what a help text must say.
func TestHelp(t *testing.T) {
	e, _, _ := testEnv(t)
	root := newRoot(e)
	all := commands(root)
	if len(all) < 14 {
		t.Fatalf("only %d commands", len(all))
	}
	for _, c := range all {
		if c.Short == "" || c.Long == "" || c.Example == "" || c.RunE == nil || c.Args == nil {
			t.Errorf("%s lacks one of Short, Long, Example, RunE and Args", c.CommandPath())
		}
		if strings.HasSuffix(c.Short, ".") || len(c.Short) > 80 {
			t.Errorf("%s: Short %q is no short phrase", c.CommandPath(), c.Short)
		}
		if !strings.Contains(c.Long, "Exit codes: 0 ") {
			t.Errorf("%s does not say its exit codes", c.CommandPath())
		}
		for _, line := range strings.Split(c.Example, "\n") {
			if !strings.HasPrefix(line, "  farshore") {
				t.Errorf("%s: example %q is not a command", c.CommandPath(), line)
			}
		}
		for _, name := range flagNames(c) {
			if f := c.Flags().Lookup(name); f.Usage == "" {
				t.Errorf("%s: flag --%s has no description", c.CommandPath(), name)
			}
		}
	}
}

// TestExamples runs no example, but holds its words to be commands and flags that there are.
func TestExamples(t *testing.T) {
	e, _, _ := testEnv(t)
	for _, c := range commands(newRoot(e)) {
		for _, line := range strings.Split(c.Example, "\n") {
			words := strings.Fields(line)
			found, _, err := newRoot(e).Find(words[1:])
			if err != nil || found.Parent() == nil {
				t.Errorf("%s: example %q is of no command: %v", c.CommandPath(), line, err)
				continue
			}
			for _, w := range words {
				name, isFlag := strings.CutPrefix(w, "--")
				if name, _, _ = strings.Cut(name, "="); isFlag && found.Flag(name) == nil {
					t.Errorf("%s: example %q has an unknown flag --%s", c.CommandPath(), line, name)
				}
			}
		}
	}
}

// TestUsageErrors holds mistakes in the arguments to exit code 2 and to a hint.
func TestUsageErrors(t *testing.T) {
	tests := []struct{ args, message, hint string }{
		{"", "needs a command", "--help"},
		{"replicat", `no command "replicat"`, "`farshore replicate` is meant"},
		{"frobnicate", `no command "frobnicate"`, "the commands are cat, completion, "},
		{"source", "farshore source needs a command", "farshore source --help"},
		{"source ad", `no command "ad"`, "`farshore source add` is meant"},
		{"help frobnicate", `no command "frobnicate"`, "the commands are cat, completion, "},
		{"help source ad", `no command "ad"`, "`farshore source add` is meant"},
		{"replicate --dryrun", "unknown flag: --dryrun", "--dry-run is meant"},
		{"snapshots --confg x", "unknown flag: --confg", "--config is meant"},
		{"verify --frobnicate", "unknown flag", "farshore verify --help"},
		{"verify -z", "unknown shorthand flag", "farshore verify --help"},
		{"restore --at", "flag needs an argument", "farshore restore --help"},
		{"restore --overwrite=perhaps", "invalid argument", "farshore restore --help"},
		{"version please", "no arguments", "farshore version --help"},
		{"ls", "takes SOURCE[@WHEN]", "farshore ls --help"},
		{"ls @17", "no SOURCE[@WHEN]", "shop@17"},
		{"ls shop@", "no SOURCE[@WHEN]", "shop@17"},
		{"ls shop@yesterday", `"yesterday" is neither`, "farshore snapshots"},
		{"cat shop", "takes SOURCE[@WHEN] and ITEM", "farshore cat --help"},
		{"cat shop a --json", "can't go to stdout too", "--output"},
		{"source add shop", "takes NAME and URL", "--help"},
		{"init --kit k --config c", "init needs --vault", "--help"},
		{"init --vault ftp://x --kit k --config c", "--vault: it must be one of", ""},
		{"init --vault file:///v --kit k --config c --recipient age1x", "--recipient:", ""},
		{"restore --to x", "needs --source", "snapshots"},
		{"restore --source s", "needs --to", "directory"},
		{"restore --source s --to ftp://x", "can't restore to ftp://", "s3://"},
		{"restore --source s --to x --item a --prefix b", "exclude each other", ""},
		{"restore --source s --to x --item=", "needs a path", ""},
		{"snapshots --vault ftp://x", "vault: it must be one of", ""},
		{"snapshots --vault file:///v --owner-pub ed25519:x", "owner's key", ""},
		{"snapshots --vault file:///v --identity /nonexistent", "/nonexistent", ""},
	}
	t.Chdir(t.TempDir())
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			e, stdout, stderr := testEnv(t)
			if code := run(strings.Fields(tt.args), e); code != exitUsage {
				t.Errorf("exit code %d", code)
			}
			got, other := stderr.String(), stdout.String()
			if strings.Contains(tt.args, "--json") {
				got, other = other, got
			}
			if !strings.Contains(got, tt.message) || !strings.Contains(got, tt.hint) || other != "" {
				t.Errorf("%q does not have %q and the hint %q, or %q has anything", got, tt.message, tt.hint, other)
			}
			if tt.hint != "" && !strings.Contains(got, "hint") {
				t.Errorf("no hint: %q", got)
			}
		})
	}
}

// TestInitAbandons holds an init that could not make the vault to leave nothing behind, unless the vault may be there.
func TestInitAbandons(t *testing.T) {
	dir := t.TempDir()
	vault := filepath.Join(dir, "v")
	if err := os.Mkdir(vault, 0o755); err != nil {
		t.Fatal(err)
	}
	e, _, stderr := testEnv(t)
	l := newLayout(initOptions{vault: "file://" + vault, config: filepath.Join(dir, "c", "f.yaml"), kit: filepath.Join(dir, "kit")})
	k, err := makeKeys(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.writeKeys(k); err != nil {
		t.Fatal(err)
	}
	if len(l.made) != 7 { // three directories, four files
		t.Errorf("made %v", l.made)
	}
	s, err := e.openStore(t.Context(), l.vault, config.Limits{})
	if err != nil {
		t.Fatal(err, stderr)
	}
	defer s.Close()
	if err := l.abandon(t.Context(), s.Bucket); err != nil {
		t.Error(err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	if err := l.writeKeys(k); err != nil {
		t.Fatal(err)
	}
	if _, err := create(t.Context(), s.Bucket, k, "", e.now()); err != nil {
		t.Fatal(err)
	}
	if err := l.abandon(t.Context(), s.Bucket); err == nil || !strings.Contains(err.Error(), "its keys are kept") {
		t.Errorf("the keys of a vault that may exist: %v", err)
	}
	if _, err := os.Stat(l.unfinished); err != nil {
		t.Error(err)
	}
}
