package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"farshore/agent/vault"
	"farshore/crypto/keyring"
	"farshore/crypto/seal"
)

// TestShown holds that no text can move the cursor or turn the direction of what is printed, whoever chose it.
func TestShown(t *testing.T) {
	for text, want := range map[string]string{
		"plain, — and ü\\x": "plain, — and ü\\x",
		"two\nlines":        "two\nlines",
		"\x1b[31mred":       `\x1b[31mred`,
		"a\u202eb\u009bc":   `a\xe2\x80\xaeb\xc2\x9bc`,
		"no\xffUTF-8\r\t":   `no\xffUTF-8\x0d\x09`,
	} {
		if got := shown(text); got != want {
			t.Errorf("shown(%q) = %q, want %q", text, got, want)
		}
	}
	if got := clean("a\nb\u202e"); got != `a b\xe2\x80\xae` {
		t.Errorf("%q", got)
	}
}

// TestFindingsShown prints findings with names that nobody would choose, and one that is about no object.
func TestFindingsShown(t *testing.T) {
	var b strings.Builder
	p := &printer{w: bufio.NewWriter(&b)}
	printFindings(p, findingsOf([]vault.Finding{{Severity: vault.Damage, Object: "shop: a\u202e\x1b[2J\nb", Text: "is lost"}, {Severity: vault.Notice, Text: "nothing could be made"}}))
	if err := p.w.Flush(); err != nil {
		t.Fatal(err)
	}
	if want := "damage: shop: a\\xe2\\x80\\xae\\x1b[2J b: is lost\nnotice: nothing could be made\n"; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
}

// TestVerifyStranger refuses an identity that never was one of the vault's: somebody who names one wants items restored. The agent's own is taken.
func TestVerifyStranger(t *testing.T) {
	r := newShop(t)
	r.pass()
	identity, _, err := seal.GenerateHybrid()
	if err != nil {
		t.Fatal(err)
	}
	if err := keyring.WriteRecovery("other.key", identity, "", ""); err != nil {
		t.Fatal(err)
	}
	r.run("verify", "--identity", "other.key").ends(exitUsage).warns("no identity of --identity was ever one of this vault's", "hint: name recovery.key")
	r.ok("report").says("no reports yet")
	r.ok("verify", "--identity", "keys/metadata.key").says("INTACT")
	r.ok("verify", "--identity", "other.key", "--identity", "kit/recovery.key").says("INTACT", "3 items put together from packs")
}

// TestDrillNothing drills where there is no pack yet: the owner's key was given, and there is nothing to sign.
func TestDrillNothing(t *testing.T) {
	r := newShop(t)
	r.run("drill", "header", "--identity", "kit/recovery.key", "--owner", "kit/owner.key").ends(exitIncomplete).says("there was nothing to try").lacks("--owner FILE")
}

// TestInterruptedHint says after everything was to be read that only a sample goes on from what was read.
func TestInterruptedHint(t *testing.T) {
	ctx, stop := context.WithCancelCause(t.Context())
	stop(errInterrupted)
	if f := classify(ctx, fullStopped(ctx, fmt.Errorf("not everything was checked: %w", context.Canceled))); f.exit != exitInterrupted || !strings.Contains(f.hint, "--full begins anew") {
		t.Errorf("%+v", f)
	}
	if f := classify(ctx, fullStopped(ctx, errors.New("no"))); f.exit != exitFailed || f.hint != "" {
		t.Errorf("%+v", f)
	}
}
