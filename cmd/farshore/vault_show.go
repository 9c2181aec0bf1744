package main

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"farshore/agent/record"
	"farshore/agent/vault"
)

func vaultShowCommand(e *env) *cobra.Command {
	return e.reads(&cobra.Command{
		Use:   "show",
		Short: "Show what the owner's statements say, and the heads of the chains",
		Long: `Show the vault's id and owner, what each of the owner's statements changed, and what holds now: who may sign what, to whom the vault is sealed, what is
revoked, parameters and format; what was ignored because the owner did not sign it; and the head of each chain. Keep the heads
elsewhere: whoever has them notices a chain that was cut or replaced. No key is needed; sources have names where one at hand opens them.

Exit codes: 0 done, 1 failed, 2 usage or configuration, 4 damage or tampering.`,
		Example: "  farshore vault show\n  farshore vault show --vault gs://offsite/vault --identity recovery.key",
		Args:    arguments(0, 0, ""),
	}, func(ctx context.Context, args []string) (result, error) {
		a, err := e.access()
		if err != nil {
			return nil, err
		}
		var r *vaultResult
		err = e.withVault(ctx, a, func(v *vault.Vault) error {
			chains, err := e.chains(ctx, v)
			if err != nil {
				return err
			}
			r = newVaultResult(v, chains, e.now())
			r.Notices = e.sightings(v)
			return cmp.Or(e.refuse(v, chains, ""), alarming(r.Findings))
		})
		if r == nil {
			return nil, err
		}
		return *r, err
	})
}

// vaultResult is the result of vault show.
type vaultResult struct {
	VaultID    string             `json:"vault_id"`
	Owner      string             `json:"owner"`
	Pinned     bool               `json:"pinned"`
	Statements []statementResult  `json:"statements"`
	Format     int                `json:"format"`
	Parameters parametersResult   `json:"parameters"`
	Recipients []recipientResult  `json:"recipients"`
	Signers    []signerResult     `json:"signers"`
	Revoked    []revocationResult `json:"revoked,omitempty"`
	Chains     []headResult       `json:"chains"`
	Findings   []findingResult    `json:"findings,omitempty"`
	Notices    []string           `json:"notices,omitempty"`
}

// statementResult is one of the owner's statements.
type statementResult struct {
	Number  int64          `json:"number"`
	Time    string         `json:"time"`
	Hash    string         `json:"hash"`
	Note    string         `json:"note,omitempty"`
	Changes []changeResult `json:"changes"`
}

// parametersResult are a statement's parameters, sizes in bytes.
type parametersResult struct {
	PackSize    int64  `json:"pack_size"`
	FrameSize   int64  `json:"frame_size"`
	Chunking    string `json:"chunking"`
	ChunkMin    int64  `json:"chunk_min"`
	ChunkNormal int64  `json:"chunk_normal"`
	ChunkMax    int64  `json:"chunk_max"`
	ChunkName   string `json:"chunk_name"`
	Compression string `json:"compression"`
	Padding     string `json:"padding"`
}

type recipientResult struct {
	Recipient string `json:"recipient"`
	Role      string `json:"role"`
	Signer    string `json:"signer,omitempty"`
}

// signerResult is a key that may sign, or might. State is current, not-yet, ended or revoked.
type signerResult struct {
	ID      string   `json:"id"`
	Key     string   `json:"key"`
	Roles   []string `json:"roles"`
	Sources []string `json:"sources,omitempty"`
	From    string   `json:"from,omitempty"`
	Until   string   `json:"until,omitempty"`
	State   string   `json:"state"`
}

type revocationResult struct {
	Signer string `json:"signer,omitempty"`
	Chain  string `json:"chain,omitempty"`
	// After is the last number of the chain that counts.
	After  int64  `json:"after,omitempty"`
	Commit string `json:"commit,omitempty"`
}

// headResult is the head of a chain.
type headResult struct {
	Chain   string `json:"chain"`
	Source  string `json:"source,omitempty"`
	Signer  string `json:"signer,omitempty"`
	Seq     int64  `json:"seq"`
	Hash    string `json:"hash,omitempty"`
	Time    string `json:"time,omitempty"`
	Retired bool   `json:"retired,omitempty"`
	// Continues is the chain that it goes on from.
	Continues string `json:"continues,omitempty"`
}

func newVaultResult(v *vault.Vault, chains []*vault.Chain, now time.Time) *vaultResult {
	st := v.Statement()
	r := &vaultResult{
		VaultID: v.ID(), Owner: v.Owner().String(), Pinned: v.Pinned(), Format: st.Format, Parameters: parametersResult(st.Parameters),
		Recipients: []recipientResult{}, Signers: []signerResult{}, Chains: []headResult{}, Findings: findingsOf(v.Findings()),
	}
	var prev *record.Statement
	for _, s := range v.Statements() {
		r.Statements = append(r.Statements, statementResult{s.N, record.FormatTime(s.Time), s.Hash.String(), s.Note, vault.Changes(prev, s.Statement)})
		prev = s.Statement
	}
	for _, x := range st.Recipients {
		r.Recipients = append(r.Recipients, recipientResult(x))
	}
	for i := range st.Signers {
		r.Signers = append(r.Signers, signerOf(st, &st.Signers[i], now))
	}
	for _, x := range st.Revoked {
		one := revocationResult{Signer: x.Signer, Chain: x.Chain, After: x.Seq}
		if x.Commit != nil {
			one.Commit = x.Commit.String()
		}
		r.Revoked = append(r.Revoked, one)
	}
	for _, c := range chains {
		r.Findings = append(r.Findings, findingsOf(c.Findings)...)
		if c.ID != "" {
			r.Chains = append(r.Chains, headOf(c))
		}
	}
	return r
}

