package report

import (
	"time"

	"farshore/agent/record"
)

// Types of the reports of a verification run: the commitment is stored before it, the audit after it.
const (
	TypeCommitment = "audit-commitment"
	TypeAudit      = "audit"
)

// Commitment is stored before an audit draws anything: the hash of the audit's 32 random bytes and the heads of the chains fix the draw, and nobody knows it yet.
type Commitment struct {
	Type string       `json:"type"`
	Prev *record.Hash `json:"prev,omitempty"`
	// Vault is the vault's id.
	Vault     record.Hash `json:"vault"`
	Time      time.Time   `json:"time"`
	Statement int64       `json:"statement"`
	// Seed is the SHA-256 of the audit's 32 random bytes.
	Seed record.Hash `json:"seed_hash"`
	// Heads are the newest commits of the chains, ascending by chain, at most MaxHeads: what they and the commits before them name is the population.
	Heads  []Head `json:"heads,omitempty"`
	Budget Budget `json:"budget"`
}

// Budget is what an audit may read. A zero member bounds nothing.
type Budget struct {
	Bytes   int64 `json:"bytes"`
	Seconds int64 `json:"seconds"`
	// CoverageDays is the promise that every object is verified within so many days; 0: there is none.
	CoverageDays int64 `json:"coverage_days"`
	// EverySeconds is how long after this audit the next is expected: what the promise is reckoned with.
	EverySeconds int64 `json:"every_seconds"`
}

// Modes of an audit, how one ended, and its verdicts.
const (
	ModeSample = "sample" // a draw within a budget
	ModeFull   = "full"   // everything
	ModeDrill  = "drill"  // a whole snapshot, restored elsewhere

	EndDone        = "done"        // it did what it was to do
	EndInterrupted = "interrupted" // somebody stopped it: what was verified until then counts
	EndTime        = "time"        // the time of its budget was over before its bytes, or where it has no bytes, before everything was read
	EndFailed      = "failed"      // it could not go on; Why says why

	VerdictIntact     = "intact"     // nothing that was checked is damaged, and what was to be checked was
	VerdictIncomplete = "incomplete" // nothing that was checked is damaged, and not all that was to be checked was
	VerdictDamaged    = "damaged"
	VerdictTampered   = "tampered"
)

// Audit is what a verification run did and found. Every number says what was done; what was not done is counted in NotChecked and claimed nowhere. It names neither
// items nor sources nor places: those are in Sealed, for who has the metadata key.
type Audit struct {
	Type      string       `json:"type"`
	Prev      *record.Hash `json:"prev,omitempty"`
	Vault     record.Hash  `json:"vault"`
	Time      time.Time    `json:"time"` // the end of the run
	Started   time.Time    `json:"started"`
	Program   string       `json:"program"`
	Statement int64        `json:"statement"`
	// Pinned is false when the owner's key was taken from the vault itself, so that a wholly forged vault would pass.
	Pinned  bool   `json:"owner_pinned"`
	Mode    string `json:"mode"`
	End     string `json:"end"`
	Why     string `json:"why,omitempty"`
	Verdict string `json:"verdict"`
	// Commitment is the hash of the stored bytes of the run's Commitment, and Seed are the 32 bytes that it has the hash of; absent in a run that drew nothing.
	Commitment *record.Hash `json:"commitment,omitempty"`
	Seed       *record.Hash `json:"seed,omitempty"`
	Heads      []Head       `json:"heads,omitempty"`
	Budget     Budget       `json:"budget"`

	Population Population `json:"population"`
	Inventory  Inventory  `json:"inventory"`
	Parts      []Part     `json:"parts,omitempty"`
	// ReadObjects of the population, each once, were read whole and have the hash in their name; ReadObjectBytes are theirs, as their commits state.
	ReadObjects     int64 `json:"read_objects"`
	ReadObjectBytes int64 `json:"read_object_bytes"`

	Bounds     []Bound       `json:"bounds,omitempty"`
	Coverage   Coverage      `json:"coverage"`
	Ledger     Ledger        `json:"ledger"`
	Items      ItemCounts    `json:"items"`
	Repos      RepoCounts    `json:"repositories"`
	Written    Written       `json:"read_back"`
	Locks      *LockState    `json:"locks,omitempty"`
	Store      *StoreState   `json:"store,omitempty"`
	Protection *Protection   `json:"protection,omitempty"`
	Keys       KeyState      `json:"keys"`
	Sources    []SourceState `json:"sources,omitempty"` // ascending by chain, at most MaxSources
	// MoreSources counts the chains that Sources does not have.
	MoreSources int64  `json:"more_sources"`
	Drill       *Drill `json:"drill,omitempty"`

	// Damaged are the objects that are known to be damaged or missing: those that this audit found, and those that an earlier one found and that nobody found whole since.
	// At most MaxDamaged; MoreDamaged counts the others.
	Damaged     []Damage       `json:"damaged,omitempty"`
	MoreDamaged int64          `json:"more_damaged"`
	Findings    []AuditFinding `json:"findings,omitempty"`
	Omitted     int64          `json:"omitted"`
	NotChecked  []NotChecked   `json:"not_checked,omitempty"`
	// Requests and ReadBytes are what the run cost at the store.
	Requests  int64 `json:"requests"`
	ReadBytes int64 `json:"read_bytes"`
	// Sealed is padded base64 of an age file, sealed as a page is, with the JSON of Names; empty where nothing has a name.
	Sealed string `json:"sealed,omitempty"`
}

