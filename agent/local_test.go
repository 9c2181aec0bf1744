package agent_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"farshore/agent"
	"farshore/agent/internal/state"
	"farshore/agent/record"
	"farshore/providers"
	"farshore/providers/mem"
)

// quick are options of a store whose failures are tried again at once.
var quick = providers.Options{BackoffBase: time.Microsecond, BackoffCap: time.Microsecond}

func (r *rig) session(t *testing.T, local *agent.Local) *agent.Session {
	t.Helper()
	s, err := agent.Open(t.Context(), r.bucket, r.options(local))
	must(t, err)
	return s
}

// TestLocalIsShared holds that the local state is open while one of several Sessions is, and no longer.
func TestLocalIsShared(t *testing.T) {
	r := newRig(t)
	local := r.local()
	alone := func() error {
		s, err := agent.Open(t.Context(), r.bucket, r.options(nil))
		if err == nil {
			must(t, s.Close())
		}
		return err
	}
	if _, err := os.Stat(r.dir); err == nil {
		t.Error("the directory was made before anybody needed it")
	}
	for range 2 {
		must(t, alone())
		a, b := r.session(t, local), r.session(t, local)
		if err := alone(); !errors.Is(err, agent.ErrLocked) {
			t.Errorf("another run beside two Sessions: %v", err)
		}
		must(t, a.Close())
		must(t, a.Close())
		if err := alone(); !errors.Is(err, agent.ErrLocked) {
			t.Errorf("another run beside the second Session: %v", err)
		}
		if _, err := a.Replicate(t.Context(), newNamed("a"), nil, nil, agent.Options{}); err == nil || !strings.Contains(err.Error(), "closed") {
			t.Errorf("a pass with a Session that was closed: %v", err)
		}
		_, err := b.Replicate(t.Context(), newNamed("b"), nil, nil, agent.Options{})
		must(t, err)
		must(t, b.Close())
	}
	must(t, alone())
}

// TestLocalLocked holds that a Session waits for nobody, and that a Local that could not be opened can be later.
func TestLocalLocked(t *testing.T) {
	r := newRig(t)
	local := r.local()
	s := r.state()
	if _, err := agent.Open(t.Context(), r.bucket, r.options(local)); !errors.Is(err, agent.ErrLocked) {
		t.Errorf("beside another process: %v", err)
	}
	must(t, s.Close())
	must(t, r.session(t, local).Close())
}

// TestLocalOfOneVault holds that a Local serves one vault at a time, and a directory one vault.
func TestLocalOfOneVault(t *testing.T) {
	r, other := newRig(t), newRig(t)
	local := r.local()
	s := r.session(t, local)
	for range 2 {
		if _, err := agent.Open(t.Context(), other.bucket, other.options(local)); !errors.Is(err, state.ErrOtherVault) || !strings.Contains(err.Error(), r.dir) {
			t.Errorf("a Session of another vault: %v", err)
		}
		must(t, s.Close())
	}
}

// TestBusySource holds that a source has one pass at a time, whichever Session makes it.
func TestBusySource(t *testing.T) {
	r := newRig(t)
	local := r.local()
	a, b := r.session(t, local), r.session(t, local)
	src := newNamed("a")
	src.put("x", []byte("1"))
	begun, goOn := make(chan struct{}), make(chan struct{})
	src.onCapture = func(string) error { close(begun); <-goOn; return nil }
	ended := make(chan error)
	go func() {
		_, err := a.Replicate(t.Context(), src, nil, nil, agent.Options{})
		ended <- err
	}()
	<-begun
	for name, s := range map[string]*agent.Session{"another Session": b, "the same Session": a} {
		_, err := s.Replicate(t.Context(), newNamed("a"), nil, nil, agent.Options{})
		if !errors.Is(err, agent.ErrBusy) || !strings.Contains(err.Error(), "source a: ") {
			t.Errorf("a second pass by %s: %v", name, err)
		}
		if _, err := s.Retire(t.Context(), src.Place()); !errors.Is(err, agent.ErrBusy) {
			t.Errorf("retired by %s: %v", name, err)
		}
	}
	_, err := b.Replicate(t.Context(), newNamed("b"), nil, nil, agent.Options{})
	must(t, err)
	close(goOn)
	must(t, <-ended)
	src.onCapture = nil
	src.put("x", []byte("2"))
	_, err = b.Replicate(t.Context(), src, nil, nil, agent.Options{})
	must(t, err)
	must(t, errors.Join(a.Close(), b.Close()))
	diff(t, "both passes", r.head(t, "a"), src.copy())
	checkChains(t, r)
}

