// Package vast is a vault of any number of packs for tests and benchmarks of what reads it without a key: its packs are made up as they are read, and have the hashes in their
// names. Only tests import it.
package vast

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"farshore/agent/record"
	"farshore/agent/vault"
	"farshore/crypto/seal"
	"farshore/crypto/sign"
	"farshore/providers"
	"farshore/providers/mem"
)

// PackSize is how many bytes each pack has. What an audit costs in requests does not depend on it.
const PackSize = 64

// Store is the store of such a vault: a Driver without versions, or with them. All but packs is kept in memory. It may be used concurrently.
type Store struct {
	*mem.Driver
	// Versioned says that it shows versions, one a name.
	Versioned bool
	// Owner and Agent sign statements and commits.
	Owner, Agent sign.PrivateKey

	packs []pack // ascending
}

// pack is a name and the number that its bytes are made of.
type pack struct {
	name record.Hash
	n    uint64
}

// New returns a vault of one chain, of which each commit adds so many packs. The newest commit's snapshot is empty.
func New(ctx context.Context, packs, each int) (*Store, error) {
	s := &Store{Driver: mem.New(), packs: make([]pack, packs)}
	for i := range s.packs {
		s.packs[i] = pack{sha256.Sum256(content(uint64(i))), uint64(i)}
	}
	var err error
	if s.Owner, err = sign.Generate(); err != nil {
		return nil, err
	}
	if s.Agent, err = sign.Generate(); err != nil {
		return nil, err
	}
	_, recovery, err := seal.GenerateX25519()
	if err != nil {
		return nil, err
	}
	_, metadata, err := seal.GenerateX25519()
	if err != nil {
		return nil, err
	}
	began := time.Now().Add(-365 * 24 * time.Hour)
	id, err := vault.Create(ctx, providers.New(s.Driver, providers.Options{}), vault.CreateOptions{Owner: s.Owner, Recovery: []string{recovery}, Metadata: metadata, Agent: s.Agent.Public(), Time: began})
	if err != nil {
		return nil, err
	}
	if err := s.commits(id, began, each); err != nil {
		return nil, err
	}
	slices.SortFunc(s.packs, func(a, b pack) int { return bytes.Compare(a.name[:], b.name[:]) })
	return s, nil
}

// content is what the pack with that number has.
func content(n uint64) []byte {
	return binary.BigEndian.AppendUint64(make([]byte, PackSize-8, PackSize), n)
}

// page stores bytes below meta/.
func (s *Store) page(b []byte) record.Ref {
	r := record.Ref{Name: sha256.Sum256(b), Size: int64(len(b))}
	s.Set(record.MetaName(r.Name), b)
	return r
}

// commits stores the commits, one a minute.
func (s *Store) commits(id string, at time.Time, each int) error {
	statement, err := record.ParseHash(id)
	if err != nil {
		return err
	}
	root := s.page([]byte("a root that nothing at hand opens"))
	list := s.page(record.EncodeList(&record.List{HasLive: true, Meta: []record.LiveMeta{{Ref: root, Role: record.LiveRoot}}}))
	c := &record.Commit{
		Chain: strings.Repeat("0", 31) + "1", Statement: statement, Complete: true, Root: &root, List: &list,
		Source: base64.StdEncoding.EncodeToString([]byte("sealed")), Meta: []record.Ref{root, list},
	}
	for first := 0; first < len(s.packs); first += each {
		c.Seq, c.Time, c.Packs = c.Seq+1, at.Add(time.Duration(c.Seq+1)*time.Minute).UTC(), nil
		for _, p := range s.packs[first:min(first+each, len(s.packs))] {
			c.Packs = append(c.Packs, record.Ref{Name: p.name, Size: PackSize})
		}
		body, err := record.EncodeCommit(c)
		if err != nil {
			return err
		}
		stored, err := sign.Envelope(sign.KindCommit, id, body, s.Agent)
		if err != nil {
			return err
		}
		s.Set(record.CommitName(c.Chain, c.Seq), stored)
		hash := record.Hash(sha256.Sum256(stored))
		c.Prev, c.Source, c.Meta = &hash, "", nil
	}
	return nil
}

// room is where packs are.
const room = "packs/"

// find returns the number of packs whose names are below a name, or not above it.
func (s *Store) find(name string, with bool) int {
	i, found := slices.BinarySearchFunc(s.packs, name, func(p pack, name string) int { return strings.Compare(record.PackName(p.name), name) })
	if found && with {
		i++
	}
	return i
}

// at returns what a pack has, nil where it is none.
func (s *Store) at(name string) []byte {
	if i := s.find(name, false); strings.HasPrefix(name, room) && i < len(s.packs) && record.PackName(s.packs[i].name) == name {
		return content(s.packs[i].n)
	}
	return nil
}

// Open reads a range.
func (s *Store) Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	b := s.at(name)
	if b == nil {
		return s.Driver.Open(ctx, name, off, n)
	}
	b = b[min(off, PackSize):]
	if n >= 0 {
		b = b[:min(n, int64(len(b)))]
	}
	return body{bytes.NewReader(b)}, nil
}

// body is what Open returns: its size is known (providers.Sized).
type body struct{ *bytes.Reader }

func (body) Close() error { return nil }

// Stat describes an object.
func (s *Store) Stat(ctx context.Context, name string) (providers.Info, error) {
	if s.at(name) != nil {
		return providers.Info{Name: name, Size: PackSize}, nil
	}
	return s.Driver.Stat(ctx, name)
}

// List returns a page of packs where the prefix is theirs, and of the rest otherwise.
func (s *Store) List(ctx context.Context, prefix, after string, limit int) (page []providers.Info, more bool, err error) {
	if !strings.HasPrefix(prefix, room) {
		return s.Driver.List(ctx, prefix, after, limit)
	}
	for i := max(s.find(prefix, false), s.find(after, true)); i < len(s.packs); i++ {
		name := record.PackName(s.packs[i].name)
		if !strings.HasPrefix(name, prefix) {
			break
		}
		if len(page) == limit {
			return page, true, nil
		}
		page = append(page, providers.Info{Name: name, Size: PackSize})
	}
	return page, false, nil
}

// Can says whether it shows versions (providers.Partial).
func (s *Store) Can() (historian, keeper bool) { return s.Versioned, false }

// Versions lists what List does (providers.Historian).
func (s *Store) Versions(ctx context.Context, prefix string, after providers.Mark, limit int) (page []providers.Version, next providers.Mark, more bool, err error) {
	list, more, err := s.List(ctx, prefix, after.Name, limit)
	for _, info := range list {
		page = append(page, providers.Version{Info: info, ID: "1", Current: true})
		next = providers.Mark{Name: info.Name, ID: "1"}
	}
	return page, next, more, err
}

// OpenVersion is Open (providers.Historian).
func (s *Store) OpenVersion(ctx context.Context, name, id string, off, n int64) (io.ReadCloser, error) {
	if id != "1" {
		return nil, &providers.Error{Kind: providers.NotFound, Op: "open", Name: name, Err: fmt.Errorf("there is no version %q", id)}
	}
	return s.Open(ctx, name, off, n)
}