// Bounds of an audit. All that an audit may have of everything does not fit into MaxSize: Fit cuts what can be counted in place of being listed. Heads, ledger, parts and
// sweeps are never cut, and fit together.
const (
	MaxDamaged    = 4096
	MaxArcs       = 2048   // of a Ledger
	MaxPositions  = 64     // of a Ledger
	MaxPlaces     = 32_768 // of all Positions of a Ledger together: of a vault with many chains, fewer positions
	MaxSweeps     = 2048   // of a Part
	MaxRefs       = 20     // snapshots and items named for one damaged object
	MaxNames      = 1000   // items that Names has
	MaxSources    = 1000   // chains whose state is told
	MaxNotChecked = 100
	MaxText       = 1024    // bytes of any text
	MaxSealed     = 400_000 // digits of Sealed
)

// Population is what the commits up to Heads name, each object once.
type Population struct {
	Chains    int64 `json:"chains"`
	Commits   int64 `json:"commits"`
	Packs     int64 `json:"packs"`
	PackBytes int64 `json:"pack_bytes"`
	Pages     int64 `json:"pages"` // objects below meta/
	PageBytes int64 `json:"page_bytes"`
	// Items and ItemBytes are what the newest complete snapshots say that they hold, together.
	Items     int64 `json:"items"`
	ItemBytes int64 `json:"item_bytes"`
}

// Inventory is what a listing of the store showed of the population: no byte of an object is read for it.
type Inventory struct {
	// Done is false where the listing did not come to its end: then the numbers are of what was seen until then.
	Done    bool  `json:"done"`
	Present int64 `json:"present"`
	Missing int64 `json:"missing"`
	// WrongSize objects are there with another size than their commit says.
	WrongSize int64 `json:"wrong_size"`
	// Hidden are objects over which something lies, a newer version or a delete marker.
	Hidden int64 `json:"hidden"`
	// Versions is "seen", "none" where the store keeps none, or "denied".
	Versions      string `json:"versions"`
	ExtraVersions int64  `json:"extra_versions"`
	Markers       int64  `json:"delete_markers"`
	// Unnamed objects lie below packs/ and meta/ and are named by no commit. Junk of them have names that no object of a vault has.
	Unnamed      int64 `json:"unnamed"`
	UnnamedBytes int64 `json:"unnamed_bytes"`
	Junk         int64 `json:"junk"`
}

// Names of parts of a draw.
const (
	PartPacks    = "packs"    // uniform over packs, without replacement
	PartPages    = "pages"    // uniform over pages, without replacement
	PartBytes    = "bytes"    // uniform over the stored bytes of packs, with replacement: the pack that has the byte is read
	PartRisk     = "risk"     // what was found bad before, and the newest
	PartCoverage = "coverage" // what was never, or longest ago, verified
	PartAll      = "all"      // everything, in a full audit
)

// Part is what came of one part of the draw. An object that several parts draw is read once and counts in each. A part's objects are read in the order of its draw, and
// what counts is the longest run from its beginning that was dealt with: Intact + Failed + Unread = Checked.
type Part struct {
	Part    string `json:"part"`
	Planned int64  `json:"planned"`
	Checked int64  `json:"checked"`
	Bytes   int64  `json:"bytes"` // of those checked, as their commits state
	Intact  int64  `json:"intact"`
	Failed  int64  `json:"failed"`
	Unread  int64  `json:"unread"` // the store did not give them
	// Digest is the SHA-256 over what was checked, in the order of the draw: for each object a byte, 0 for a pack and 1 for a page, and the 32 bytes of its name. Of
	// PartCoverage and PartAll it is in ascending order of (name, kind) within each sweep.
	Digest record.Hash `json:"digest"`
	// Sweeps are what PartCoverage went over, in this order. Of PartAll they are the runs of names that the ledger rests on: of what was checked, all but what is neither intact
	// nor on the list of the damaged.
	Sweeps []Sweep `json:"sweeps,omitempty"`
}

