package providers

import (
	"context"
	"io"
	"time"
)

// Version is one stored version of a name, or a marker that hides what lies beneath it.
type Version struct {
	// Info describes it. A marker has no size.
	Info
	// ID is the store's own name of the version: an S3 version id, a GCS generation, a B2 file id.
	ID string
	// Marker is true for what hides the name without bytes of its own: S3's delete marker, B2's hidden file. On GCS a name whose
	// newest generation is noncurrent is hidden without one.
	Marker bool
	// Current is true for what a read without a version id sees.
	Current bool
	// By is who wrote it, where the store tells; else "".
	By string
}

// Mark is where a listing of versions goes on: behind this version, or behind all of the name where ID is empty. The zero Mark is the beginning.
type Mark struct{ Name, ID string }

// Historian is what a Driver implements whose store keeps what was overwritten or hidden. Methods hold to the rules of Driver. A store whose bucket
// happens to keep no versions answers with one version a name.
type Historian interface {
	// Versions returns versions and markers of the names that begin with prefix, in ascending order of names and, within a name, the newest first
	// (but see OldestFirst). It
	// returns at least one where there are any behind the mark, about limit at most, and whether more may follow.
	Versions(ctx context.Context, prefix string, after Mark, limit int) (page []Version, next Mark, more bool, err error)
	// OpenVersion reads a range of one version, as Open does.
	OpenVersion(ctx context.Context, name, id string, off, n int64) (io.ReadCloser, error)
}

// Keeper is what a Driver implements whose store can be asked how it keeps what it holds. Both only read.
type Keeper interface {
	// Lock tells until when a version, or what a plain read sees where id is empty, can't be removed, and how strictly. An object without a lock
	// has the zero Lock.
	Lock(ctx context.Context, name, id string) (Lock, error)
	// Settings tells how the bucket keeps objects. What this credential may not ask, or the store can't tell, is in Settings.Unknown and is no error.
	Settings(ctx context.Context) (Settings, error)
}

// LockMode says who can lift a lock before its time.
type LockMode string

// Modes. Compliance and Policy bind everybody, the account's owner too; Governance and PolicyUnlocked those without a permission to lift them.
const (
	LockNone       LockMode = ""
	Compliance     LockMode = "COMPLIANCE"      // S3 Object Lock, B2, GCS object retention "Locked"
	Governance     LockMode = "GOVERNANCE"      // S3 Object Lock, B2, GCS object retention "Unlocked"
	Policy         LockMode = "policy"          // GCS bucket retention policy, locked; Azure immutability policy, locked
	PolicyUnlocked LockMode = "policy-unlocked" // the same before it is locked
)

// Binding reports whether nobody at all can lift a lock of this mode before its time.
func (m LockMode) Binding() bool { return m == Compliance || m == Policy }

// Lock is what keeps a version from being removed. The zero Lock keeps nothing.
type Lock struct {
	Mode LockMode
	// Until is when the lock ends.
	Until time.Time
	// Hold is true under a legal hold, which has no end and can be lifted by whoever may.
	Hold bool
}

// Settings say how a bucket keeps what it holds.
type Settings struct {
	// Versioning is "on", "suspended", "off", or "" where it could not be read.
	Versioning string `json:"versioning,omitempty"`
	// Lock is true where Object Lock, or what the store has in its place, is enabled on the bucket.
	Lock bool `json:"lock"`
	// Mode and Retention are the lock that each new object gets by itself; "" and 0 for none.
	Mode      LockMode      `json:"mode,omitempty"`
	Retention time.Duration `json:"retention,omitempty"`
	// Rules are those of the lifecycle that remove something.
	Rules []Rule `json:"rules,omitempty"`
	// Unknown says what could not be read and why, by its name here: "versioning", "lock", "rules".
	Unknown map[string]string `json:"unknown,omitempty"`
}

// Rule is a rule by which the store itself removes objects.
type Rule struct {
	ID string `json:"id"`
	// Prefix is what names must begin with, as the bucket sees them.
	Prefix string `json:"prefix,omitempty"`
	// Expire and Noncurrent are after how long current and noncurrent versions are removed, or hidden; nil: not. 0 is at once.
	Expire     *time.Duration `json:"expire,omitempty"`
	Noncurrent *time.Duration `json:"noncurrent,omitempty"`
	// Tagged is true for a rule that takes objects by their tags or metadata, not by age alone.
	Tagged bool `json:"tagged,omitempty"`
}

// Sight is how much of a name's history this store and credential show.
type Sight string

// Sights.
const (
	SightNone   Sight = "none"   // the store keeps no versions, or the driver can't list them
	SightDenied Sight = "denied" // the credential may not list them
	SightSeen   Sight = "seen"
)

// Name is a name and what lies under it.
type Name struct {
	// Info describes the oldest version that has bytes: what was there before anything hid it. Where only markers are left it has no more than the name.
	Info
	// ID is that version's id; "" where the store has none, and where there are no bytes.
	ID string
	// Hidden is true where a plain read does not see that version: a marker or a newer version lies over it.
	Hidden bool
	// Versions and Markers are how many there are.
	Versions, Markers int
	// Oldest are the oldest of them, versions and markers, at most MaxHistory, the oldest first.
	Oldest []Version
}

// MaxHistory bounds how many versions of one name are remembered: whoever can overwrite can make any number.
const MaxHistory = 64

// Plain reports whether there is just the one version that was written.
func (n *Name) Plain() bool { return n.Versions == 1 && n.Markers == 0 && !n.Hidden }