// TestLocalDamaged has the local state's index go bad while a Session uses it: no other joins that, and when nobody has it any more a new one is begun.
func TestLocalDamaged(t *testing.T) {
	r, src := newRig(t), newNamed("a")
	var resets []string
	local := agent.NewLocal(r.dir, func(reason string) { resets = append(resets, reason) })
	src.put("x", noise(1, 1000))
	_, err := r.pass(t.Context(), local, r.driver, src, agent.Options{})
	must(t, err)
	s := r.session(t, local)
	tables, err := filepath.Glob(filepath.Join(r.dir, "db", "*.sst"))
	must(t, err)
	for _, name := range tables {
		b, err := os.ReadFile(name)
		must(t, err)
		for i := range b {
			b[i] ^= 0x55
		}
		must(t, os.WriteFile(name, b, 0o600))
	}
	if _, err := s.Replicate(t.Context(), src, nil, nil, agent.Options{}); !errors.Is(err, state.ErrDamaged) {
		t.Fatalf("a pass over %d damaged tables: %v", len(tables), err)
	}
	if _, err := agent.Open(t.Context(), r.bucket, r.options(local)); !errors.Is(err, state.ErrDamaged) {
		t.Errorf("a Session beside the one that met damage: %v", err)
	}
	must(t, s.Close())
	src.put("y", noise(2, 1000))
	_, err = r.pass(t.Context(), local, r.driver, src, agent.Options{})
	must(t, err)
	if len(resets) != 1 {
		t.Errorf("reset %d times: %q", len(resets), resets)
	}
	diff(t, "after the damage", r.head(t, "a"), src.copy())
	checkChains(t, r)
}

// TestStatementsAreReadAnew takes the agent's key out of the owner's statement while a pass is under way: that pass comes to its end, one that begins meanwhile writes nothing, and when
// the key is named again both sources go on.
func TestStatementsAreReadAnew(t *testing.T) {
	r := newRig(t)
	local := r.local()
	a, b := newNamed("a"), newNamed("b")
	for _, src := range []*namedSource{a, b} {
		src.put("x", noise(1, 1000))
		_, err := r.pass(t.Context(), local, r.driver, src, agent.Options{})
		must(t, err)
		src.put("x", noise(2, 1000))
	}
	before := r.driver.(*mem.Driver).Objects()
	begun, goOn := make(chan struct{}), make(chan struct{})
	a.onCapture = func(string) error { close(begun); <-goOn; return nil }
	ended := make(chan error)
	go func() {
		_, err := r.pass(context.Background(), local, r.driver, a, agent.Options{})
		ended <- err
	}()
	<-begun
	named := r.open().Statement().Signers
	r.declare(func(st *record.Statement) { st.Signers = nil })
	_, err := r.pass(t.Context(), local, r.driver, b, agent.Options{})
	if err == nil || !strings.Contains(err.Error(), "does not name this agent's key") {
		t.Errorf("a pass of an agent that is not named any more: %v", err)
	}
	if n := len(r.driver.(*mem.Driver).Objects()); n != len(before)+1 {
		t.Errorf("%d objects were stored beside the owner's statement", n-len(before)-1)
	}
	close(goOn)
	must(t, <-ended)
	a.onCapture = nil
	diff(t, "what was under way", r.head(t, "a"), a.copy())
	r.declare(func(st *record.Statement) { st.Signers = named })
	for _, src := range []*namedSource{a, b} {
		src.put("y", noise(3, 1000))
		_, err := r.pass(t.Context(), local, r.driver, src, agent.Options{})
		must(t, err)
		diff(t, src.name, r.head(t, src.name), src.copy())
	}
	checkChains(t, r)
	checkSettled(t, r)
}
