package drill

import (
	"container/heap"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/agent/vault"
	"farshore/crypto/seal"
)

// sample is a uniform sample of names of unknown number, in memory that only its size decides: the names whose keyed hashes are the least. A name that comes
// twice is in it once and no likelier to be, which whoever signs commits could arrange otherwise.
type sample struct {
	key   [32]byte
	size  int
	heap  ranks
	taken map[record.Hash]bool
	// named is how many names came, each as often as it came.
	named int64
}

// entry is a pack of the sample.
type entry struct {
	name record.Hash
	rank uint64
	// expected are the recipients that it may be sealed to.
	expected []recipients
}

// ranks is a heap with the greatest rank on top.
type ranks []entry

func (r ranks) Len() int           { return len(r) }
func (r ranks) Less(i, j int) bool { return r[i].rank > r[j].rank }
func (r ranks) Swap(i, j int)      { r[i], r[j] = r[j], r[i] }
func (r *ranks) Push(x any)        { *r = append(*r, x.(entry)) }
func (r *ranks) Pop() any {
	last := len(*r) - 1
	x := (*r)[last]
	*r = (*r)[:last]
	return x
}

// newSample returns an empty sample of at most size names, under a new random key.
func newSample(size int) *sample {
	s := &sample{size: size, taken: map[record.Hash]bool{}}
	rand.Read(s.key[:]) // never fails
	return s
}

// offer lets a name take part.
func (s *sample) offer(name record.Hash, expected []recipients) {
	s.named++
	h := hmac.New(sha256.New, s.key[:])
	h.Write(name[:])
	rank := binary.BigEndian.Uint64(h.Sum(nil))
	full := len(s.heap) == s.size
	if s.taken[name] || full && rank >= s.heap[0].rank {
		return
	}
	if full {
		out := heap.Pop(&s.heap).(entry)
		delete(s.taken, out.name)
	}
	s.taken[name] = true
	heap.Push(&s.heap, entry{name, rank, expected})
}

// sorted returns the sample in the order of names.
func (s *sample) sorted() []entry {
	out := slices.Clone(s.heap)
	slices.SortFunc(out, func(a, b entry) int { return slices.Compare(a.name[:], b.name[:]) })
	return out
}

// draw reads all commits that count, and draws from the packs that they name.
func draw(ctx context.Context, v *vault.Vault, chains []*vault.Chain, count int) (*sample, error) {
	s := newSample(count)
	known := expectations(v)
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(workers)
	for _, c := range chains {
		for _, k := range c.Commits {
			if k.Revoked {
				continue
			}
			g.Go(func() error {
				packs, _, err := v.Added(ctx, k)
				if err != nil {
					return fmt.Errorf("read which packs commit %d of chain %s adds: %w", k.Seq, k.Chain, err)
				}
				mu.Lock()
				defer mu.Unlock()
				for _, p := range packs {
					s.offer(p.Name, known.upTo(k.Statement))
				}
				return nil
			})
		}
	}
	return s, g.Wait()
}

// recipients is what a pack's header must have: so many recipients of a kind.
type recipients struct {
	number int
	stanza string
}

// expected has what the statements say, in their order.
type expected struct {
	list []recipients
	at   map[record.Hash]int
}

// expectations collects the recovery recipients of the vault's statements.
func expectations(v *vault.Vault) expected {
	e := expected{at: map[record.Hash]int{}}
	for i, st := range v.Statements() {
		list := recovery(st.Statement)
		stanza := stanzaX25519
		if class, err := seal.Class(list[0]); err == nil && class == seal.Hybrid {
			stanza = stanzaHybrid
		}
		e.list = append(e.list, recipients{len(list), stanza})
		e.at[st.Hash] = i
	}
	return e
}

// upTo returns what a pack may be sealed to that a commit under this statement names: it may have been sealed under an earlier one, and adopted.
func (e expected) upTo(statement record.Hash) []recipients {
	if i, ok := e.at[statement]; ok {
		return e.list[:i+1]
	}
	return e.list
}

func recovery(st *record.Statement) (out []string) {
	for _, r := range st.Recipients {
		if r.Role == record.RoleRecovery {
			out = append(out, r.Recipient)
		}
	}
	return out
}

// most is the greatest number of recipients that the pack may have.
func (p entry) most() (n int) {
	for _, e := range p.expected {
		n = max(n, e.number)
	}
	return n
}

// compare says what recipients a header has that it should not have, or lacks.
func (p entry) compare(kinds []string) (out []report.Finding) {
	add := func(kind, format string, args ...any) {
		out = append(out, report.Finding{Kind: kind, Detail: fmt.Sprintf(format, args...)})
	}
	least, most, strange := 1<<30, 0, []string{}
	for _, e := range p.expected {
		least, most = min(least, e.number), max(most, e.number)
	}
	for _, k := range kinds {
		if !slices.ContainsFunc(p.expected, func(e recipients) bool { return e.stanza == k }) {
			strange = append(strange, k)
		}
	}
	exact := slices.ContainsFunc(p.expected, func(e recipients) bool { return e.number == len(kinds) })
	switch {
	case exact:
	case len(kinds) > least:
		add(report.ExtraRecipient, "it is sealed to %d recipients (%s), and the owner named %s: somebody else may read it", len(kinds), describe(kinds), p.numbers())
	default:
		add(report.FewerRecipients, "it is sealed to %d recipients (%s), and the owner named %s: another recovery key does not open it", len(kinds), describe(kinds), p.numbers())
	}
	if len(strange) > 0 {
		add(report.OtherRecipient, "it is sealed to %s, which is no kind of the owner's recipients", describe(strange))
	}
	return out
}

// numbers says how many recipients the owner named: "2", or "1 or 2" where that changed.
func (p entry) numbers() string {
	var n []int
	for _, e := range p.expected {
		n = append(n, e.number)
	}
	slices.Sort(n)
	var words []string
	for _, x := range slices.Compact(n) {
		words = append(words, fmt.Sprint(x))
	}
	return strings.Join(words, " or ")
}
