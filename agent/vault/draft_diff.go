package vault

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"farshore/agent/record"
)

// Change is one difference between a statement and its predecessor, in words.
type Change struct {
	Text string `json:"text"`
	// Danger says what follows from it that the owner should think of twice, or is empty.
	Danger string `json:"danger,omitempty"`
}

// changes collects differences.
type changes []Change

func (c *changes) add(danger, format string, args ...any) {
	*c = append(*c, Change{fmt.Sprintf(format, args...), danger})
}

// Changes says what a statement changes in comparison with the one before it, which is nil for the first. Only what both say themselves is looked at. Texts from the
// statements are quoted where they could hold any character.
func Changes(prev, next *record.Statement) []Change {
	var c changes
	if prev == nil {
		prev = &record.Statement{Format: next.Format, Parameters: next.Parameters}
		c.add("", "begins the vault, with format %d", next.Format)
	}
	c.recipients(prev, next)
	c.signers(prev, next)
	c.revocations(prev, next)
	c.format(prev, next)
	c.parameters(&prev.Parameters, &next.Parameters)
	c.lists(prev, next)
	return c
}

const (
	dangerRecovery  = "whoever holds its identity can read everything that is stored from now on"
	dangerRetired   = "its identity opens nothing that is stored from now on; what is stored already stays sealed to it, and readable by whoever holds it"
	dangerMetadata  = "whoever holds its identity can read names, sizes and digests of what is stored from now on"
	dangerOrphan    = dangerMetadata + ", and it belongs to no agent of this statement"
	dangerRevoked   = "snapshots of these commits can't be restored while this stands"
	dangerAlone     = "; a thief who has the key can still begin new chains, which count"
	dangerRestored  = "commits that were revoked count again, whoever made them"
	dangerSteward   = "whoever holds the key may act as steward"
	dangerWidened   = "whoever holds the key can commit more than before"
	dangerFormat    = "agents and readers of older programs stop until they are upgraded"
	dangerParameter = "an agent that does not know the value stops"
	dangerPrune     = "what is on the list may be deleted from then on, and no reader takes that for damage"
	dangerRemap     = "readers take what the list names in place of what is damaged or gone; the items' hashes still decide"
)

func (c *changes) recipients(prev, next *record.Statement) {
	for _, r := range next.Recipients {
		old := recipientIn(prev, r.Recipient, r.Role)
		switch {
		case old == nil && r.Role == record.RoleRecovery:
			c.add(dangerRecovery, "recovery recipient %s is added", shown(r.Recipient))
		case old == nil && next.Signer(r.Signer) == nil:
			c.add(dangerOrphan, "metadata recipient %s of key %s is added", shown(r.Recipient), r.Signer)
		case old == nil && prev.Signer(r.Signer) != nil:
			c.add(dangerMetadata, "metadata recipient %s is added to key %s, which was named before", shown(r.Recipient), r.Signer)
		case old == nil:
			c.add("", "metadata recipient %s of key %s is added", shown(r.Recipient), r.Signer)
		case old.Signer != r.Signer:
			c.add(dangerMetadata, "metadata recipient %s moves from key %s to key %s", shown(r.Recipient), old.Signer, r.Signer)
		}
	}
	for _, r := range prev.Recipients {
		switch {
		case recipientIn(next, r.Recipient, r.Role) != nil:
		case r.Role == record.RoleRecovery:
			c.add(dangerRetired, "recovery recipient %s is retired", shown(r.Recipient))
		default:
			c.add("", "metadata recipient %s of key %s is no longer sealed to", shown(r.Recipient), r.Signer)
		}
	}
}

// shownWhole is the length up to which a recipient is shown whole: those of X25519 have 62 characters.
const shownWhole = 80

// shown stands for a recipient where somebody is to judge it: whole, or by its beginning and the SHA-256 of the whole. The beginning alone proves little: the first
// characters of a post-quantum recipient are a part of its key that whoever makes it has some choice in.
func shown(recipient string) string {
	if len(recipient) <= shownWhole {
		return recipient
	}
	return fmt.Sprintf("%s (SHA-256 %x)", brief(recipient), sha256.Sum256([]byte(recipient)))
}

func recipientIn(st *record.Statement, recipient, role string) *record.Recipient {
	for i := range st.Recipients {
		if r := &st.Recipients[i]; r.Recipient == recipient && r.Role == role {
			return r
		}
	}
	return nil
}

