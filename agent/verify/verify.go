// Package verify checks what a vault holds against what it should hold. Without any key it re-hashes every stored object against its name, and
// follows statements, chains, signatures and public lists to see that all that a snapshot needs is there. With the recovery identity it also puts every item together
// and compares SHA-256s. It reads only, and it says what it did not check.
package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"farshore/agent/record"
	"farshore/agent/vault"
	"farshore/providers"
)

// Options say what to check.
type Options struct {
	// Items has every item of every snapshot put together; the vault must have been opened with a recovery identity.
	Items bool
	// Source restricts chains and items to those of one source, by its name or its chain's id; empty: all. Objects are re-hashed all the same.
	Source string
	// Workers is how many objects or items are read at a time; default 6.
	Workers  int
	Progress *Progress
	// Scratch is the directory in which repositories are restored to be checked, one or two at a time; empty: the system's for temporary files.
	Scratch string
	// Live are sources to compare the newest snapshots of repositories with, by name.
	Live map[string]Looker
	// Before, unless it is nil, reads objects in an order of its own before any other is read, and tells found what came of each, once. Those are not read again, but for one
	// under whose name the listing shows more than was told. found may not be called concurrently, nor after Before. Its error ends the verification.
	Before func(ctx context.Context, found func(Found)) error
}

// Found is what came of reading an object before.
type Found struct {
	Object record.Hash
	Meta   bool // it lies below meta/, and else below packs/
	Examined
}

// Progress counts what was checked, while it runs.
type Progress struct {
	Objects, Bytes         atomic.Int64 // stored objects re-hashed
	Items, ItemBytes       atomic.Int64 // items put together
	PlannedBytes           atomic.Int64 // stored bytes that the commits name
	Chains, Commits, Lists atomic.Int64
}

// maxUseless bounds Result.Useless.
const maxUseless = 1 << 14

// maxFindings bounds how many findings a result lists; all are counted.
const maxFindings = 1000

// Result is what a verification found. Each number says what was done; what was not done is not claimed.
type Result struct {
	VaultID string `json:"vault_id"`
	Owner   string `json:"owner"`
	// Pinned is false when the owner's key was taken from the vault itself, so that a wholly forged vault would pass.
	Pinned     bool          `json:"owner_pinned"`
	Statements int           `json:"statements"`
	Chains     []ChainResult `json:"chains"`
	// Objects were read whole and compared with the hash in their name.
	Objects     int64 `json:"objects_hashed"`
	ObjectBytes int64 `json:"bytes_hashed"`
	// Versions says whether the versions of names were looked at: "seen"; "none" where the store keeps none; "denied" where the credential may not list
	// them: then what lies beneath an object is not known.
	Versions providers.Sight `json:"versions"`
	// ExtraVersions and Markers are how many versions there are beside the right one of each name, and how many delete markers.
	ExtraVersions int64 `json:"extra_versions"`
	Markers       int64 `json:"delete_markers"`
	// Locks say what keeps the objects that the newest snapshots need from being removed; nil where the store can't be asked.
	Locks *Locks `json:"locks,omitempty"`
	// Unreferenced objects are intact and named by no commit: packs of a pass that did not come to its commit.
	Unreferenced     int64 `json:"unreferenced_objects"`
	UnreferencedSize int64 `json:"unreferenced_bytes"`
	// Snapshots have everything that they need, there and intact.
	Snapshots int64 `json:"snapshots_whole"`
	// ItemsChecked says whether items were put together at all; Records are those read, Items the contents put together.
	ItemsChecked bool  `json:"items_checked"`
	Records      int64 `json:"records_read"`
	Items        int64 `json:"items_restored"`
	// Locked are snapshots and contents that no key at hand opens: they were not checked beyond their hashes.
	Locked    int64 `json:"locked"`
	ItemBytes int64 `json:"item_bytes"`
	// ItemsLost contents could not be put together, and ItemsLocked are those of Locked that are contents.
	ItemsLost   int64 `json:"items_lost"`
	ItemsLocked int64 `json:"items_locked"`
	// Repositories were restored and checked by git and Subversion, where items were put together at all.
	Repositories Repositories `json:"repositories"`
	// Damaged and Tampered count findings of those severities.
	Damaged  int64           `json:"damaged"`
	Tampered int64           `json:"tampered"`
	Findings []vault.Finding `json:"findings"`
	Started  time.Time       `json:"started"`
	Seconds  float64         `json:"seconds"`

	// Useless are stored objects that items could not be put together from, whatever their bytes, by name: true where the recovery key does not open one though it should. At
	// most maxUseless.
	Useless map[string]bool `json:"-"`
	// Answered are the sources, by name, that said of one repository at least what it is now.
	Answered map[string]bool `json:"-"`

	stored *table
}

// Object returns what was found of a stored object, and the size of what was read; false where the listing did not show it. Its answer holds where Full came to its end.
func (r *Result) Object(name record.Hash, meta bool) (state State, size int64, found bool) {
	o := r.stored.get(pathOf(name, meta))
	return State(o.state), int64(o.size), o.is&(judged|absent) == judged
}

// ChainResult is what a verification says of one chain.
type ChainResult struct {
	Chain   string `json:"chain"`
	Source  string `json:"source,omitempty"`
	Commits int64  `json:"commits"`
	Head    string `json:"head,omitempty"`
	// Newest is the time of the newest complete snapshot; Whole whether everything that it needs is there and intact.
	Newest *time.Time `json:"newest_complete,omitempty"`
	Whole  bool       `json:"newest_whole"`
}

// OK reports whether nothing was found damaged or tampered with.
func (r *Result) OK() bool { return r.Damaged == 0 && r.Tampered == 0 }

