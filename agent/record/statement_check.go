package record

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

const keyPrefix = "ed25519:"

func (s *Statement) check() error {
	switch {
	case s.N < 1 || s.N > maxStatement:
		return at("n", between(s.N, 1, maxStatement))
	case (s.N == 1) != (s.Prev == nil):
		return errors.New("prev is missing, or stands in the first statement")
	case s.Prev != nil && s.Prev.IsZero():
		return errors.New("prev is the zero hash")
	case s.Format < 1:
		return errors.New("format is less than 1")
	}
	if _, err := keyID(s.Owner); err != nil {
		return at("owner", err)
	}
	if err := cmp.Or(at("time", checkTime(s.Time)), at("parameters", s.Parameters.check())); err != nil {
		return err
	}
	if err := checkAll("recipients", s.Recipients, (*Recipient).check); err != nil {
		return err
	}
	if !slices.ContainsFunc(s.Recipients, func(r Recipient) bool { return r.Role == RoleRecovery }) {
		return errors.New("recipients: none has the role recovery: nobody could restore")
	}
	if err := checkAll("signers", s.Signers, (*Signer).check); err != nil {
		return err
	}
	for i := range s.Signers {
		if s.Signer(s.Signers[i].ID) != &s.Signers[i] {
			return at("signers", atIndex(i, errors.New("has the key of one before it")))
		}
	}
	if err := checkAll("revoked", s.Revoked, (*Revocation).check); err != nil {
		return err
	}
	if err := checkAll("prune", s.Prune, (*Prune).check); err != nil {
		return err
	}
	return checkAll("remap", s.Remap, (*Ref).check)
}

func checkAll[T any](name string, list []T, check func(*T) error) error {
	for i := range list {
		if err := check(&list[i]); err != nil {
			return at(name, atIndex(i, err))
		}
	}
	return nil
}

// checkTime refuses a time that RFC 3339 can't write, and none at all.
func checkTime(t time.Time) error {
	if y := t.UTC().Year(); t.IsZero() || y < 1 || y > 9999 {
		return errors.New("is no time between the years 1 and 9999")
	}
	return nil
}

// keyID computes the id of a public key as it is written: the first half of the hash of its bytes.
func keyID(key string) (string, error) {
	coded, found := strings.CutPrefix(key, keyPrefix)
	if !found {
		return "", fmt.Errorf("%s is not a public key that begins with %s", quote(key), keyPrefix)
	}
	b, err := decodeBase64(plainBase64, coded)
	if err != nil {
		return "", err
	}
	if len(b) != 32 {
		return "", fmt.Errorf("%s is a public key of %d bytes in place of 32", quote(key), len(b))
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:keyIDDigits/2]), nil
}

func (p *Parameters) check() error {
	switch {
	case p.PackSize < 1 || p.PackSize > maxStored:
		return at("pack_size", between(p.PackSize, 1, maxStored))
	case p.FrameSize < 1 || p.FrameSize > maxRaw:
		return at("frame_size", between(p.FrameSize, 1, maxRaw))
	case p.ChunkMin < 1 || p.ChunkMin > p.ChunkNormal || p.ChunkNormal > p.ChunkMax || p.ChunkMax > maxRaw:
		return errors.New("chunk_min, chunk_normal and chunk_max do not ascend")
	case p.Chunking == "" || p.ChunkName == "" || p.Compression == "" || p.Padding == "":
		return errors.New("chunking, chunk_name, compression or padding is empty")
	}
	return nil
}

func (r *Recipient) check() error {
	switch {
	case !strings.HasPrefix(r.Recipient, "age1") || strings.ContainsAny(r.Recipient, " \t\r\n"):
		return errors.New("is not an age recipient, which begins with age1") // not quoted: it may be an identity, put there by mistake
	case r.Role == RoleRecovery && r.Signer == "", r.Role == RoleMetadata && isHex(r.Signer, keyIDDigits):
		return nil
	case r.Role == RoleRecovery:
		return errors.New("has the role recovery and a signer")
	case r.Role == RoleMetadata:
		return fmt.Errorf("signer %s is not the id of a key", quote(r.Signer))
	}
	return fmt.Errorf("role %s is not known", quote(r.Role))
}

func (s *Signer) check() error {
	if s.Algorithm != "ed25519" {
		return fmt.Errorf("algorithm %s is not known", quote(s.Algorithm))
	}
	id, err := keyID(s.Key)
	if err != nil {
		return at("key", err)
	}
	if s.ID != id {
		return fmt.Errorf("id %s is not that of its key: %s", quote(s.ID), id)
	}
	for _, role := range s.Roles {
		switch role {
		case RoleAgent, RoleAuditor, RoleSteward:
		default:
			return fmt.Errorf("role %s is not known", quote(role))
		}
	}
	if slices.Contains(s.Sources, "") {
		return errors.New("has a source without a name")
	}
	return s.checkTimes()
}

func (s *Signer) checkTimes() error {
	if !s.From.IsZero() {
		if err := checkTime(s.From); err != nil {
			return at("from", err)
		}
	}
	if s.Until.IsZero() {
		return nil
	}
	if err := checkTime(s.Until); err != nil {
		return at("until", err)
	}
	if !s.Until.After(s.From) {
		return errors.New("until is not after from")
	}
	return nil
}

func (r *Revocation) check() error {
	switch {
	case r.Commit != nil && (r.Signer != "" || r.Chain != "" || r.Seq != 0):
		return errors.New("names one commit, and a signer's commits too")
	case r.Commit != nil && r.Commit.IsZero():
		return errors.New("commit is the zero hash")
	case r.Commit != nil:
		return nil
	case !isHex(r.Signer, keyIDDigits):
		return fmt.Errorf("signer %s is not the id of a key", quote(r.Signer))
	case r.Chain == "" && r.Seq != 0:
		return errors.New("has a seq without a chain")
	case r.Chain != "" && !isHex(r.Chain, chainDigits):
		return fmt.Errorf("chain %s is not the id of a chain", quote(r.Chain))
	}
	return between(r.Seq, 0, maxSeq)
}

func (p *Prune) check() error {
	if err := p.List.check(); err != nil {
		return err
	}
	return at("since", checkTime(p.Since))
}
