// Package faults is a Driver around another that fails as a test's script says, and writes down every operation. A test can make the n-th
// operation fail before or after its effect, damage what is read, list wrongly, hang, or lose the store for good, as a process does that
// dies: for every k, run to the end of operation k, start again on what is stored, and compare.
package faults

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"farshore/providers"
)

// Action is what goes wrong with one operation.
type Action int

const (
	// Before fails the operation before it has any effect.
	Before Action = iota
	// After fails the operation after it took effect: the answer is lost.
	After
	// Truncate ends the body of an Open early and cleanly, as a store does that does not say how long it should be.
	Truncate
	// Break ends the body of an Open early with io.ErrUnexpectedEOF.
	Break
	// Flip changes one bit in the middle of the body of an Open.
	Flip
	// Hang waits until the context ends, before any effect.
	Hang
	// ListMissing leaves the first object of a page out.
	ListMissing
	// ListDisorder turns a page around.
	ListDisorder
	// ListFalseEnd says that nothing follows a page.
	ListFalseEnd
)

var actionNames = [...]string{"before", "after", "truncate", "break", "flip", "hang", "list-missing", "list-disorder", "list-false-end"}

// String names the action as the transcript does.
func (a Action) String() string { return actionNames[a] }

// Fault is one line of a script: the Times operations from the At-th on, among those that match Op and Prefix, suffer Action.
type Fault struct {
	// Op is "create", "open", "stat" or "list", or of a driver that has them "versions", "open-version", "lock" or "settings"; empty for every
	// operation. "settings" has no name.
	Op string
	// Prefix is what the operation's name or prefix begins with.
	Prefix string
	// At is which of the matching operations is the first to fail, from 1; 0 is 1.
	At int
	// Times is how many fail in a row; 0 is 1, and below 0 is all that follow.
	Times int
	// Action is what happens to them.
	Action Action
	// Err is the failure of Before and After. Nil is one of kind Temporary.
	Err error
}

// ErrDied is the cause of every failure after Die.
var ErrDied = errors.New("the process has died")

// Faults is the driver. It may be used concurrently; which of several concurrent operations is the n-th is decided in the order in which they begin.
type Faults struct {
	d providers.Driver

	mu     sync.Mutex
	script []*armed
	ops    int
	limit  int // operations after which all fail; -1: never
	lines  []string
	short  bool
}

// armed is a fault and how many operations have matched it.
type armed struct {
	Fault
	seen int
}

// New returns a driver that passes everything on to d until a fault is added.
func New(d providers.Driver) *Faults { return &Faults{d: d, limit: -1} }

// Add appends faults to the script. An operation suffers the first that applies to it, and counts for all that match it.
func (f *Faults) Add(faults ...Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, fault := range faults {
		fault.At, fault.Times = max(fault.At, 1), orOne(fault.Times)
		f.script = append(f.script, &armed{Fault: fault})
	}
}

func orOne(n int) int {
	if n == 0 {
		return 1
	}
	return n
}

// DieAfter makes every operation after the k-th, counted from the first that this driver ever saw, fail without effect. Bodies that
// are open then can't be read further.
func (f *Faults) DieAfter(k int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.limit = k
}

// Ops is the number of operations so far.
func (f *Faults) Ops() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ops
}

// Abbreviate shortens hashes in the transcript to their first four digits, which keeps a golden file readable.
func (f *Faults) Abbreviate() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.short = true
}

// Traits says what the driver below is.
func (f *Faults) Traits() providers.Traits { return f.d.Traits() }

// begin counts the operation and returns the fault that it suffers, nil for none.
func (f *Faults) begin(op, name string) (*Fault, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ops++
	var hit *Fault
	for _, a := range f.script {
		if (a.Op != "" && a.Op != op) || !strings.HasPrefix(name, a.Prefix) {
			continue
		}
		a.seen++
		if hit == nil && a.seen >= a.At && (a.Times < 0 || a.seen < a.At+a.Times) {
			hit = &a.Fault
		}
	}
	if f.limit >= 0 && f.ops > f.limit {
		return nil, f.died(op, name)
	}
	return hit, nil
}