// Full checks everything. The error is nil when the check came to its end, whatever it found: findings are in the result. Until its result is given up it holds 30 to 60 bytes for
// each stored object; while it runs also some 250 for each segment of a list, and, where items are put together, up to 40 MB for parts that several records may share.
func Full(ctx context.Context, v *vault.Vault, o Options) (*Result, error) {
	if o.Workers <= 0 {
		o.Workers = 6
	}
	if o.Progress == nil {
		o.Progress = new(Progress)
	}
	r := &run{v: v, o: o, stored: newTable(), commits: map[string]record.Hash{}, res: &Result{
		VaultID: v.ID(), Owner: v.Owner().String(), Pinned: v.Pinned(), Statements: int(v.Statement().N), ItemsChecked: o.Items, Started: time.Now(), Answered: map[string]bool{},
	}}
	for _, f := range v.Findings() {
		r.add(f)
	}
	err := r.all(ctx)
	r.sightings()
	r.res.Objects, r.res.ObjectBytes = o.Progress.Objects.Load(), o.Progress.Bytes.Load()
	r.res.Items, r.res.ItemBytes = o.Progress.Items.Load(), o.Progress.ItemBytes.Load()
	r.res.Seconds = time.Since(r.res.Started).Seconds()
	r.res.stored = r.stored
	return r.res, err
}

// run is one verification under way.
type run struct {
	v      *vault.Vault
	o      Options
	stored *table // what packs/ and meta/ hold, and what was told of names everywhere
	chains []*vault.Chain
	// list is the list of that name, by segment.
	listName record.Hash
	list     map[record.Hash]*record.ListSection
	commits  map[string]record.Hash // of commits that count, by name, where the name has several versions or is hidden

	mu   sync.Mutex
	kept [2]withheld // of packs/ and meta/
	res  *Result
}

func (r *run) add(f vault.Finding) { r.addListed(f, true) }

// addListed counts a finding, and lists it where it is to be and there is room.
func (r *run) addListed(f vault.Finding, list bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch f.Severity {
	case vault.Damage:
		r.res.Damaged++
	case vault.Tampering:
		r.res.Tampered++
	}
	if list && len(r.res.Findings) < maxFindings {
		r.res.Findings = append(r.res.Findings, f)
	}
}

func (r *run) note(s vault.Severity, object, format string, args ...any) {
	r.add(vault.Finding{Severity: s, Object: object, Text: fmt.Sprintf(format, args...)})
}

// damage notes err if it is damage, and returns it otherwise.
func (r *run) damage(err error) error {
	var d *vault.DamageError
	if errors.As(err, &d) {
		r.note(vault.Damage, d.Object, "%v", d.Err)
		return nil
	}
	return err
}

func (r *run) all(ctx context.Context) error {
	var err error
	if r.res.Versions, err = r.v.Bucket().Sight(ctx); err != nil {
		return err
	}
	if err := r.readChains(ctx); err != nil {
		return err
	}
	if err := r.hashAll(ctx); err != nil {
		return err
	}
	if err := r.inventory(ctx); err != nil {
		return err
	}
	if err := r.follow(ctx); err != nil {
		return err
	}
	if err := r.locks(ctx); err != nil {
		return err
	}
	if r.v.CanOpen() {
		if err := r.items(ctx); err != nil {
			return err
		}
		if r.o.Items {
			if err := r.repositories(ctx); err != nil {
				return err
			}
		}
	}
	if r.o.Source == "" {
		r.res.Unreferenced, r.res.UnreferencedSize = r.stored.unnamed()
	}
	return nil
}

// readChains reads the chains that are to be checked. What is found of chains that have gone, or of none, is told for any source.
func (r *run) readChains(ctx context.Context) error {
	var err error
	if r.chains, err = r.v.Chains(ctx); err != nil {
		return err
	}
	for _, c := range r.chains {
		for _, k := range c.Commits {
			if k.Version != "" {
				r.commits[record.CommitName(c.ID, k.Seq)] = k.Hash
			}
		}
	}
	if r.o.Source != "" {
		r.chains = slices.DeleteFunc(r.chains, func(c *vault.Chain) bool {
			gone := c.ID == "" || c.RolledBack != nil && c.Head() == nil
			return !gone && c.ID != r.o.Source && c.Source.Name != r.o.Source
		})
	}
	for _, c := range r.chains {
		r.o.Progress.Chains.Add(1)
		r.o.Progress.Commits.Add(int64(len(c.Commits)))
		for _, k := range c.Commits {
			r.o.Progress.PlannedBytes.Add(k.AddedBytes)
		}
	}
	r.chainFindings()
	return nil
}

// maxBare bounds how many findings are listed of chains that have no commit which counts.
const maxBare = 100

// chainFindings adds what was found of the chains. Whoever may add objects can begin any number of chains that are none: what is found of those comes last, and only the
// first are listed, so that they crowd out neither what happened to the others nor what is found later. All are counted.
func (r *run) chainFindings() {
	bare := 0
	for _, empty := range []bool{false, true} {
		for _, c := range r.chains {
			if isBare := len(c.Commits) == 0 && c.ID != "" && c.RolledBack == nil && !c.Revoked; isBare != empty {
				continue
			}
			for _, f := range c.Findings {
				if empty {
					bare++
				}
				r.addListed(f, !empty || bare <= maxBare)
			}
		}
	}
	if bare > maxBare {
		r.addListed(vault.Finding{Severity: vault.Notice, Object: "commits/", Text: fmt.Sprintf(
			"%d more chains, or what are named as chains, have no commit that counts: they are counted and not listed", bare-maxBare)}, true)
	}
}
