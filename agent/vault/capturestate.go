package vault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"farshore/agent/record"
)

// State returns the lines of capture state of that name, nil where the snapshot has none.
func (s *Snapshot) State(ctx context.Context, of string) ([][]byte, error) {
	for _, ref := range s.root.States {
		if ref.Of == of {
			return s.vault.stateLines(ctx, ref)
		}
	}
	return nil, nil
}

func (v *Vault) stateLines(ctx context.Context, ref record.StateRef) ([][]byte, error) {
	return decodePage(ctx, v, ref.Name, func(b []byte) ([][]byte, error) {
		of, lines, err := record.DecodeState(b)
		if err == nil && of != ref.Of {
			err = fmt.Errorf("it is capture state of %q where that of %q belongs", of, ref.Of)
		}
		return lines, err
	})
}

// SetState stores lines of capture state, none of which has a line feed, for the next commit and those after it, in the place of what the snapshot has of that name.
// What is there already is named again. An error leaves the Writer as it was.
func (w *Writer) SetState(ctx context.Context, of string, lines [][]byte) error {
	i := slices.IndexFunc(w.states, func(r record.StateRef) bool { return r.Of == of })
	if i >= 0 {
		lasts, err := w.metaLasts(ctx, w.states[i].Ref)
		if err != nil {
			return err
		}
		// One that can't be read any more is written anew.
		if old, err := w.vault.stateLines(ctx, w.states[i]); lasts && err == nil && slices.EqualFunc(old, lines, bytes.Equal) {
			return nil
		}
	}
	raw, err := record.EncodeState(of, lines)
	if err != nil {
		return err
	}
	ref, err := w.putBytes(ctx, raw)
	if err != nil {
		return err
	}
	states := slices.Clone(w.states)
	if i < 0 {
		states = append(states, record.StateRef{})
		i = len(states) - 1
	}
	states[i] = record.StateRef{Ref: ref, Of: of}
	w.states = states
	return nil
}

// freshStates returns the states of the next root, those stored anew that are damaged or whose locks end too soon.
func (w *Writer) freshStates(ctx context.Context) ([]record.StateRef, error) {
	var out []record.StateRef
	for _, s := range w.states {
		ref, err := w.freshKeys(ctx, s.Ref)
		var damage *DamageError
		if errors.As(err, &damage) { // it can be learned again
			w.notice(Damage, damage.Object, "capture state of %q can't be read, and is left out: %v", s.Of, damage.Err)
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, record.StateRef{Ref: ref, Of: s.Of})
	}
	w.states = out
	return out, nil
}