// died is the failure of everything after the death. It is not retried: nobody is left to retry.
func (f *Faults) died(op, name string) error {
	return &providers.Error{Kind: providers.Other, Op: op, Name: name, Err: ErrDied}
}

// passed reports whether an operation was refused because of the death: what was begun before may end.
func (f *Faults) passed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.limit >= 0 && f.ops > f.limit
}

// run makes one operation under its fault. effect is the operation itself; note is its arguments for the transcript.
func (f *Faults) run(ctx context.Context, op, name, note string, effect func(*Fault) error) error {
	fault, err := f.begin(op, name)
	result := ""
	switch {
	case err != nil:
		result = "died: "
	case fault == nil:
		err = effect(nil)
	case fault.Action == Before:
		err = fault.failure(op, name)
	case fault.Action == Hang:
		<-ctx.Done()
		err = &providers.Error{Kind: providers.Other, Op: op, Name: name, Err: context.Cause(ctx)}
	case fault.Action == After:
		if err = effect(nil); err == nil {
			err = fault.failure(op, name)
		}
	default:
		err = effect(fault)
	}
	if fault != nil {
		result = "fault " + fault.Action.String() + ": "
	}
	f.record(op, name, note, result+outcome(err))
	return err
}

// failure is the fault's error, about this operation.
func (f *Fault) failure(op, name string) error {
	if f.Err == nil {
		return &providers.Error{Kind: providers.Temporary, Op: op, Name: name, Err: fmt.Errorf("scripted fault %s", f.Action)}
	}
	var e *providers.Error
	if errors.As(f.Err, &e) {
		return &providers.Error{Kind: e.Kind, Op: op, Name: name, Err: e.Err}
	}
	return &providers.Error{Kind: providers.Other, Op: op, Name: name, Err: f.Err}
}

// Create passes on to the driver below.
func (f *Faults) Create(ctx context.Context, name string, body *io.SectionReader, sum [32]byte) (info providers.Info, err error) {
	err = f.run(ctx, "create", name, fmt.Sprint(body.Size()), func(*Fault) (err error) {
		info, err = f.d.Create(ctx, name, body, sum)
		return err
	})
	if err != nil {
		return providers.Info{}, err
	}
	return info, nil
}

// Open passes on to the driver below, and damages the body where the script says so.
func (f *Faults) Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	return f.open(ctx, "open", name, fmt.Sprintf("%d %d", off, n), func() (io.ReadCloser, error) { return f.d.Open(ctx, name, off, n) })
}

// open runs an operation that yields a body.
func (f *Faults) open(ctx context.Context, op, name, note string, effect func() (io.ReadCloser, error)) (r io.ReadCloser, err error) {
	err = f.run(ctx, op, name, note, func(fault *Fault) (err error) {
		if r, err = effect(); err == nil {
			r, err = f.damage(r, name, fault)
		}
		return err
	})
	if err != nil && r != nil {
		_ = r.Close() // the caller gets an error already
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Stat passes on to the driver below.
func (f *Faults) Stat(ctx context.Context, name string) (info providers.Info, err error) {
	err = f.run(ctx, "stat", name, "", func(*Fault) (err error) {
		info, err = f.d.Stat(ctx, name)
		return err
	})
	if err != nil {
		return providers.Info{}, err
	}
	return info, nil
}

// List passes on to the driver below, and changes the page where the script says so.
func (f *Faults) List(ctx context.Context, prefix, after string, limit int) (page []providers.Info, more bool, err error) {
	err = f.run(ctx, "list", prefix, fmt.Sprintf("after %q limit %d", after, limit), func(fault *Fault) (err error) {
		if page, more, err = f.d.List(ctx, prefix, after, limit); err == nil && fault != nil {
			page, more = relist(fault, page, more)
		}
		return err
	})
	if err != nil {
		return nil, false, err
	}
	return page, more, nil
}