func (c *changes) signers(prev, next *record.Statement) {
	for i := range next.Signers {
		s := &next.Signers[i]
		if old := prev.Signer(s.ID); old == nil {
			c.newSigner(next, s)
		} else {
			c.signer(old, s)
		}
	}
	for i := range prev.Signers {
		if s := &prev.Signers[i]; next.Signer(s.ID) == nil {
			c.add("", "key %s (%s) is no longer named", s.ID, roles(s))
		}
	}
}

func (c *changes) newSigner(next *record.Statement, s *record.Signer) {
	var danger []string
	if s.RolesHas(record.RoleSteward) {
		danger = append(danger, dangerSteward)
	}
	if s.RolesHas(record.RoleAgent) {
		metadata := ""
		for _, r := range next.Recipients {
			if r.Role == record.RoleMetadata && r.Signer == s.ID {
				metadata = r.Recipient
			}
		}
		danger = append(danger, "whoever holds the key makes snapshots that count: compare its fingerprint with the one that its own host shows: "+Fingerprint(s.Key, metadata))
	}
	c.add(strings.Join(danger, "; "), "key %s is added as %s%s%s", s.ID, roles(s), sourcesOf(s), times(s))
}

func roles(s *record.Signer) string {
	if len(s.Roles) == 0 {
		return "no role"
	}
	return strings.Join(s.Roles, ", ")
}

// sourcesOf says what a signer may commit for.
func sourcesOf(s *record.Signer) string {
	switch {
	case s.SourcesHas("*"):
		return ", for all sources"
	case len(s.Sources) > 0:
		return ", for " + quoted(s.Sources)
	case s.RolesHas(record.RoleAgent):
		return ", for no source"
	}
	return ""
}

func quoted(texts []string) string {
	var out []string
	for _, t := range slices.Sorted(slices.Values(texts)) {
		out = append(out, strconv.Quote(t))
	}
	return strings.Join(out, ", ")
}

// times says when a signer's signatures count.
func times(s *record.Signer) string {
	var text string
	if !s.From.IsZero() {
		text += ", from " + record.FormatTime(s.From)
	}
	if !s.Until.IsZero() {
		text += ", until " + record.FormatTime(s.Until)
	}
	return text
}

// signer compares one key's entry with what it was.
func (c *changes) signer(old, s *record.Signer) {
	if a, b := roles(old), roles(s); a != b {
		danger := ""
		if slices.ContainsFunc(s.Roles, func(r string) bool { return !old.RolesHas(r) }) {
			danger = dangerWidened
		}
		c.add(danger, "key %s is %s, and was %s", s.ID, b, a)
	}
	if a, b := sourcesOf(old), sourcesOf(s); a != b {
		danger := ""
		if slices.ContainsFunc(s.Sources, func(name string) bool { return !old.SourcesHas(name) }) {
			danger = dangerWidened
		}
		c.add(danger, "key %s counts%s, and counted%s", s.ID, or(b, ", for no source"), or(a, ", for no source"))
	}
	if !old.From.Equal(s.From) {
		danger := ""
		if s.From.IsZero() || s.From.Before(old.From) {
			danger = dangerWidened
		}
		c.add(danger, "key %s counts from %s on, and did from %s", s.ID, moment(s.From), moment(old.From))
	}
	if old.Until.Equal(s.Until) {
		return
	}
	if s.Until.IsZero() || !old.Until.IsZero() && s.Until.After(old.Until) {
		c.add(dangerWidened, "key %s (%s) counts until %s, and did until %s", s.ID, roles(s), moment(s.Until), moment(old.Until))
		return
	}
	c.add("", "key %s (%s) ends at %s: what it signs after that does not count", s.ID, roles(s), record.FormatTime(s.Until))
}

