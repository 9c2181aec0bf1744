package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"farshore/agent/vault"
)

// seenIgnore is the value of --seen that reads a rolled back chain all the same.
const seenIgnore = "ignore"

// reads makes a command that reads the vault run an action: does, with the flag --seen.
func (e *env) reads(cmd *cobra.Command, run action) *cobra.Command {
	cmd.Flags().StringArrayVar(&e.flags.seen, "seen", nil, "`SEQ:HASH` of a commit that the vault must still have, as `farshore snapshots` prints heads; may be repeated. ignore: read a chain that was rolled back all the same")
	return e.does(cmd, run)
}

// sight is what a command that reads the vault holds it to, and what it noticed on the way.
type sight struct {
	access *access
	// byHand are the marks of --seen, kept those of the local state by vault; ignore is --seen ignore.
	byHand []vault.Seen
	kept   *seenMarks
	ignore bool
	// writable is true where the local state can take marks.
	writable bool
	notices  []string
	// told is how many sightings were told already.
	told int
}

// newSight gathers the marks.
func (e *env) newSight(a *access) (*sight, error) {
	s := &sight{access: a, kept: newSeenMarks()}
	for _, text := range e.flags.seen {
		if text == seenIgnore {
			s.ignore = true
			continue
		}
		mark, err := vault.ParseSeen(text)
		if err != nil {
			return nil, usagef("--seen: %w", err).with("give a head as `farshore snapshots` prints it, SEQ:HASH with at least 16 digits of the hash, or the word ignore")
		}
		s.byHand = append(s.byHand, mark)
	}
	e.openSeen(s)
	return s, nil
}

// openSeen reads the marks of the local state, where there is one.
func (e *env) openSeen(s *sight) {
	dir := s.access.state
	if dir == "" {
		return
	}
	if e.flags.state != "" {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			s.notice(e, "what is seen of the vault can't be remembered in %s: %v", dir, err)
			return
		}
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		// The agent makes it; whoever reads as another user should not.
		e.detail("nothing is remembered of the vault: there is no directory %s", dir)
		return
	}
	kept, err := readSeen(dir)
	switch {
	case err == nil:
		s.kept, s.writable = kept, true
	case errors.Is(err, errSeenDamaged):
		s.writable = true // it is put aside before it is written
		s.notice(e, "%s: %v. What was seen of this vault is forgotten, so that a chain that was rolled back would not be noticed: give the heads that you keep elsewhere with --seen", filepath.Join(dir, seenFile), err)
	default:
		s.notice(e, "%s: %v. What was seen of this vault is not known, so that a chain that was rolled back would not be noticed", filepath.Join(dir, seenFile), err)
	}
}

// notice warns, and keeps the text for --json.
func (s *sight) notice(e *env, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	e.warn("%s", text)
	s.notices = append(s.notices, text)
}

// marks returns all that a vault is held to.
func (s *sight) marks(vaultID string) []vault.Seen {
	return append(s.kept.of(vaultID), s.byHand...)
}

// openVault opens the vault under the marks that are known of it. Which vault it is shows only then, where nothing names it.
func (e *env) openVault(ctx context.Context, st *store, a *access, s *sight) (*vault.Vault, error) {
	guess := or(a.vaultID, s.kept.only())
	o := a.vaultOptions(nil)
	o.Seen = s.marks(guess)
	v, err := vault.Open(ctx, st.Bucket, o)
	if err != nil || v.ID() == guess || len(s.kept.Vaults) == 0 {
		return v, err
	}
	o.Seen = s.marks(v.ID())
	return vault.Open(ctx, st.Bucket, o)
}

// chains reads the vault's chains, and remembers their heads. It says nothing of what it found in them.
func (e *env) chains(ctx context.Context, v *vault.Vault) ([]*vault.Chain, error) {
	chains, err := v.Chains(ctx)
	if err != nil {
		return nil, err
	}
	marks := map[string]seenMark{}
	for _, c := range chains {
		if m, ok := c.Seen(); ok && c.RolledBack == nil {
			marks[c.ID] = seenMark{Seq: m.Seq, Hash: m.Hash, Source: c.Source.Name}
		}
	}
	e.remember(ctx, v.ID(), marks)
	return chains, nil
}

// remember raises the marks in the local state. A failure is no reason not to restore.
func (e *env) remember(ctx context.Context, vaultID string, marks map[string]seenMark) {
	s := e.sight
	if s == nil || !s.writable || len(marks) == 0 {
		return
	}
	dir := s.access.state
	err := raiseSeen(ctx, dir, vaultID, marks, func(why error, kept string) {
		s.notice(e, "%s: %v; it was kept as %s, and a new one is begun", filepath.Join(dir, seenFile), why, kept)
	})
	switch {
	case errors.Is(err, fs.ErrPermission), errors.Is(err, unix.EROFS):
		e.say("note: what was seen of the vault is not remembered in %s: %v", dir, err)
	case err != nil:
		s.notice(e, "what was seen of the vault could not be remembered in %s: %v", dir, err)
	}
}