// What a Sweep goes over.
const (
	SweepNew = "new" // objects that the ledger before had as never verified
	SweepAll = "all" // every object
)

// Sweep is a run of names that the coverage went over. From and To are the first 8 bytes of names in hexadecimal digits; To is excluded, and empty for the end.
type Sweep struct {
	From string `json:"from"`
	To   string `json:"to,omitempty"`
	// Only is SweepNew or SweepAll.
	Only string `json:"only"`
}

// Units and methods of a Bound.
const (
	UnitPacks = "packs"
	UnitPages = "pages"
	UnitBytes = "bytes"
	UnitItems = "items"

	MethodHypergeometric = "hypergeometric"  // without replacement from a known population
	MethodBinomial       = "clopper-pearson" // with replacement, or from a population of unknown size
	MethodCensus         = "census"          // all were dealt with: no estimate
)

// Bound says, of one unit, how large a share may be damaged at the most, from the uniform part alone.
type Bound struct {
	Unit string `json:"unit"`
	// Population is how many there are; 0: not known exactly.
	Population int64 `json:"population"`
	// Sampled were drawn and dealt with: of bytes they are positions, and by MethodCensus all bytes.
	Sampled int64 `json:"sampled"`
	// Failed of those sampled are damaged, or were not given by the store: positions, or bytes, in such packs.
	Failed int64  `json:"failed"`
	Method string `json:"method"`
	// Upper95 and Upper99 are the exact upper confidence bounds on the damaged share, from 0 to 1, rounded up to nine digits.
	Upper95 float64 `json:"upper_95"`
	Upper99 float64 `json:"upper_99"`
}

// Coverage is what the ledger says after the audit.
type Coverage struct {
	// Verified objects and bytes, packs and pages, were read whole and matched their names at some time.
	Verified      int64 `json:"verified"`
	VerifiedBytes int64 `json:"verified_bytes"`
	// Never were not yet.
	Never      int64 `json:"never"`
	NeverBytes int64 `json:"never_bytes"`
	// Oldest is the earliest time at which one of Verified was last verified, and NeverSince the time of the earliest commit that added one of Never; zero where there is none.
	Oldest     time.Time `json:"oldest,omitzero"`
	NeverSince time.Time `json:"never_since,omitzero"`
	// Met says whether the promise is kept: nothing was last verified, or added and never verified, longer ago than promised. Absent without a promise.
	Met *bool `json:"met,omitempty"`
	// Overdue objects and bytes break it.
	Overdue      int64 `json:"overdue"`
	OverdueBytes int64 `json:"overdue_bytes"`
	// Feasible is false where audits of this budget, as often as expected, can't keep the promise; NeededBytes is what an audit would have to read.
	Feasible    *bool `json:"feasible,omitempty"`
	NeededBytes int64 `json:"needed_bytes"`
}

// Ledger is what was verified when, as far as this signer's coverage goes. The circle of names is cut into arcs; of each, the objects that the commits up to a position
// name were verified at a time. It stands in each audit whole, so that the newest is all that the next one needs.
type Ledger struct {
	Arcs      []Arc      `json:"arcs,omitempty"`
	Positions []Position `json:"positions,omitempty"`
}

// Arc is a run of names, from From to the next arc's: ascending, the first at 0000000000000000. Without Time nothing in it was verified.
type Arc struct {
	// From is the first 8 bytes of names in hexadecimal digits.
	From string `json:"from"`
	// Time is when its objects were verified, or before: each at that time or later.
	Time time.Time `json:"time,omitzero"`
	// Position is the index of the heads up to which; 0 where Time is absent.
	Position int64 `json:"position"`
}

// Position is how far each chain was: what the commits up to there name. Ascending by chain.
type Position []ChainPosition

// ChainPosition is a chain and the number of one of its commits.
type ChainPosition struct {
	Chain string `json:"chain"`
	Seq   int64  `json:"seq"`
}

