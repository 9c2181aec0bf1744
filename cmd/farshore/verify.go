package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"farshore/agent/config"
	"farshore/agent/record"
	"farshore/agent/vault"
	"farshore/agent/verify"
	"farshore/crypto/seal"
)

// verifyOptions are what verify was asked for.
type verifyOptions struct {
	access *access
	full   bool
	// source is the only source to rebuild, "" for all.
	source string
	// scratch is where repositories are restored to be checked, "" for the system's directory for temporary files.
	scratch string
}

func verifyCommand(e *env) *cobra.Command {
	var full bool
	var scratch string
	cmd := &cobra.Command{
		Use:   "verify [SOURCE]",
		Short: "Prove that what the vault holds is whole, and can be restored",
		Long: `Read every stored object and compare it with its name, check the owner's statements, chains and signatures, and that
everything that a snapshot needs is there. That takes no key. With a recovery identity every item is rebuilt, too, and its
SHA-256 compared. Of each repository the newest capture, and one of a random older snapshot, is restored into a scratch
directory and checked by git or Subversion themselves: objects, refs as recorded, fsck; revisions, properties, locks. Where
the configuration names the source, its repositories are asked whether they are still as the newest snapshot has them.
On a store with versions, every version and delete marker that lies over or beside the right one is listed as tampering, and the
right one is read. Where the store tells of locks, it says how many packs are locked, and until when. It needs a credential that may
read everything, packs/ too: the auditor's.
Without --full this is what it does as well, for now.

Exit codes: 0 whole, 1 failed, 2 usage or configuration, 3 finished, but not everything could be checked, 4 damage or
tampering, 130 interrupted.`,
		Example: "  farshore verify --full --vault gs://offsite/vault --identity recovery.key",
		Args:    arguments(0, 1, "at most one SOURCE"),
	}
	cmd.Flags().BoolVar(&full, "full", false, "read everything")
	cmd.Flags().StringVar(&scratch, "scratch", "", "`DIRECTORY` to restore repositories in, which must have room for two (default: that for temporary files)")
	return e.reads(cmd, func(ctx context.Context, args []string) (result, error) {
		a, err := e.access()
		if err != nil {
			return nil, err
		}
		o := verifyOptions{access: a, full: full, scratch: scratch}
		if len(args) == 1 {
			o.source = args[0]
		}
		return runVerify(ctx, e, o)
	})
}

// verifyResult is the result of verify.
type verifyResult struct {
	VaultID string `json:"vault_id"`
	Owner   string `json:"owner"`
	Pinned  bool   `json:"pinned"`
	// Objects and Bytes were read and compared with their names.
	Objects int64 `json:"objects"`
	Bytes   int64 `json:"bytes"`
	// Snapshots were found to have everything that they need.
	Snapshots int64 `json:"snapshots"`
	// Items were rebuilt and compared with their SHA-256; Rebuilt says whether that was tried.
	Rebuilt bool `json:"rebuilt"`
	// Records were read with the key at hand; 0 without one.
	Records int64 `json:"records"`
	// Locked snapshots and contents are opened by no key at hand, and were not checked beyond their hashes.
	Locked int64 `json:"locked"`
	// Unreferenced objects are intact and belong to no commit: a pass that was interrupted leaves them, and its next adopts them.
	Unreferenced      int64 `json:"unreferenced"`
	UnreferencedBytes int64 `json:"unreferenced_bytes"`
	Items             int64 `json:"items"`
	ItemBytes         int64 `json:"item_bytes"`
	// Repositories were restored and checked by git and Subversion.
	Repositories verify.Repositories `json:"repositories,omitzero"`
	Findings     []findingResult     `json:"findings"`
	// Heads are the newest commits of the chains, to be kept elsewhere.
	Heads []chainHead `json:"heads"`
	// Reports are about the newest header drill on record.
	reported
	Notices []string `json:"notices,omitempty"`
	// Kept says how the store keeps what it holds, as far as it tells.
	keptResult
	// Protection is what is known here of the agent's credential, where there is a configuration.
	Protection *protection `json:"protection,omitempty"`
	Seconds    float64     `json:"seconds"`
}

func (r verifyResult) text(p *printer) {
	p.line("vault %s", r.VaultID)
	p.line("  %s (%s) read and compared with the hashes in their names", plural(r.Objects, "object"), formatBytes(r.Bytes))
	p.line("  %s with everything that a restore needs", plural(r.Snapshots, "snapshot"))
	if r.Rebuilt {
		noun := "item"
		if r.Repositories != (verify.Repositories{}) {
			noun = "content" // a repository has many
		}
		p.line("  %s (%s) rebuilt, each with its SHA-256", plural(r.Items, noun), formatBytes(r.ItemBytes))
	} else {
		p.line("  no item was rebuilt: that takes a recovery identity")
	}
	r.repositories(p)
	if r.Locked > 0 {
		p.line("  %s snapshots or items could not be opened with the key at hand, and were checked by their hashes alone", formatCount(r.Locked))
	}
	if r.Unreferenced > 0 {
		p.line("  %s (%s) belong to no commit: left by an interrupted pass", plural(r.Unreferenced, "object"), formatBytes(r.UnreferencedBytes))
	}
	if !r.Pinned {
		p.line("  UNPINNED: the owner's key was taken from the vault itself")
	}
	r.kept(p)
	if r.Protection != nil {
		p.line("  the agent's credential: %s", r.Protection)
	}
	p.line("  %s", r.line())
	p.line("  in %s", formatDuration(time.Duration(r.Seconds*float64(time.Second))))
	printHeads(p, r.Heads)
	printFindings(p, r.Findings)
}