// refuse returns the failure of a command that is to take a snapshot from chains that were rolled back: those of a source, by its name or its chain's id. Under --seen
// ignore it only warns.
func (e *env) refuse(v *vault.Vault, chains []*vault.Chain, name string) error {
	err := e.rolledBack(v, chains, name)
	if err == nil {
		return nil
	}
	if e.sight != nil && e.sight.ignore {
		e.sight.notice(e, "%v: read all the same, because of --seen ignore", err)
		return nil
	}
	return &failure{exit: exitDamage, code: codeChain, err: err, hint: rolledBackHint}
}

// rolledBackHint says what to do on the worst day.
const rolledBackHint = "commits that were there are gone or replaced: look for their older versions at the provider before you believe what is left; `farshore verify` lists what is wrong. To restore what is there all the same: --seen ignore"

// codeChain is the code of a chain that was rolled back or forked.
const codeChain = "chain"

// rolledBack says of a source, "" for all, that a chain of it ends before a commit that was seen, or has another in its place; nil where that is not so.
func (e *env) rolledBack(v *vault.Vault, chains []*vault.Chain, name string) error {
	for _, c := range chains {
		if c.RolledBack != nil && (name == "" || e.concerns(v, c, name)) {
			return fmt.Errorf("chain %s%s: %w", c.ID, ofSource(e.sourceOf(v, c)), c.RolledBack)
		}
	}
	for _, m := range v.Unseen(chains) {
		if m.Chain == "" {
			return fmt.Errorf("%w: no chain of the vault has commit %s, which --seen names", vault.ErrRolledBack, m)
		}
	}
	return nil
}

func ofSource(name string) string {
	if name == "" {
		return ""
	}
	return " of " + printable(name)
}

// concerns reports whether a chain is, or may be, of the source: one that has gone does not say.
func (e *env) concerns(v *vault.Vault, c *vault.Chain, name string) bool {
	source := e.sourceOf(v, c)
	return c.ID == name || source == name || source == "" && c.Head() == nil
}

// sourceOf returns the name of a chain's source: as it says, or as it was when its newest commit was seen.
func (e *env) sourceOf(v *vault.Vault, c *vault.Chain) string {
	if c.Source.Name != "" || e.sight == nil {
		return c.Source.Name
	}
	return e.sight.kept.Vaults[v.ID()][c.ID].Source
}

// sightings warns of what reading has noticed in the versions of names since it was last asked, and returns all that was noticed for --json.
func (e *env) sightings(v *vault.Vault) []string {
	s := e.sight
	if s == nil {
		return nil
	}
	all := v.Sightings()
	for _, f := range all[min(s.told, len(all)):] {
		s.notice(e, "%s: %s: %s", f.Severity, f.Object, f.Text)
	}
	s.told = len(all)
	return s.notices
}

// told returns what was noticed so far, for commands whose result lists what lies over and beneath names by itself.
func (e *env) told(v *vault.Vault) []string {
	e.sight.told = len(v.Sightings())
	return e.sight.notices
}

// chainHead is the newest commit of a chain, SEQ:HASH, to be kept elsewhere.
type chainHead struct {
	Chain  string `json:"chain"`
	Source string `json:"source,omitempty"`
	Head   string `json:"head,omitempty"`
	// RolledBack says that the chain ends before a commit that was seen, or has another in its place.
	RolledBack string `json:"rolled_back,omitempty"`
}

// headsOf returns the heads of a source's chains, "" for all.
func (e *env) headsOf(v *vault.Vault, chains []*vault.Chain, name string) []chainHead {
	out := []chainHead{}
	for _, c := range chains {
		if c.ID == "" || name != "" && !e.about(v, c, name) {
			continue
		}
		h := chainHead{Chain: c.ID, Source: e.sourceOf(v, c)}
		if m, ok := c.Seen(); ok {
			h.Head = m.String()
		}
		if c.RolledBack != nil {
			h.RolledBack = c.RolledBack.Error()
		}
		out = append(out, h)
	}
	return out
}

// about reports whether what Chains returned concerns a source: its chains, one that is gone and may have been of it, and what is wrong with no chain in particular.
func (e *env) about(v *vault.Vault, c *vault.Chain, name string) bool {
	return c.ID == "" || e.concerns(v, c, name)
}

// headDigits is how many digits of a head's hash are printed for people: 128 bits, which is twice what --seen takes at least.
const headDigits = 32

// briefHead shortens a head SEQ:HASH so that it can be copied by hand.
func briefHead(head string) string {
	seq, hash, _ := strings.Cut(head, ":")
	if len(hash) <= headDigits {
		return head
	}
	return seq + ":" + hash[:headDigits]
}

// printHeads prints the heads of verify. A source may have several chains.
func printHeads(p *printer, heads []chainHead) {
	count := map[string]int{}
	for _, h := range heads {
		count[h.Source]++
	}
	for _, h := range heads {
		title := h.Chain
		switch {
		case h.Source != "" && count[h.Source] > 1:
			title = h.Source + " " + h.Chain
		case h.Source != "":
			title = h.Source
		}
		p.line("head of %s: %s", title, or(briefHead(h.Head), "none"))
		if h.RolledBack != "" {
			p.line("  ROLLED BACK: %s", h.RolledBack)
		}
	}
	keepHeads(p, len(heads))
}

// keepHeads says what the heads are good for.
func keepHeads(p *printer, n int) {
	if n > 0 {
		p.line("keep the heads elsewhere, on paper or with somebody else: given back as --seen SEQ:HASH, each shows that the vault has lost nothing since")
	}
}