// ItemCounts is what came of putting items together.
type ItemCounts struct {
	// Tried is false where no key that opens packs was at hand, or the run ended before: then nothing was put together.
	Tried bool `json:"tried"`
	// Drawn items of the newest complete snapshots, uniformly; in a full audit all items of all snapshots. Drawn = Restored + Failed + Locked.
	Drawn    int64 `json:"drawn"`
	Restored int64 `json:"restored"`
	Failed   int64 `json:"failed"`
	// Locked were opened by no key at hand.
	Locked int64 `json:"locked"`
	Bytes  int64 `json:"bytes"`
	// Compared were read at their source as well: Same had the bytes that the record states, Differ others though nothing says that they changed; Changed had changed at the
	// source, so that there was nothing to compare; Unseen could not be read there. Compared = Same + Differ.
	Compared int64 `json:"compared"`
	Same     int64 `json:"same"`
	Differ   int64 `json:"differ"`
	Changed  int64 `json:"changed"`
	Unseen   int64 `json:"unseen"`
}

// RepoCounts is what came of restoring repositories and letting git and Subversion check them.
type RepoCounts struct {
	Checked   int64 `json:"checked"`
	Problems  int64 `json:"problems"`
	Unchecked int64 `json:"unchecked"`
}

// Written is what the commits say of how what they added was verified when it was written: restored from the vault in that pass and compared with the source's hash, or
// not.
type Written struct {
	// Commits say how much they read back; Silent ones say nothing of it.
	Commits int64 `json:"commits"`
	Silent  int64 `json:"silent_commits"`
	// Items and Bytes were stored anew by Commits, ItemsRead and BytesRead of them restored before their commit.
	Items     int64 `json:"items"`
	Bytes     int64 `json:"bytes"`
	ItemsRead int64 `json:"items_read_back"`
	BytesRead int64 `json:"bytes_read_back"`
	// Adopted packs were stored before a restart and were not read back.
	Adopted int64 `json:"adopted_packs"`
}

// LockState is what the store says of the locks of what the newest complete snapshots need.
type LockState struct {
	Needed    int64     `json:"needed"`
	Estimated bool      `json:"estimated"`
	Asked     int64     `json:"asked"`
	Locked    int64     `json:"locked"`
	Liftable  int64     `json:"liftable"`
	Expired   int64     `json:"expired"`
	Unlocked  int64     `json:"unlocked"`
	Unknown   int64     `json:"unknown"`        // the store did not tell, or does not have them as they were stored
	First     time.Time `json:"first,omitzero"` // when the first lock that nobody can lift ends
	// FirstObject is the object whose lock that is: the next audit asks for it again, since such a lock can't be shortened.
	FirstObject string `json:"first_object,omitempty"`
	Why         string `json:"why,omitempty"`
}

// StoreState is how the store says that it keeps what it holds.
type StoreState struct {
	Versioning       string `json:"versioning,omitempty"`
	Lock             bool   `json:"lock"`
	Mode             string `json:"mode,omitempty"`
	RetentionSeconds int64  `json:"retention_seconds"`
	// Rules of the lifecycle remove something.
	Rules []string `json:"rules,omitempty"`
	// Unknown could not be read: "what: why".
	Unknown []string `json:"unknown,omitempty"`
	// Changed says what is different from the signer's audit before.
	Changed []string `json:"changed,omitempty"`
}

// Protection is what is known of the agent's credential: what `farshore probe` came to, where this run knows it.
type Protection struct {
	Required string    `json:"required"`
	Verdict  string    `json:"verdict"`
	Words    string    `json:"words"`
	Time     time.Time `json:"time,omitzero"`
	Expires  time.Time `json:"expires,omitzero"`
}

// KeyState is what is known of the recovery keys.
type KeyState struct {
	// Recovery is how many recovery recipients the statement names.
	Recovery int64 `json:"recovery"`
	// DrillTime is when the newest header drill that counts was made; absent: never.
	DrillTime   time.Time `json:"drill_time,omitzero"`
	DrillDrawn  int64     `json:"drill_drawn"`
	DrillOpened int64     `json:"drill_opened"`
	DrillFailed int64     `json:"drill_failed"`
}

