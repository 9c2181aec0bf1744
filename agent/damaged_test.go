package agent_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"

	"farshore/agent"
	"farshore/agent/record"
	"farshore/agent/vault"
	"farshore/agent/verify"
	"farshore/providers"
	"farshore/providers/mem"
)

// still is a store that nobody writes to any more: objects that many share, and what is different here. Nil is an object that is gone.
type still struct {
	names   []string
	objects map[string][]byte
	changed map[string][]byte
}

func newStill(objects, changed map[string][]byte) *still {
	all := maps.Clone(objects)
	maps.Copy(all, changed)
	maps.DeleteFunc(all, func(_ string, b []byte) bool { return b == nil })
	return &still{slices.Sorted(maps.Keys(all)), objects, changed}
}

func (s *still) get(op, name string) ([]byte, error) {
	b, ok := s.changed[name]
	if !ok {
		b = s.objects[name]
	}
	if b == nil {
		return nil, &providers.Error{Kind: providers.NotFound, Op: op, Name: name}
	}
	return b, nil
}

func (s *still) Create(_ context.Context, name string, _ *io.SectionReader, _ [32]byte) (providers.Info, error) {
	return providers.Info{}, &providers.Error{Kind: providers.Denied, Op: "create", Name: name}
}

func (s *still) Open(_ context.Context, name string, off, n int64) (io.ReadCloser, error) {
	b, err := s.get("open", name)
	if err != nil {
		return nil, err
	}
	b = b[min(off, int64(len(b))):]
	if n >= 0 {
		b = b[:min(n, int64(len(b)))]
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}

func (s *still) Stat(_ context.Context, name string) (providers.Info, error) {
	b, err := s.get("stat", name)
	return providers.Info{Name: name, Size: int64(len(b))}, err
}

func (s *still) List(_ context.Context, prefix, after string, limit int) (page []providers.Info, more bool, err error) {
	i, _ := slices.BinarySearch(s.names, max(prefix, after))
	for ; i < len(s.names) && strings.HasPrefix(s.names[i], prefix); i++ {
		if s.names[i] <= after {
			continue
		}
		if len(page) == limit {
			return page, true, nil
		}
		b, err := s.get("list", s.names[i])
		if err != nil {
			return nil, false, err
		}
		page = append(page, providers.Info{Name: s.names[i], Size: int64(len(b))})
	}
	return page, false, nil
}

func (s *still) Traits() providers.Traits { return providers.Traits{Kind: "still", Place: "still:"} }

// damaged is a small vault that gets damaged, and what it should hold.
type damaged struct {
	rig     *rig
	objects map[string][]byte
	points  map[record.Hash]map[string][32]byte // by commit
	chain   string
}

// newDamaged makes a vault with three commits: a few items, a change, a deletion.
func newDamaged(t *testing.T) *damaged {
	t.Helper()
	r, src := newRig(t), newFakeSource()
	src.put("a", []byte("first"))
	src.put("b", words(1, 900))
	r.mustReplicate(src, agent.Options{})
	src.put("a", []byte("second"))
	src.del("b")
	r.mustReplicate(src, agent.Options{})
	v := r.open()
	c := r.chain(v)
	d := &damaged{rig: r, objects: r.driver.(*mem.Driver).Objects(), points: map[record.Hash]map[string][32]byte{}, chain: c.ID}
	for _, k := range c.Commits {
		d.points[k.Hash] = hashes(r.contents(v, k))
	}
	return d
}

// names returns the names of the vault's objects in a room.
func (d *damaged) names(room string) []string {
	var out []string
	for _, n := range slices.Sorted(maps.Keys(d.objects)) {
		if strings.HasPrefix(n, room) {
			out = append(out, n)
		}
	}
	return out
}

// open opens the vault with the changes, with or without the recovery key.
func (d *damaged) open(changed map[string][]byte, key bool) (*vault.Vault, error) {
	pub := d.rig.owner.Public()
	o := vault.Options{Owner: &pub}
	if key {
		o.Identities = []age.Identity{d.rig.recovery}
	}
	return vault.Open(context.Background(), providers.New(newStill(d.objects, changed), providers.Options{Attempts: 1}), o)
}

// complaint verifies the vault with the changes and without a key, and returns what was said: findings, or the error that kept it from being verified.
func (d *damaged) complaint(changed map[string][]byte) (string, error) {
	v, err := d.open(changed, false)
	if err != nil {
		return "not opened: " + err.Error(), nil
	}
	res, err := verify.Full(context.Background(), v, verify.Options{Workers: 2})
	if err != nil {
		return "", fmt.Errorf("verify came to no end: %w", err)
	}
	var out []string
	for _, f := range res.Findings {
		out = append(out, fmt.Sprintf("%s: %s: %s", f.Severity, f.Object, f.Text))
	}
	if (res.Damaged+res.Tampered > 0) == res.OK() {
		return "", errors.New("verify contradicts itself")
	}
	return strings.Join(out, "\n"), nil
}

// restore reads every item of every commit with the recovery key. Whatever can be read must be right: the error is about what is wrong, problems are
// what could not be read.
func (d *damaged) restore(changed map[string][]byte) (problems []error, err error) {
	ctx := context.Background()
	v, err := d.open(changed, true)
	if err != nil {
		return []error{err}, nil
	}
	chains, err := v.Chains(ctx)
	if err != nil {
		return []error{err}, nil
	}
	for _, c := range chains {
		for _, f := range c.Findings {
			problems = append(problems, errors.New(f.Object+": "+f.Text))
		}
		for _, k := range c.Commits {
			want, ok := d.points[k.Hash]
			if !ok {
				return problems, fmt.Errorf("commit %d of %s counts and was never made", k.Seq, c.ID)
			}
			more, err := d.compare(ctx, v, k, want)
			problems = append(problems, more...)
			if err != nil {
				return problems, err
			}
		}
	}
	return problems, nil
}

func (d *damaged) compare(ctx context.Context, v *vault.Vault, k *vault.Commit, want map[string][32]byte) (problems []error, err error) {
	snap, err := v.Snapshot(ctx, k)
	if err != nil {
		return []error{err}, nil
	}
	got := map[string][32]byte{}
	reader := v.NewReader()
	for rec, err := range snap.Records(ctx, "", "") {
		if err != nil {
			return append(problems, err), nil
		}
		h := sha256.New()
		if err := reader.Copy(ctx, h, &rec.Parts[0]); err != nil {
			problems = append(problems, err)
			continue
		}
		got[rec.Path] = [32]byte(h.Sum(nil))
		if !same(got, want, rec.Path) {
			return problems, fmt.Errorf("commit %d: %q was restored wrong", k.Seq, rec.Path)
		}
	}
	if len(problems) == 0 && !maps.Equal(got, want) {
		return nil, fmt.Errorf("commit %d: restored without a word, and not what it was: %s", k.Seq, difference(got, want))
	}
	return problems, nil
}
