package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"farshore/agent/config"
	"farshore/agent/vault"
	"farshore/crypto/seal"
	"farshore/providers"
)

// says is a result for tests.
type says struct {
	Said string `json:"said"`
}

func (s says) text(p *printer) { p.line("%s", s.Said) }

// runAction runs an action as a command below the root.
func runAction(t *testing.T, e *env, run action, args ...string) int {
	t.Helper()
	e.out = newOutput(e)
	root := newRoot(e)
	root.AddCommand(e.does(&cobra.Command{Use: "act"}, run))
	root.SetArgs(append([]string{"act"}, args...))
	cmd, err := root.ExecuteContextC(t.Context())
	return e.finish(t.Context(), cmd, err)
}

// envelope is what --json must print.
type envelope struct {
	Schema string           `json:"schema"`
	Result *json.RawMessage `json:"result"`
	Error  *struct{ Code, Message, Hint string }
}

// parseEnvelope holds stdout to be exactly one object with exactly the three members.
func parseEnvelope(t *testing.T, stdout string) envelope {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(stdout))
	var members map[string]json.RawMessage
	if err := dec.Decode(&members); err != nil || dec.More() {
		t.Fatalf("stdout is not one object: %v\n%s", err, stdout)
	}
	if len(members) != 3 || members["schema"] == nil || members["result"] == nil || members["error"] == nil {
		t.Errorf("members are not schema, result and error: %s", stdout)
	}
	var out envelope
	if err := json.Unmarshal([]byte(stdout), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestEnvelope(t *testing.T) {
	tests := []struct {
		name   string
		res    result
		err    error
		exit   int
		code   string
		text   string
		stderr string
	}{
		{"done", says{"<done>"}, nil, 0, "", "<done>\n", ""},
		{"nothing to say", nil, nil, 0, "", "", ""},
		{"failed", nil, errors.New("no"), 1, "failed", "", "farshore: no\n"},
		{"incomplete", says{"half"}, incompletef("%d missing", 2), 3, "incomplete", "half\n", "farshore: 2 missing\n"},
		{"damage", nil, fmt.Errorf("x: %w", damagef("bad").with("look")), 4, "damage", "", "farshore: x: bad\nhint: look\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			run := func(context.Context, []string) (result, error) { return tt.res, tt.err }
			e, stdout, stderr := testEnv(t)
			if code := runAction(t, e, run); code != tt.exit || stdout.String() != tt.text || stderr.String() != tt.stderr {
				t.Errorf("exit %d, stdout %q, stderr %q", code, stdout, stderr)
			}
			e, stdout, stderr = testEnv(t)
			if code := runAction(t, e, run, "--json"); code != tt.exit || stderr.Len() > 0 {
				t.Errorf("--json: exit %d, stderr %q", code, stderr)
			}
			got := parseEnvelope(t, stdout.String())
			if got.Schema != "farshore.act/1" || (got.Result != nil) != (tt.res != nil) || (got.Error != nil) != (tt.err != nil) {
				t.Errorf("--json: %s", stdout)
			}
			if got.Error != nil && (got.Error.Code != tt.code || got.Error.Message != tt.err.Error()) {
				t.Errorf("--json: error %+v", got.Error)
			}
		})
	}
}

func TestItems(t *testing.T) {
	for _, n := range []int{1, 3, 20_000} {
		run := func(e *env) action {
			return func(context.Context, []string) (result, error) {
				for i := range n {
					if err := e.out.item(says{fmt.Sprint(i)}); err != nil {
						return nil, err
					}
				}
				return says{"end"}, incompletef("not all")
			}
		}
		e, stdout, _ := testEnv(t)
		runAction(t, e, run(e))
		if lines := strings.Split(stdout.String(), "\n"); len(lines) != n+2 || lines[n] != "end" {
			t.Errorf("%d items gave %d lines", n, len(lines))
		}
		e, stdout, _ = testEnv(t)
		runAction(t, e, run(e), "--json")
		var res struct {
			Items []says
			Said  string
		}
		got := parseEnvelope(t, stdout.String())
		if err := json.Unmarshal(*got.Result, &res); err != nil || len(res.Items) != n || res.Said != "end" || got.Error.Code != "incomplete" {
			t.Errorf("%d items: %v, %d, %q", n, err, len(res.Items), res.Said)
		}
	}
}

// fullWriter fails after some bytes.
type fullWriter int

func (w *fullWriter) Write(b []byte) (int, error) {
	if *w -= fullWriter(len(b)); *w < 0 {
		return 0, errors.New("no room")
	}
	return len(b), nil
}

func TestOutputFails(t *testing.T) {
	for _, args := range [][]string{nil, {"--json"}} {
		e, _, stderr := testEnv(t)
		e.stdout = new(fullWriter)
		run := func(context.Context, []string) (result, error) { return says{"x"}, nil }
		if code := runAction(t, e, run, args...); code != exitFailed || !strings.Contains(stderr.String(), "write to stdout: no room") {
			t.Errorf("%v: exit %d, stderr %q", args, code, stderr)
		}
	}
}

func TestClassify(t *testing.T) {
	interrupted, cancel := context.WithCancelCause(context.Background())
	cancel(errInterrupted)
	store := func(k providers.Kind) error {
		return fmt.Errorf("x: %w", &providers.Error{Kind: k, Op: "open", Name: "n"})
	}
	tests := []struct {
		ctx  context.Context
		err  error
		exit int
		code string
		hint string
	}{
		{t.Context(), errors.New("x"), 1, "failed", ""},
		{t.Context(), &config.Problems{List: []config.Problem{{}}}, 2, "config", ""},
		{t.Context(), &config.NotFound{}, 2, "config", "farshore init"},
		{t.Context(), fmt.Errorf("x: %w", &vault.DamageError{Object: "o", Err: errors.New("e")}), 4, "damage", ""},
		{t.Context(), &vault.NoVaultError{}, 1, "no-vault", "RECOVERY.md"},
		{t.Context(), fmt.Errorf("x: %w", vault.ErrLocked), 1, "locked", "--identity"},
		{t.Context(), seal.ErrWrongKey, 1, "locked", "--identity"},
		{t.Context(), seal.ErrDamaged, 4, "damage", ""},
		{t.Context(), store(providers.Denied), 1, "denied", "policy"},
		{t.Context(), store(providers.Unauthenticated), 1, "unauthenticated", "AWS_PROFILE"},
		{t.Context(), store(providers.Temporary), 1, "temporary", "try again"},
		{t.Context(), store(providers.NotFound), 1, "not-found", ""},
		{t.Context(), store(providers.Other), 1, "failed", ""},
		{t.Context(), context.DeadlineExceeded, 1, "timeout", ""},
		{t.Context(), context.Canceled, 1, "failed", ""},
		{interrupted, fmt.Errorf("x: %w", context.Canceled), 130, "interrupted", "run the command again"},
		{interrupted, errors.New("x"), 1, "failed", ""},
	}
	for _, tt := range tests {
		f := classify(tt.ctx, tt.err)
		if f.exit != tt.exit || f.code != tt.code || !strings.Contains(f.hint, tt.hint) || (tt.hint == "") != (f.hint == "") {
			t.Errorf("%v: exit %d, code %s, hint %q", tt.err, f.exit, f.code, f.hint)
		}
		if !errors.Is(f, tt.err) {
			t.Errorf("%v is lost", tt.err)
		}
	}
	if classify(t.Context(), nil) != nil {
		t.Error("nil is a failure")
	}
}
