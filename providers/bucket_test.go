package providers_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"farshore/providers"
	"farshore/providers/faults"
	"farshore/providers/mem"
)

const object = "packs/aa/x"

func section(b []byte) (*io.SectionReader, [32]byte) {
	return io.NewSectionReader(bytes.NewReader(b), 0, int64(len(b))), sha256.Sum256(b)
}

// pattern returns n bytes of which no two near runs are equal.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8*13 + i>>16)
	}
	return b
}

// rig is a Bucket over scripted faults over memory.
type rig struct {
	*providers.Bucket
	mem    *mem.Driver
	faults *faults.Faults
}

func newRig(o providers.Options, script ...faults.Fault) rig {
	m := mem.New()
	f := faults.New(m)
	f.Add(script...)
	return rig{providers.New(f, o), m, f}
}

func (r rig) create(ctx context.Context, name string, b []byte) (existed bool, err error) {
	body, sum := section(b)
	_, existed, err = r.Create(ctx, name, body, sum)
	return existed, err
}

// wantOps compares the operations that reached the store, without what became of them.
func (r rig) wantOps(t *testing.T, want ...string) {
	t.Helper()
	if got := r.faults.Transcript(); !slices.Equal(got, want) {
		t.Errorf("operations:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func kindFault(kind providers.Kind) error {
	return &providers.Error{Kind: kind, Err: errors.New("scripted")}
}

func TestCreate(t *testing.T) {
	b := pattern(5000)
	other := slices.Clone(b)
	other[4000] ^= 1
	tests := map[string]struct {
		stored  []byte // before
		script  []faults.Fault
		existed bool
		kind    providers.Kind
		says    string
		ops     []string
	}{
		"first attempt": {ops: []string{"create packs/aa/x 5000 ok"}},
		"second attempt": {
			script: []faults.Fault{{Op: "create", Action: faults.Before}},
			ops:    []string{"create packs/aa/x 5000 fault before: temporary failure", "stat packs/aa/x not found", "create packs/aa/x 5000 ok"},
		},
		"answer lost": {
			script: []faults.Fault{{Op: "create", Action: faults.After}}, existed: true,
			ops: []string{"create packs/aa/x 5000 fault after: temporary failure", "stat packs/aa/x ok", "stat packs/aa/x ok", "open packs/aa/x 0 5000 ok"},
		},
		"answer lost and the question too": {
			script: []faults.Fault{{Op: "create", Action: faults.After}, {Op: "stat", Action: faults.Before}}, existed: true,
			ops: []string{"create packs/aa/x 5000 fault after: temporary failure", "stat packs/aa/x fault before: temporary failure",
				"create packs/aa/x 5000 exists already", "stat packs/aa/x ok", "open packs/aa/x 0 5000 ok"},
		},
		"last answer lost": {
			script: []faults.Fault{{Op: "create", Action: faults.Before, Times: 2}, {Op: "create", Action: faults.After, At: 3}}, existed: true,
			ops: []string{"create packs/aa/x 5000 fault before: temporary failure", "stat packs/aa/x not found",
				"create packs/aa/x 5000 fault before: temporary failure", "stat packs/aa/x not found",
				"create packs/aa/x 5000 fault after: temporary failure", "stat packs/aa/x ok", "stat packs/aa/x ok", "open packs/aa/x 0 5000 ok"},
		},
		"slow down": {
			script: []faults.Fault{{Op: "create", Action: faults.Before, Err: kindFault(providers.Throttled)}},
			ops:    []string{"create packs/aa/x 5000 fault before: slow down", "create packs/aa/x 5000 ok"},
		},
		"there with equal bytes": {
			stored: b, existed: true,
			ops: []string{"create packs/aa/x 5000 exists already", "stat packs/aa/x ok", "open packs/aa/x 0 5000 ok"},
		},
		"read back after a cut": {
			stored: b, existed: true, script: []faults.Fault{{Op: "open", Action: faults.Break}},
			ops: []string{"create packs/aa/x 5000 exists already", "stat packs/aa/x ok", "open packs/aa/x 0 5000 fault break: ok", "open packs/aa/x 2500 2500 ok"},
		},
		"there with other size":  {stored: b[:10], kind: providers.Exists, says: "10 bytes are stored, ours are 5000"},
		"there with other bytes": {stored: other, kind: providers.Exists, says: "other content of the same 5000 bytes"},
		"there and unreadable": {
			stored: b, script: []faults.Fault{{Op: "stat", Times: -1, Action: faults.Before, Err: kindFault(providers.Denied)}},
			kind: providers.Exists, says: "may not read what is there",
		},
		"there and not there": {
			stored: b, script: []faults.Fault{{Op: "open", Times: -1, Action: faults.Before, Err: kindFault(providers.NotFound)}},
			kind: providers.Exists, says: "delete marker",
		},
		"never": {
			script: []faults.Fault{{Op: "create", Times: -1, Action: faults.Before}},
			kind:   providers.Temporary, says: "given up after 3 attempts",
		},
		"denied": {
			script: []faults.Fault{{Op: "create", Times: -1, Action: faults.Before, Err: kindFault(providers.Denied)}},
			kind:   providers.Denied, ops: []string{"create packs/aa/x 5000 fault before: access denied"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(providers.Options{Attempts: 3}, tt.script...)
				if tt.stored != nil {
					r.mem.Set(object, tt.stored)
				}
				existed, err := r.create(t.Context(), object, b)
				if tt.says != "" || tt.kind != providers.Other {
					if providers.KindOf(err) != tt.kind || !strings.Contains(err.Error(), tt.says) {
						t.Errorf("error %v, want kind %q with %q", err, tt.kind, tt.says)
					}
				} else if err != nil || existed != tt.existed {
					t.Errorf("existed %v, error %v; want %v", existed, err, tt.existed)
				} else if !bytes.Equal(r.mem.Objects()[object], b) {
					t.Error("other bytes are stored")
				}
				if tt.ops != nil {
					r.wantOps(t, tt.ops...)
				}
			})
		})
	}
}

