package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"farshore/agent/record"
	"farshore/agent/vault"
	"farshore/crypto/keyring"
	"farshore/crypto/sign"
)

// signOptions are what `vault sign` was asked for.
type signOptions struct {
	owner, draft, out string
	yes, instead      bool
}

func vaultSignCommand(e *env) *cobra.Command {
	var o signOptions
	cmd := &cobra.Command{
		Use:   "sign --owner FILE DRAFT",
		Short: "Sign a draft with the owner's key, on a machine that is never online",
		Long: `Show what a draft changes, ask, and sign it. It needs no store and no network. What it shows is computed from the two statements in the draft; it holds the
one before to the owner's signature for the vault, with --identity recovery.key also to the vault that the key is for.

What is signed is noted beside the owner's key (owner.key.signed): two different statements with one number would stop every reader, so
that a second one is refused.

Exit codes: 0 done, 1 failed or not agreed to, 2 usage, or the draft is not one that this key may sign.`,
		Example: "  farshore vault sign --owner /media/kit/owner.key 00000002.draft",
		Args:    arguments(1, 1, "DRAFT"),
	}
	f := cmd.Flags()
	f.StringVar(&o.owner, "owner", "", "`FILE` with the owner's signing key, owner.key of the recovery kit (needed)")
	f.StringVar(&o.out, "out", "", "`FILE` to write the signed statement to (default: ./NNNNNNNN-<hash>, its name in the vault)")
	f.BoolVar(&o.yes, "yes", false, "sign without asking")
	f.BoolVar(&o.instead, "instead", false, "sign although another statement with this number was signed, which must then never be placed")
	return e.does(cmd, func(ctx context.Context, args []string) (result, error) {
		o.draft = args[0]
		return runSign(e, o)
	})
}

// signResult is the result of vault sign.
type signResult struct {
	VaultID string         `json:"vault_id"`
	Number  int64          `json:"number"`
	Name    string         `json:"name"`
	File    string         `json:"file"`
	Changes []changeResult `json:"changes"`
}

func (r signResult) text(p *printer) {
	p.line("Statement %d of vault %s is signed: %s", r.Number, r.VaultID, r.File)
	p.line("Next, with a credential that may create below vault/: farshore vault place %s", shellWord(r.File))
}

// runSign signs a draft. What was signed is on record before the signed file exists.
func runSign(e *env, o signOptions) (result, error) {
	k, d, err := e.readForSigning(o)
	if err != nil {
		return nil, err
	}
	prev, err := d.Check(k.Public())
	if err != nil {
		return nil, usagef("%s: %w", o.draft, err).with("sign only drafts of this vault, made from its newest statement, with its owner's key")
	}
	log, err := readSigned(o.owner+signedSuffix, d.VaultID)
	if err != nil {
		return nil, err
	}
	name, stored, err := d.Sign(k)
	if err != nil {
		return nil, err
	}
	hash := strings.TrimPrefix(name, "vault/")
	if err := log.allows(d.Next.N, hash); err != nil && !o.instead {
		return nil, err
	}
	r := signResult{VaultID: d.VaultID, Number: d.Next.N, Name: name, File: or(o.out, path.Base(name)), Changes: append(d.Changes(prev), ahead(d.Next.Time, e.now())...)}
	e.showDraft(d, r.Changes)
	if err := e.agreed(o.yes); err != nil {
		return nil, err
	}
	if err := log.add(hash); err != nil {
		e.warn("what was signed could not be noted (%v): never sign another statement %d for this vault, and place this one", err, r.Number)
	}
	return r, writeNew(r.File, stored)
}

// maxAhead is how far a statement's time may be ahead of the signing machine's clock, which nobody sets where there is no network, before that is said.
const maxAhead = 24 * time.Hour

// ahead says that a statement's time is yet to come. What ends with it goes on until then, and every later statement must have a later time still.
func ahead(at, now time.Time) []changeResult {
	if !at.After(now.Add(maxAhead)) {
		return nil
	}
	return []changeResult{{
		Text:   fmt.Sprintf("its time, %s, is %s after this machine's clock", record.FormatTime(at), at.Sub(now).Round(time.Hour)),
		Danger: "a key that it ends goes on until that time, and no later statement can have an earlier one: do not sign it unless this machine's clock is wrong",
	}}
}

// readForSigning reads the owner's key and the draft, and holds the draft to the vault of the recovery key where one is given.
func (e *env) readForSigning(o signOptions) (k sign.PrivateKey, d *vault.Draft, err error) {
	if o.owner == "" {
		return k, nil, usagef("vault sign needs --owner: the owner's key, owner.key of the recovery kit")
	}
	if k, err = keyring.ReadOwnerKey(o.owner); err != nil {
		return k, nil, usagef("--owner: %w", err)
	}
	data, err := readSmall("the draft", o.draft, vault.MaxDraft)
	if err != nil {
		return k, nil, err
	}
	if d, err = vault.DecodeDraft(data); err != nil {
		return k, nil, usagef("%s: %w", o.draft, err)
	}
	var a access
	owners, err := e.readIdentities(&a)
	if err != nil {
		return k, nil, err
	}
	owners = append(owners, claim{o.owner, k.Public().String()})
	if e.flags.ownerPub != "" {
		owners = append(owners, claim{"--owner-pub", e.flags.ownerPub})
	}
	if _, err := agree("owner's key", owners); err != nil {
		return k, nil, err
	}
	if a.vaultID != "" && a.vaultID != d.VaultID {
		return k, nil, usagef("%s is for vault %s, and the recovery key for %s", o.draft, d.VaultID, a.vaultID)
	}
	return k, d, nil
}

// showDraft says what is about to be signed, whatever else is to be quiet.
func (e *env) showDraft(d *vault.Draft, changes []changeResult) {
	line := func(format string, args ...any) { fmt.Fprintf(e.stderr, format+"\n", args...) }
	line("Statement %d of vault %s, of %s", d.Next.N, d.VaultID, record.FormatTime(d.Next.Time))
	if d.Next.Note != "" {
		line("  note: %s", clean(d.Next.Note))
	}
	line("In comparison with statement %d, it changes:", d.Next.N-1)
	printChanges(func(format string, args ...any) {
		text := fmt.Sprintf(format, args...)
		if strings.HasPrefix(text, "    WARNING") {
			text = e.paint(red, text)
		}
		line("%s", text)
	}, changes)
}

// agreed asks a person, unless they said yes before.
func (e *env) agreed(yes bool) error {
	if yes {
		return nil
	}
	f, ok := e.stdin.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) || e.flags.json {
		return usagef("nobody can be asked here: read what it changes, and add --yes")
	}
	return e.ask("Sign it? Type yes: ", f)
}

// ask takes nothing but yes for a yes.
func (e *env) ask(question string, in io.Reader) error {
	fmt.Fprint(e.stderr, question)
	answer, err := bufio.NewReader(io.LimitReader(in, 1<<10)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if strings.TrimSpace(answer) != "yes" {
		return errors.New("not agreed to: nothing was signed")
	}
	return nil
}