func or(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

func (c *changes) revocations(prev, next *record.Statement) {
	had, has := revocationKeys(prev), revocationKeys(next)
	for _, r := range next.Revoked {
		switch {
		case had[revocationKey(r)]:
		case r.Seq > 0 && outOfForce(prev, r.Signer, r.Chain, r.Seq):
			c.add(dangerRestored, "commits of key %s in chain %s up to number %d count again", r.Signer, r.Chain, r.Seq)
		default:
			c.add(dangerRevoked+alone(next, r), "%s revoked", revoked(next, r, "is", "are"))
		}
	}
	for _, r := range prev.Revoked {
		switch {
		case has[revocationKey(r)]:
		case r.Chain != "" && outOfForce(next, r.Signer, r.Chain, 1):
			c.add(dangerRevoked, "all commits of key %s in chain %s are revoked, and were after number %d", r.Signer, r.Chain, r.Seq)
		default:
			c.add(dangerRestored, "%s no longer revoked", revoked(prev, r, "is", "are"))
		}
	}
}

// alone adds to the danger of a revocation of a chain what it leaves open where the key's other chains are not revoked.
func alone(st *record.Statement, r record.Revocation) string {
	if r.Commit != nil || r.Chain == "" || isRevoked(st, r.Signer) {
		return ""
	}
	return dangerAlone
}

func revocationKeys(st *record.Statement) map[string]bool {
	m := map[string]bool{}
	for _, r := range st.Revoked {
		m[revocationKey(r)] = true
	}
	return m
}

// revoked says which commits a revocation of the statement is about, with a verb.
func revoked(st *record.Statement, r record.Revocation, one, many string) string {
	others := slices.ContainsFunc(st.Revoked, func(x record.Revocation) bool { return x.Signer == r.Signer && x.Chain != "" })
	switch {
	case r.Commit != nil:
		return fmt.Sprintf("the commit with hash %s %s", r.Commit, one)
	case r.Chain == "" && others:
		return fmt.Sprintf("ALL commits of key %s, in every chain that no other line names, %s", r.Signer, many)
	case r.Chain == "":
		return fmt.Sprintf("ALL commits of key %s, in every chain, %s", r.Signer, many)
	case r.Seq == 0:
		return fmt.Sprintf("all commits of key %s in chain %s %s", r.Signer, r.Chain, many)
	}
	return fmt.Sprintf("commits of key %s in chain %s after number %d %s", r.Signer, r.Chain, r.Seq, many)
}

func (c *changes) format(prev, next *record.Statement) {
	if prev.Format == next.Format {
		return
	}
	danger := dangerFormat
	if next.Format > WritesFormat {
		danger += "; this program writes " + strconv.Itoa(WritesFormat)
	}
	c.add(danger, "writers write format %d, and wrote %d", next.Format, prev.Format)
}

func (c *changes) parameters(prev, next *record.Parameters) {
	numbers := []struct {
		name string
		a, b int64
	}{
		{"pack_size", prev.PackSize, next.PackSize}, {"frame_size", prev.FrameSize, next.FrameSize}, {"chunk_min", prev.ChunkMin, next.ChunkMin},
		{"chunk_normal", prev.ChunkNormal, next.ChunkNormal}, {"chunk_max", prev.ChunkMax, next.ChunkMax},
	}
	for _, p := range numbers {
		if p.a != p.b {
			c.add("", "parameter %s is %d, and was %d", p.name, p.b, p.a)
		}
	}
	for _, p := range []struct{ name, a, b string }{
		{"chunking", prev.Chunking, next.Chunking}, {"chunk_name", prev.ChunkName, next.ChunkName},
		{"compression", prev.Compression, next.Compression}, {"padding", prev.Padding, next.Padding},
	} {
		if p.a != p.b {
			c.add(dangerParameter, "parameter %s is %q, and was %q", p.name, p.b, p.a)
		}
	}
}

// lists compares prune and remap lists.
func (c *changes) lists(prev, next *record.Statement) {
	had, has := listKeys(prev), listKeys(next)
	for _, p := range next.Prune {
		if text := pruneText(p); !had[text] {
			c.add(dangerPrune, "%s", text)
		}
	}
	for _, r := range next.Remap {
		if text := remapText(r); !had[text] {
			c.add(dangerRemap, "%s", text)
		}
	}
	for _, p := range prev.Prune {
		if text := pruneText(p); !has[text] {
			c.add("", "no longer: %s", text)
		}
	}
	for _, r := range prev.Remap {
		if text := remapText(r); !has[text] {
			c.add("", "no longer: %s", text)
		}
	}
}

func pruneText(p record.Prune) string {
	return fmt.Sprintf("what is on list %s (%d bytes) may be absent from %s on", p.List.Name, p.List.Size, record.FormatTime(p.Since))
}

func remapText(r record.Ref) string {
	return fmt.Sprintf("damaged and moved ranges are where list %s (%d bytes) says", r.Name, r.Size)
}

func listKeys(st *record.Statement) map[string]bool {
	m := map[string]bool{}
	for _, p := range st.Prune {
		m[pruneText(p)] = true
	}
	for _, r := range st.Remap {
		m[remapText(r)] = true
	}
	return m
}

// moment writes a bound of time, where none is a bound too.
func moment(t time.Time) string {
	if t.IsZero() {
		return "any time"
	}
	return record.FormatTime(t)
}