func TestCreateRefuses(t *testing.T) {
	r := newRig(providers.Options{})
	for _, name := range []string{"", "/a", "a/", "a//b", "../a", "a/../b", "a/./b", "a\nb", "a\x00", "a\x7f", strings.Repeat("a", 513), "a\xff"} {
		_, errCreate := r.create(t.Context(), name, nil)
		_, errStat := r.Stat(t.Context(), name)
		_, errAll := r.ReadAll(t.Context(), name, 1)
		_, errRange := r.ReadRange(t.Context(), name, 0, make([]byte, 1))
		_, errStream := r.OpenStream(t.Context(), name)
		for i, err := range []error{errCreate, errStat, errAll, errRange, errStream} {
			var e *providers.Error
			if !errors.As(err, &e) || strings.ContainsAny(err.Error(), "\n\x00") {
				t.Errorf("name %q, operation %d: error %v", name, i, err)
			}
		}
	}
	huge := io.NewSectionReader(bytes.NewReader(nil), 0, providers.MaxObject+1)
	if _, _, err := r.Create(t.Context(), object, huge, [32]byte{}); providers.KindOf(err) != providers.Unsupported {
		t.Errorf("an object that is too large: %v", err)
	}
	for _, name := range []string{"a", "a..b/..c", "packs/canary/a-1", strings.Repeat("a", 512), "é ü"} {
		if err := providers.CheckName("stat", name); err != nil {
			t.Error(err)
		}
	}
	if n := r.faults.Ops(); n != 0 {
		t.Errorf("%d operations reached the store", n)
	}
}

// TestEveryFault lets each operation of a small run fail in every way, and holds that the run succeeds and stores the same.
func TestEveryFault(t *testing.T) {
	objects := map[string][]byte{"packs/aa/1": pattern(3000), "packs/ab/2": pattern(1), "meta/aa/3": nil}
	run := func(r rig, ctx context.Context) error {
		for _, name := range []string{"packs/aa/1", "packs/ab/2", "meta/aa/3"} {
			if _, err := r.create(ctx, name, objects[name]); err != nil {
				return err
			}
			got, err := r.ReadAll(ctx, name, 3000)
			if err != nil || !bytes.Equal(got, objects[name]) {
				return fmt.Errorf("%s: %d bytes read, %w", name, len(got), err)
			}
		}
		n := 0
		for _, err := range r.List(ctx, "", "") {
			if err != nil {
				return err
			}
			n++
		}
		if n != len(objects) {
			return fmt.Errorf("%d listed", n)
		}
		return nil
	}
	calm := newRig(providers.Options{})
	if err := run(calm, t.Context()); err != nil {
		t.Fatal(err)
	}
	for k := 1; k <= calm.faults.Ops(); k++ {
		for _, action := range []faults.Action{faults.Before, faults.After, faults.Truncate, faults.Break, faults.Hang} {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(providers.Options{}, faults.Fault{At: k, Action: action})
				if err := run(r, t.Context()); err != nil {
					t.Errorf("operation %d %v: %v\n%s", k, action, err, strings.Join(r.faults.Transcript(), "\n"))
				}
			})
		}
		r := newRig(providers.Options{})
		r.faults.DieAfter(k - 1)
		if err := run(r, t.Context()); !errors.Is(err, faults.ErrDied) {
			t.Errorf("dead after %d operations: %v", k-1, err)
		}
		for name, b := range r.mem.Objects() {
			if !bytes.Equal(b, objects[name]) {
				t.Errorf("dead after %d operations: %s holds %d bytes", k-1, name, len(b))
			}
		}
		again := rig{providers.New(r.mem, providers.Options{}), r.mem, faults.New(r.mem)}
		if err := run(again, t.Context()); err != nil {
			t.Errorf("started again after %d operations: %v", k-1, err)
		}
	}
}

