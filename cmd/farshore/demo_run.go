package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"
)

// farshore shows a command and runs it as its user would: a process of its own, in one of the demo's folders, with nothing of the
// caller's AWS settings. It reads the command's result into result, and returns how long it took. A command that does not end with exit code 0
// is an error; of one that ends with an alarm there is a result as well.
func (d *demo) farshore(ctx context.Context, folder string, result any, args ...string) (seconds float64, err error) {
	d.e.say("   $ %s", strings.Join(fold(append([]string{"farshore"}, args...), 66), " \\\n       "))
	begin := time.Now()
	stdout, err := d.command(ctx, folder, args)
	seconds = time.Since(begin).Seconds()
	d.sum.Commands = append(d.sum.Commands, demoRun{Args: args, Seconds: seconds})
	if ctx.Err() != nil {
		return seconds, fmt.Errorf("the demo was interrupted: %w", ctx.Err())
	}
	if stdout == nil && err != nil {
		return seconds, fmt.Errorf("run farshore %s: %w", args[0], err)
	}
	return seconds, demoOutcome(args[0], stdout, err, result)
}

// command runs this program again. What it says on stderr goes to ours; stdout is nil where it did not run at all.
func (d *demo) command(ctx context.Context, folder string, args []string) ([]byte, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	args = append(slices.Clone(args), "--json")
	if d.e.flags.quiet {
		args = append(args, "--quiet")
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Args[0] = "farshore"
	cmd.Dir, cmd.Env = d.path(folder), d.environ(os.Environ(), folder)
	cmd.Stderr = d.e.stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = 20 * time.Second
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	err = cmd.Run()
	if cmd.ProcessState == nil {
		return nil, err
	}
	return stdout.Bytes(), err
}

// environ is the environment of the demo's commands: without anything that would lead to the caller's own settings or clouds.
func (d *demo) environ(base []string, folder string) []string {
	foreign := regexp.MustCompile(`^(AWS_|FARSHORE_|RCLONE_|XDG_|HOME=)`)
	env := slices.DeleteFunc(slices.Clone(base), foreign.MatchString)
	return append(env, "HOME="+d.path(folder), "AWS_SHARED_CREDENTIALS_FILE="+d.path("aws", "credentials"),
		"AWS_CONFIG_FILE="+d.path("aws", "config"), "AWS_EC2_METADATA_DISABLED=true", "RCLONE_CONFIG=")
}

// demoOutcome reads what a command printed into result, and turns its failure into ours.
func demoOutcome(name string, stdout []byte, ran error, result any) error {
	out := struct {
		Result json.RawMessage
		Error  *struct{ Code, Message, Hint string }
	}{}
	if err := json.Unmarshal(stdout, &out); err != nil {
		return fmt.Errorf("farshore %s ended with %v, and not with one JSON object: %w", name, ran, err)
	}
	if out.Error != nil || ran != nil {
		f := &failure{exit: exitFailed, code: codeFailed, err: fmt.Errorf("farshore %s: %w", name, ran)}
		if out.Error != nil {
			f.code, f.hint, f.err = out.Error.Code, out.Error.Hint, fmt.Errorf("farshore %s: %s", name, out.Error.Message)
		}
		if f.code == codeSuspicious { // it did what it was to do
			if err := json.Unmarshal(out.Result, result); err != nil {
				return err
			}
		}
		var exit *exec.ExitError
		if errors.As(ran, &exit) && exit.ExitCode() == exitDamage {
			f.exit = exitDamage
		}
		return f
	}
	return json.Unmarshal(out.Result, result)
}

// fold puts words into lines of at most width columns, quoted as a shell needs them. A flag and its value stay together.
func fold(words []string, width int) []string {
	var lines []string
	line := ""
	for i := 0; i < len(words); i++ {
		next := shellQuote(words[i])
		if strings.HasPrefix(next, "--") && i+1 < len(words) && !strings.HasPrefix(words[i+1], "--") {
			i++
			next += " " + shellQuote(words[i])
		}
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(next) > width {
			lines, line = append(lines, line), ""
		}
		line = strings.TrimPrefix(line+" "+next, " ")
	}
	return append(lines, line)
}

// shellQuote quotes a word where a shell would read it otherwise.
func shellQuote(word string) string {
	safe := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:=,@+", r)
	}
	if word != "" && !strings.ContainsFunc(word, func(r rune) bool { return !safe(r) }) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
