package probe

import (
	"time"

	"farshore/providers"
)

// Answer is what a store said to one attempt.
type Answer string

// Answers. Only Denied proves anything: that the store knows the credential and does not let it do this.
const (
	Denied    Answer = "denied"
	Permitted Answer = "permitted"
	Unknown   Answer = "unknown"
)

// Property is what a credential, or a store, is held to.
type Property string

// Properties. The first three are about this credential, the last about everybody.
const (
	CreateOnly Property = "create-only"    // it can't change what a name gives
	NoDestroy  Property = "no-destroy"     // it can't remove a version, nor have it removed
	NoShorten  Property = "no-shorten"     // it can't shorten or lift a lock, or weaken what new objects get
	NobodyTill Property = "nobody-until-T" // nobody at all can remove what is stored before T
	// Control is no property but marks the attempts that show that the credential works: without them a denial says nothing.
	Control Property = "control"
)

// Harm says what an attempt does where it is permitted.
type Harm string

// Harms. Hides is survivable where what lies beneath is locked and can be read.
const (
	Hides    Harm = "hides"    // another version or a marker lies over the original
	Destroys Harm = "destroys" // the original is gone, or will be
	Loosens  Harm = "loosens"  // a lock or a setting that keeps others from destroying
	Excess   Harm = "excess"   // nothing is lost, but the role does not need it
)

// Fate is what became of a canary that something was laid over.
type Fate string

// Fates. Only Locked is survivable for certain.
const (
	Locked   Fate = "locked"   // it lies beneath, under a lock that nobody can lift
	Unlocked Fate = "unlocked" // it lies beneath, and no such lock keeps it there
	Gone     Fate = "gone"     // it is no longer there
	Unseen   Fate = "unseen"   // this credential, or farshore, can't see what lies beneath
)

// Attempt is one thing tried, and what came back.
type Attempt struct {
	// Room is where: "packs", "meta", "commits", "reports", "vault"; "" for the bucket as a whole.
	Room string `json:"room,omitempty"`
	// Probe names what was tried: "overwrite", "delete-version".
	Probe    string   `json:"probe"`
	Property Property `json:"property"`
	Harm     Harm     `json:"harm"`
	// Grant is the permission that would allow it, in the provider's own words: "s3:DeleteObject".
	Grant  string `json:"grant,omitempty"`
	Object string `json:"object,omitempty"`
	Answer Answer `json:"answer"`
	// Code is the store's own: "AccessDenied", "HTTP 204". Text is for people.
	Code string `json:"code,omitempty"`
	Text string `json:"text,omitempty"`
	// Fate is what became of the original, where a Hides was Permitted.
	Fate Fate `json:"fate,omitempty"`
	// Moot is true where an unknown answer does not matter: the store does not have the function that was tried, or a lock that nobody can lift holds, whatever the
	// credential may.
	Moot bool `json:"moot,omitempty"`
}

// Finding is what was made of all attempts against one property.
type Finding struct {
	Property Property `json:"property"`
	// Answer is Denied where each attempt was, Permitted where one was, Unknown else.
	Answer Answer `json:"answer"`
	Text   string `json:"text"`
}

// Verdict is what all of it comes to.
type Verdict string

// Verdicts. Protected is as docs/threat-model.md defines it.
const (
	Protected   Verdict = "protected"
	Unproven    Verdict = "unproven"
	Unprotected Verdict = "unprotected"
)

// Report is the outcome of one run of the probe. It holds for this credential, these rooms, this moment.
type Report struct {
	// Store is the store's kind, Place its address without secrets.
	Store string `json:"store"`
	Place string `json:"place"`
	// Role is the role that the credential was held to, Rooms are those that were tried.
	Role  string   `json:"role"`
	Rooms []string `json:"rooms"`
	// Principal is whom the credential belongs to, without secrets; the same for all session keys of one principal.
	Principal string    `json:"principal"`
	Time      time.Time `json:"time"`
	Expires   time.Time `json:"expires"`
	Verdict   Verdict   `json:"verdict"`
	// Words is the verdict as one sentence for people, with its conditions.
	Words    string    `json:"words"`
	Findings []Finding `json:"findings"`
	Attempts []Attempt `json:"attempts"`
	// Grants are the permissions to take away, for Unprotected.
	Grants []string `json:"grants,omitempty"`
	// Until is T of nobody-until-T; zero where it is not proven.
	Until    time.Time          `json:"until,omitzero"`
	Settings providers.Settings `json:"settings"`
	// Baseline are the settings at their strongest since the owner last accepted them; Weaker says where Settings fall behind.
	Baseline providers.Settings `json:"baseline"`
	Weaker   []string           `json:"weaker,omitempty"`
	// Notes say what was not tried and what the store can't enforce.
	Notes []string `json:"notes,omitempty"`
	// Canaries are what the run created.
	Canaries []string `json:"canaries"`
}