func TestRetriedKinds(t *testing.T) {
	retried := []providers.Kind{providers.Throttled, providers.Temporary, providers.Corrupt}
	for kind := providers.Other; kind <= providers.Unsupported; kind++ {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(providers.Options{}, faults.Fault{Action: faults.Before, Err: kindFault(kind)})
			r.mem.Set(object, []byte("x"))
			_, err := r.Stat(t.Context(), object)
			if want := slices.Contains(retried, kind); (err == nil) != want {
				t.Errorf("kind %q: %v; want retried %v", kind, err, want)
			}
			if err != nil && providers.KindOf(err) != kind {
				t.Errorf("kind %q became %v", kind, err)
			}
		})
	}
}

// TestBackoff holds that waits grow, stay under the cap, are told, and that a cancelled context ends one at once.
func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var waits []time.Duration
		o := providers.Options{Attempts: 8, BackoffBase: time.Second, BackoffCap: 10 * time.Second}
		o.OnRetry = func(op, name string, attempt int, wait time.Duration, err error) {
			if op != "stat" || name != object || attempt != len(waits)+1 || providers.KindOf(err) != providers.Temporary {
				t.Errorf("told of %s %s %d: %v", op, name, attempt, err)
			}
			waits = append(waits, wait)
		}
		r := newRig(o, faults.Fault{Times: -1, Action: faults.Before})
		begin := time.Now()
		_, err := r.Stat(t.Context(), object)
		var sum time.Duration
		for i, w := range waits {
			top := min(time.Second<<i, 10*time.Second)
			if w < top/2 || w > top {
				t.Errorf("wait %d is %v, want between %v and %v", i, w, top/2, top)
			}
			sum += w
		}
		if got := time.Since(begin); got != sum || len(waits) != 7 || r.Stats().Retries != 7 || r.Stats().Stats != 8 {
			t.Errorf("%v passed in waits %v, counts %+v, %v", got, waits, r.Stats(), err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		begin := time.Now()
		_, err := newRig(providers.Options{}, faults.Fault{Times: -1, Action: faults.Before}).Stat(ctx, object)
		if !errors.Is(err, context.DeadlineExceeded) || providers.Retryable(err) || time.Since(begin) != 100*time.Millisecond {
			t.Errorf("after %v: %v", time.Since(begin), err)
		}
	})
}

// TestDeadlines holds that a store that hangs costs the base and the time for the body, and no more.
func TestDeadlines(t *testing.T) {
	o := providers.Options{Attempts: 1, AttemptBase: 10 * time.Second, MinRate: 1000}
	tests := map[string]struct {
		op   func(rig, context.Context) error
		want time.Duration
	}{
		"create": {func(r rig, ctx context.Context) error { _, err := r.create(ctx, object, pattern(5000)); return err }, 15 * time.Second},
		"stat":   {func(r rig, ctx context.Context) error { _, err := r.Stat(ctx, object); return err }, 10 * time.Second},
		"read":   {func(r rig, ctx context.Context) error { _, err := r.ReadAll(ctx, object, 5000); return err }, 10 * time.Second},
		"list": {func(r rig, ctx context.Context) error {
			for _, err := range r.List(ctx, "", "") {
				return err
			}
			return nil
		}, 10 * time.Second},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				// Not stat for create: after the attempt the Bucket asks what is there.
				op := map[string]string{"create": "create", "stat": "stat", "read": "open", "list": "list"}[name]
				err := tt.op(newRig(o, faults.Fault{Op: op, Times: -1, Action: faults.Hang}), t.Context())
				if providers.KindOf(err) != providers.Temporary || errors.Is(err, context.Canceled) || time.Since(begin) != tt.want {
					t.Errorf("after %v: %v; want a temporary failure after %v", time.Since(begin), err, tt.want)
				}
			})
		})
	}
}