// SourceState is how fresh one chain's snapshots are. Its source's name is in Names.
type SourceState struct {
	Chain   string `json:"chain"`
	Retired bool   `json:"retired"`
	// Seq and Time are of the newest complete snapshot, GoodSeq and GoodTime of the newest complete one that is not suspicious; absent where there is none.
	Seq      int64     `json:"seq"`
	Time     time.Time `json:"time,omitzero"`
	GoodSeq  int64     `json:"good_seq"`
	GoodTime time.Time `json:"good_time,omitzero"`
	// Suspicious is why the newest complete snapshot is marked.
	Suspicious []string `json:"suspicious,omitempty"`
	Snapshots  int64    `json:"snapshots"`
	Items      int64    `json:"items"`
	Bytes      int64    `json:"bytes"`
	Unreadable int64    `json:"unreadable"`
	// StoredBytes is what the chain's commits added.
	StoredBytes int64 `json:"stored_bytes"`
	// AgeSeconds is how old the newest complete snapshot was at the end of the run; TargetSeconds how old it may be (0: nobody said), and Late whether it was older.
	AgeSeconds    int64 `json:"age_seconds"`
	TargetSeconds int64 `json:"target_seconds"`
	Late          bool  `json:"late"`
	// RolledBack says that the chain ends before a commit that was seen earlier.
	RolledBack bool `json:"rolled_back"`
}

// Kinds of places that a drill restores into.
const (
	IntoDirectory    = "directory"
	IntoBucket       = "bucket"
	IntoRepositories = "repositories"
)

// Drill is a whole snapshot that was restored elsewhere, and how long that took.
type Drill struct {
	Chain string `json:"chain"`
	Seq   int64  `json:"seq"`
	// Into is what kind of place: IntoDirectory, IntoBucket or IntoRepositories.
	Into    string    `json:"into"`
	Started time.Time `json:"started"`
	Seconds float64   `json:"seconds"`
	// TargetSeconds is the recovery time that was to be met; 0: nobody said.
	TargetSeconds int64 `json:"target_seconds"`
	Met           *bool `json:"met,omitempty"`
	// Items, of Bytes, were restored whole; Failed ones were not.
	Items  int64 `json:"items"`
	Bytes  int64 `json:"bytes"`
	Failed int64 `json:"failed"`
	// Repositories were restored and passed git's or Subversion's own check.
	Repositories int64 `json:"repositories"`
}

// Kinds of a Damage, and what can make it good.
const (
	DamageMissing  = "missing"  // the store does not have it
	DamageBytes    = "bytes"    // its bytes do not have the hash in its name
	DamageSize     = "size"     // it has another size than its commit says
	DamageWithheld = "withheld" // the store lists it and does not give it
	DamageSeal     = "seal"     // its bytes are right and the recovery key does not open it
	DamageContent  = "content"  // it opens, and what it holds is not what the records say

	RemedySource  = "source"  // every item that it hits that was looked at is unchanged at its source: the next pass stores it anew
	RemedyPartly  = "partly"  // some are
	RemedyNone    = "none"    // none is
	RemedyUnknown = "unknown" // it could not be told: no key, no access to the source
	// RemedyNeedless: no snapshot needs it, or no content rests on it: nothing is lost.
	RemedyNeedless = "needless"
)

// Damage is a stored object that does not hold what it should.
type Damage struct {
	Object string `json:"object"` // its name in the vault
	Kind   string `json:"kind"`
	// Since is the end of the first audit that found it.
	Since time.Time `json:"since"`
	// Snapshots need it: Seqs are the first of them, by chain.
	Snapshots int64           `json:"snapshots"`
	First     []ChainPosition `json:"first,omitempty"`
	// Items rest on it, in the newest snapshots that need it; -1: not known, without a key. Names are indices, from 1 on, into Names.Items.
	Items  int64   `json:"items" least:"-1"`
	Names  []int64 `json:"names,omitempty"`
	Remedy string  `json:"remedy"`
	// What to do, in words.
	Advice string `json:"advice,omitempty"`
}

// AuditFinding is something that was noticed. Its text has no name of an item or source: where it is about an item, Item is the index, from 1 on, into Names.Items.
type AuditFinding struct {
	Severity string `json:"severity"` // notice, damage, tampering
	Object   string `json:"object,omitempty"`
	Text     string `json:"text"`
	Item     int64  `json:"item,omitempty"`
}

// NotChecked is something that the audit did not check, as a number.
type NotChecked struct {
	What  string `json:"what"`
	Count int64  `json:"count" least:"-1"` // -1: how many is not known
	Why   string `json:"why"`
}

// Names is what an audit seals: what only who has the metadata key may know.
type Names struct {
	// Sources are the sources' names, by chain.
	Sources map[string]string `json:"sources,omitempty"`
	// Items are "source: path" of items that findings and damages are about, at most MaxNames.
	Items []string `json:"items,omitempty"`
}