// repositories says what came of restoring repositories.
func (r verifyResult) repositories(p *printer) {
	n := r.Repositories
	if n.Checked+n.Problems+n.Unchecked > 0 {
		p.line("  %s restored and checked by git and Subversion, %s of them from an older snapshot", captures(n.Checked), formatCount(n.Older))
	}
	if n.Problems > 0 {
		p.line("  %s did not pass", captures(n.Problems))
	}
	if n.Unchecked > 0 {
		p.line("  %s could not be checked on this machine", captures(n.Unchecked))
	}
	if n.Current+n.Moved+n.Unseen > 0 {
		p.line("  at their source now: %s as in the newest snapshot, %s changed since, %s not to be seen", formatCount(n.Current), formatCount(n.Moved), formatCount(n.Unseen))
	}
}

// captures counts repositories as they were at some time: one may be counted twice, as of its newest snapshot and of an older one.
func captures(n int64) string {
	if n == 1 {
		return "1 capture of a repository"
	}
	return formatCount(n) + " captures of repositories"
}

// runVerify verifies.
func runVerify(ctx context.Context, e *env, o verifyOptions) (result, error) {
	var r verifyResult
	err := e.withVault(ctx, o.access, func(v *vault.Vault) error {
		chains, err := e.known(ctx, v, o.source)
		if err != nil {
			return err
		}
		progress := new(verify.Progress)
		bar := e.follow("verify", func() (int64, int64, int64, int64) {
			return progress.Objects.Load() + progress.Items.Load(), progress.Bytes.Load(), 0, progress.PlannedBytes.Load()
		})
		defer bar.Done()
		recovery := o.access.recovers(v)
		res, err := verify.Full(ctx, v, verify.Options{
			Items: recovery, Source: o.source, Progress: progress, Scratch: o.scratch, Live: e.live(ctx, o.access.config),
		})
		bar.Done()
		r = verifyOf(res)
		r.keptResult = keptOf(res)
		r.Protection = e.proven
		r.Heads = e.headsOf(v, chains, o.source)
		shelf, findings := e.reports(ctx, v)
		r.reported, r.Findings = shelf, append(r.Findings, findings...)
		if err != nil {
			err = fmt.Errorf("not everything was checked: %w", err)
		}
		back := e.refuse(v, chains, o.source)
		r.Notices = e.told(v)
		if bad := cmp.Or(back, alarming(r.Findings)); bad != nil {
			return errors.Join(bad, err)
		}
		if err != nil {
			return err
		}
		if r.Repositories.Unchecked > 0 {
			return incompletef("not every repository could be checked on this machine").with("it takes the programs git and svnadmin, and room in the scratch directory")
		}
		if r.Locked > 0 {
			return incompletef("not everything could be checked: no key at hand opens all of it")
		}
		return nil
	})
	if r.VaultID == "" {
		return nil, err
	}
	return r, err
}

// live opens the sources of repositories that the configuration names, for a look at what they are now. One that can't be opened is left out, with a warning.
func (e *env) live(ctx context.Context, c *config.Config) map[string]verify.Looker {
	out := map[string]verify.Looker{}
	if c == nil {
		return out
	}
	for _, s := range c.Sources {
		if s.RepositoryKind() == "" {
			continue
		}
		src, err := openSource(ctx, c, s)
		if err != nil {
			e.warn("source %s is not compared with the vault: %v", s.Name, err)
			continue
		}
		if l, ok := src.(verify.Looker); ok {
			out[s.Name] = l
		}
	}
	return out
}

// known reads the chains, and refuses a source, or a chain's id, that the vault does not have. "" is all of them.
func (e *env) known(ctx context.Context, v *vault.Vault, name string) ([]*vault.Chain, error) {
	chains, err := e.chains(ctx, v)
	if err != nil || name == "" {
		return chains, err
	}
	var names []string
	for _, c := range chains {
		if c.ID == name || e.sourceOf(v, c) == name {
			return chains, nil
		}
		if c.Source.Name != "" {
			names = append(names, c.Source.Name)
		}
	}
	return nil, e.noSource(v, name, names)
}

// recovers reports whether an identity at hand is one of the vault's recovery identities.
func (a *access) recovers(v *vault.Vault) bool {
	for _, id := range a.identities {
		mine, err := seal.RecipientOf(id)
		if err != nil {
			continue
		}
		for _, r := range v.Statement().Recipients {
			if r.Role == record.RoleRecovery && r.Recipient == mine {
				return true
			}
		}
	}
	return false
}

func verifyOf(res *verify.Result) verifyResult {
	return verifyResult{
		VaultID: res.VaultID, Owner: res.Owner, Pinned: res.Pinned, Objects: res.Objects, Bytes: res.ObjectBytes, Snapshots: res.Snapshots,
		Rebuilt: res.ItemsChecked, Items: res.Items, ItemBytes: res.ItemBytes, Repositories: res.Repositories, Records: res.Records, Locked: res.Locked,
		Unreferenced: res.Unreferenced, UnreferencedBytes: res.UnreferencedSize, Findings: findingsOf(res.Findings), Seconds: res.Seconds,
	}
}
