package record

import (
	"slices"
	"time"
)

// Roles of signers and of recipients.
const (
	RoleAgent   = "agent"
	RoleAuditor = "auditor"
	RoleSteward = "steward"

	RoleRecovery = "recovery"
	RoleMetadata = "metadata"
)

// Statement is what the vault's owner declares. It says all that holds, and replaces its predecessor.
type Statement struct {
	// N is its number, from 1.
	N int64
	// Prev is the hash of the stored bytes of statement N-1; nil in the first.
	Prev *Hash
	Time time.Time
	// Owner is the public key that signs it: "ed25519:" and base64.
	Owner string
	// Format is the version of the format that writers write.
	Format     int
	Parameters Parameters
	Recipients []Recipient
	Signers    []Signer
	Revoked    []Revocation
	Prune      []Prune
	// Remap are remap lists.
	Remap []Ref
	Note  string
}

// Parameters are what writers hold to. Sizes are in bytes.
type Parameters struct {
	PackSize, FrameSize             int64
	Chunking                        string
	ChunkMin, ChunkNormal, ChunkMax int64
	ChunkName, Compression, Padding string
}

// Recipient is an age recipient and what is sealed to it.
type Recipient struct {
	Recipient string
	// Role is RoleRecovery or RoleMetadata.
	Role string
	// Signer is the key id of the agent that holds a metadata recipient's identity.
	Signer string
}

// Signer is a key and what it may sign.
type Signer struct {
	// ID is the key's id, Algorithm is "ed25519", Key is the public key: "ed25519:" and base64.
	ID, Algorithm, Key string
	Roles              []string
	// Sources are the names of the sources that an agent may commit for; "*" is all.
	Sources []string
	// From and Until bound the times at which signatures count, Until excluded; zero is unbounded.
	From, Until time.Time
}

// RolesHas reports whether the signer has the role.
func (s *Signer) RolesHas(role string) bool { return slices.Contains(s.Roles, role) }

// SourcesHas reports whether the signer may commit for the source of that name.
func (s *Signer) SourcesHas(name string) bool {
	return slices.Contains(s.Sources, name) || slices.Contains(s.Sources, "*")
}

// Covers reports whether signatures made at t count.
func (s *Signer) Covers(t time.Time) bool {
	return (s.From.IsZero() || !t.Before(s.From)) && (s.Until.IsZero() || t.Before(s.Until))
}

// Revocation takes commits out of force: either those of Signer after number Seq of Chain, or the one commit Commit.
type Revocation struct {
	Signer string
	// Chain is empty for every chain; then Seq is 0.
	Chain string
	Seq   int64
	// Commit is the hash of one commit's stored bytes; nil when the rest holds.
	Commit *Hash
}

// Prune names a prune list and the time from which what it lists may be absent.
type Prune struct {
	List  Ref
	Since time.Time
}

// Signer returns the signer with the key id, or nil. It is the statement's: the caller must not change it.
func (s *Statement) Signer(id string) *Signer {
	for i := range s.Signers {
		if s.Signers[i].ID == id {
			return &s.Signers[i]
		}
	}
	return nil
}

// EncodeStatement writes the statement as one line of JSON without a line feed, or says why no reader would take it.
func EncodeStatement(s *Statement) ([]byte, error) {
	if err := s.check(); err != nil {
		return nil, bodyError(kindStatement, err)
	}
	b := appendIntMember([]byte{'{'}, "n", s.N)
	b = appendHashMember(b, "prev", s.Prev)
	b = appendTimeMember(b, "time", s.Time)
	b = appendStringMember(b, "owner", s.Owner)
	b = appendIntMember(b, "format", int64(s.Format))
	b = append(appendKey(b, "parameters"), '{')
	b = append(appendParameters(b, &s.Parameters), '}')
	b = appendObjects(b, "recipients", s.Recipients, appendRecipient)
	b = appendObjects(b, "signers", s.Signers, appendSigner)
	b = appendObjects(b, "revoked", s.Revoked, appendRevocation)
	b = appendObjects(b, "prune", s.Prune, appendPrune)
	b = appendObjects(b, "remap", s.Remap, appendListRef)
	b = append(appendStringMember(b, "note", s.Note), '}')
	return finishBody(kindStatement, b)
}

// appendObjects writes an array of objects whose members one writes.
func appendObjects[T any](dst []byte, key string, list []T, one func([]byte, *T) []byte) []byte {
	if len(list) == 0 {
		return dst
	}
	dst = append(appendKey(dst, key), '[')
	for i := range list {
		dst = one(append(appendSep(dst), '{'), &list[i])
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

func appendParameters(dst []byte, p *Parameters) []byte {
	dst = appendIntMember(dst, "pack_size", p.PackSize)
	dst = appendIntMember(dst, "frame_size", p.FrameSize)
	dst = appendStringMember(dst, "chunking", p.Chunking)
	dst = appendIntMember(dst, "chunk_min", p.ChunkMin)
	dst = appendIntMember(dst, "chunk_normal", p.ChunkNormal)
	dst = appendIntMember(dst, "chunk_max", p.ChunkMax)
	dst = appendStringMember(dst, "chunk_name", p.ChunkName)
	dst = appendStringMember(dst, "compression", p.Compression)
	return appendStringMember(dst, "padding", p.Padding)
}

func appendRecipient(dst []byte, r *Recipient) []byte {
	dst = appendStringMember(dst, "recipient", r.Recipient)
	dst = appendStringMember(dst, "role", r.Role)
	return appendStringMember(dst, "signer", r.Signer)
}

func appendSigner(dst []byte, s *Signer) []byte {
	dst = appendStringMember(dst, "id", s.ID)
	dst = appendStringMember(dst, "algorithm", s.Algorithm)
	dst = appendStringMember(dst, "key", s.Key)
	dst = appendStrings(dst, "roles", s.Roles)
	dst = appendStrings(dst, "sources", s.Sources)
	dst = appendTimeMember(dst, "from", s.From)
	return appendTimeMember(dst, "until", s.Until)
}

func appendRevocation(dst []byte, r *Revocation) []byte {
	if r.Commit != nil {
		return appendHashMember(dst, "commit", r.Commit)
	}
	dst = appendStringMember(dst, "signer", r.Signer)
	if r.Chain == "" {
		return dst
	}
	return appendIntMember(appendStringMember(dst, "chain", r.Chain), "seq", r.Seq)
}

func appendListRef(dst []byte, r *Ref) []byte {
	return appendIntMember(appendHashMember(dst, "list", &r.Name), "size", r.Size)
}

func appendPrune(dst []byte, p *Prune) []byte {
	return appendTimeMember(appendListRef(dst, &p.List), "since", p.Since)
}
