package agent_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"farshore/agent"
	"farshore/providers"
)

// stalling is a store that never answers some operations: they wait until they are let go, or their context ends.
type stalling struct {
	providers.Driver
	op, prefix string
	met        chan struct{} // closed when the first of them came
	letGo      chan struct{}
	once       sync.Once
}

func newStalling(d providers.Driver, op, prefix string) *stalling {
	return &stalling{Driver: d, op: op, prefix: prefix, met: make(chan struct{}), letGo: make(chan struct{})}
}

func (s *stalling) wait(ctx context.Context, op, name string) error {
	if op != s.op || !strings.HasPrefix(name, s.prefix) {
		return nil
	}
	s.once.Do(func() { close(s.met) })
	select {
	case <-s.letGo:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Create waits where it is to.
func (s *stalling) Create(ctx context.Context, name string, body *io.SectionReader, sum [32]byte) (providers.Info, error) {
	if err := s.wait(ctx, "create", name); err != nil {
		return providers.Info{}, err
	}
	return s.Driver.Create(ctx, name, body, sum)
}

// Open waits where it is to.
func (s *stalling) Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	if err := s.wait(ctx, "open", name); err != nil {
		return nil, err
	}
	return s.Driver.Open(ctx, name, off, n)
}

// Stat waits where it is to.
func (s *stalling) Stat(ctx context.Context, name string) (providers.Info, error) {
	if err := s.wait(ctx, "stat", name); err != nil {
		return providers.Info{}, err
	}
	return s.Driver.Stat(ctx, name)
}

// List waits where it is to.
func (s *stalling) List(ctx context.Context, prefix, after string, limit int) ([]providers.Info, bool, error) {
	if err := s.wait(ctx, "list", prefix); err != nil {
		return nil, false, err
	}
	return s.Driver.List(ctx, prefix, after, limit)
}

// TestNobodyIsHeldUp has one pass wait for a store that does not answer, at each kind of operation: passes over other sources come to their end all the same, and it does when the store
// answers.
func TestNobodyIsHeldUp(t *testing.T) {
	for _, c := range []struct{ op, prefix string }{
		{"list", "vault/"}, {"list", "commits/"}, {"open", "vault/"}, {"open", "commits/"}, {"create", "packs/"}, {"create", "meta/"}, {"stat", "meta/"}, {"create", "commits/"},
	} {
		t.Run(c.op+" "+c.prefix, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			local := r.local()
			var sources []*namedSource
			for i := range 4 {
				src := newNamed(fmt.Sprint("s", i))
				src.put("x", noise(uint64(i), 300_000))
				sources = append(sources, src)
				_, err := r.pass(t.Context(), local, r.driver, src, agent.Options{})
				must(t, err)
				src.put("y", noise(uint64(10+i), 300_000))
			}
			stalled := newStalling(r.driver, c.op, c.prefix)
			ended := make(chan error)
			go func() {
				_, err := r.pass(context.Background(), local, stalled, sources[0], agent.Options{})
				ended <- err
			}()
			<-stalled.met
			var all sync.WaitGroup
			for _, src := range sources[1:] {
				all.Go(func() {
					if _, err := r.pass(t.Context(), local, r.driver, src, agent.Options{}); err != nil {
						t.Errorf("%s: %v", src.name, err)
					}
				})
			}
			all.Wait()
			select {
			case err := <-ended:
				t.Errorf("the pass that was to wait has ended: %v", err)
			default:
			}
			close(stalled.letGo)
			must(t, <-ended)
			for _, src := range sources {
				diff(t, src.name, r.head(t, src.name), src.copy())
			}
			checkSettled(t, r)
		})
	}
}
