package items

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/agent/vault"
	"farshore/agent/verify/internal/rig"
	"farshore/crypto/seal"
)

// resealed puts the only pack of a vault under its name as somebody would who sealed it to another key.
func resealed(t *testing.T) (*rig.Rig, string) {
	t.Helper()
	r := rig.New(t)
	src := rig.NewSource("shop")
	for i := range 4 {
		src.Put(fmt.Sprint(i), rig.Noise(uint64(i), 1000))
	}
	r.Pass(src)
	var name string
	for n := range r.Store.Objects() {
		if strings.HasPrefix(n, "packs/") {
			name = n
		}
	}
	plain, err := seal.OpenBytes(seal.NewOpener(r.Recovery), r.Store.Objects()[name], 1<<26)
	r.Must(err)
	_, stranger := rig.Identity(t)
	sealer, err := seal.NewSealer([]string{stranger})
	r.Must(err)
	var out bytes.Buffer
	w, err := sealer.Writer(&out)
	r.Must(err)
	_, err = w.Write(plain)
	r.Must(errors.Join(err, w.Close()))
	r.Store.Set(name, out.Bytes())
	return r, name
}

// TestSealed tells a pack that is sealed to a stranger's key from one that the key at hand need not open. Its bytes are taken for right, as those of a pack are that an agent sealed so.
func TestSealed(t *testing.T) {
	r, name := resealed(t)
	try := func(open func() (*vault.Vault, []*vault.Chain)) *Result {
		v, chains := open()
		s := newRun(v, Options{Seed: record.Hash{1}, Chains: chains, Restore: true, Repositories: -1})
		s.judged[name] = report.DamageContent
		r.Must(s.all(t.Context()))
		return s.finish()
	}
	res := try(func() (*vault.Vault, []*vault.Chain) { return r.Open(r.Store, r.Recovery) })
	if res.Counts.Failed != 4 || res.Counts.Locked != 0 || res.Lost[0].Kind != report.DamageSeal || res.Lost[0].Object != name {
		t.Errorf("the recovery key that every statement names: %+v", res)
	}
	other, _ := rig.Identity(t)
	res = try(func() (*vault.Vault, []*vault.Chain) { return r.Open(r.Store, r.Metadata, other) })
	if res.Counts.Failed != 0 || res.Counts.Locked != 4 || res.Sampled != 0 {
		t.Errorf("a key that no statement names: %+v", res)
	}
}

// TestUncounted has roots that state fewer records than there are: what could not be drawn is a number.
func TestUncounted(t *testing.T) {
	r, want := stacked(t)
	v, chains := r.Open(r.Store, r.Metadata)
	for _, most := range []int{10, 1000} {
		s := newRun(v, Options{Seed: record.Hash{1}, Chains: chains, Most: most})
		places, err := s.places(t.Context())
		r.Must(err)
		for i := range places {
			places[i].weight = 20
		}
		picks, _, err := s.draw(t.Context(), places)
		r.Must(err)
		if s.uncounted != int64(len(want)-40) {
			t.Errorf("most %d: %d could not be drawn, want %d", most, s.uncounted, len(want)-40)
		}
		if len(picks) != min(most, 40) {
			t.Errorf("most %d: %d picks", most, len(picks))
		}
	}
}