func signerOf(st *record.Statement, s *record.Signer, now time.Time) signerResult {
	r := signerResult{ID: s.ID, Key: s.Key, Roles: s.Roles, Sources: s.Sources, State: "current"}
	if !s.From.IsZero() {
		r.From = record.FormatTime(s.From)
	}
	if !s.Until.IsZero() {
		r.Until = record.FormatTime(s.Until)
	}
	switch {
	case !s.Until.IsZero() && !now.Before(s.Until):
		r.State = "ended"
	case !s.Covers(now):
		r.State = "not-yet"
	}
	for _, x := range st.Revoked {
		if x.Signer == s.ID && x.Chain == "" {
			r.State = "revoked"
		}
	}
	return r
}

func headOf(c *vault.Chain) headResult {
	r := headResult{Chain: c.ID, Source: c.Source.Name, Retired: c.Retired()}
	if h := c.Head(); h != nil {
		r.Signer, r.Seq, r.Hash, r.Time = h.Signer, h.Seq, h.Hash.String(), record.FormatTime(h.Time)
		if k := c.Commits[0].Continues; k != nil {
			r.Continues = k.Chain
		}
	}
	return r
}

func (r vaultResult) text(p *printer) {
	p.line("vault %s", r.VaultID)
	p.line("owner %s%s", r.Owner, map[bool]string{false: " (UNPINNED: taken from the vault itself)"}[r.Pinned])
	for _, s := range r.Statements {
		p.line("")
		p.line("statement %d of %s %s", s.Number, s.Time, s.Hash)
		if s.Note != "" {
			p.line("  note: %s", clean(s.Note))
		}
		for _, c := range s.Changes {
			p.line("  - %s", clean(c.Text))
		}
	}
	p.line("")
	p.line("in force now, with format %d:", r.Format)
	r.printSigners(p)
	p.line("")
	p.line("packs of %s in frames of %s, %s (%s, %s, %s), %s, %s, padding %s", formatBytes(r.Parameters.PackSize), formatBytes(r.Parameters.FrameSize), clean(r.Parameters.Chunking),
		formatBytes(r.Parameters.ChunkMin), formatBytes(r.Parameters.ChunkNormal), formatBytes(r.Parameters.ChunkMax), clean(r.Parameters.ChunkName), clean(r.Parameters.Compression), clean(r.Parameters.Padding))
	r.printHeads(p)
	printFindings(p, r.Findings)
}

// printSigners prints recipients, signers and revocations.
func (r *vaultResult) printSigners(p *printer) {
	rows := [][]string{{"RECIPIENT", "ROLE", "OF KEY"}}
	for _, x := range r.Recipients {
		rows = append(rows, []string{shortRecipient(x.Recipient), x.Role, x.Signer})
	}
	p.table(rows)
	p.line("")
	rows = [][]string{{"KEY", "ROLE", "SOURCES", "FROM", "UNTIL", "STATE"}}
	for _, s := range r.Signers {
		rows = append(rows, []string{s.ID, or(strings.Join(s.Roles, ", "), "none"), clean(or(strings.Join(s.Sources, ", "), "-")), or(s.From, "-"), or(s.Until, "-"), s.State})
	}
	p.table(rows)
	for _, x := range r.Revoked {
		switch {
		case x.Commit != "":
			p.line("revoked: commit %s", x.Commit)
		case x.Chain == "":
			p.line("revoked: all commits of key %s, in every chain that no other line names", x.Signer)
		default:
			p.line("revoked: commits of key %s in chain %s after number %d", x.Signer, x.Chain, x.After)
		}
	}
}

func (r *vaultResult) printHeads(p *printer) {
	p.line("")
	if len(r.Chains) == 0 {
		p.line("no chains yet")
		return
	}
	rows := [][]string{{"CHAIN", "SOURCE", "BY KEY", "HEAD"}}
	for _, c := range r.Chains {
		head := "no commit counts"
		if c.Seq > 0 {
			head = strconv.FormatInt(c.Seq, 10) + ":" + c.Hash
		}
		if c.Retired {
			head += " (retired)"
		}
		if c.Continues != "" {
			head += fmt.Sprintf(" (continues %s)", c.Continues)
		}
		rows = append(rows, []string{c.Chain, clean(or(c.Source, "-")), or(c.Signer, "-"), head})
	}
	p.table(rows)
}
