package main

import (
	"context"
	"errors"
	"fmt"
	"testing"
)

// TestWorst holds that of several sources' failures the gravest says how the command ends, in whatever order they came.
func TestWorst(t *testing.T) {
	plain := errors.New("the disk is full")
	suspicious := &failure{exit: exitIncomplete, code: codeSuspicious, err: errors.New("looks like an attack")}
	damaged := damagef("a pack is damaged")
	stopped := fmt.Errorf("the pass did not reach its end: %w", context.Canceled)
	for _, c := range []struct {
		failed []error
		exit   int
		code   string
	}{
		{[]error{suspicious, plain}, exitFailed, codeFailed},
		{[]error{plain, suspicious}, exitFailed, codeFailed},
		{[]error{incompletef("x"), suspicious}, exitIncomplete, codeSuspicious},
		{[]error{plain, suspicious, damaged}, exitDamage, codeDamage},
		{[]error{suspicious}, exitIncomplete, codeSuspicious},
		{[]error{stopped}, exitInterrupted, codeInterrupted},
	} {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errInterrupted)
		if f := classify(ctx, worst(c.failed)); f.exit != c.exit || f.code != c.code {
			t.Errorf("%v: exit %d, %s", c.failed, f.exit, f.code)
		}
	}
	if worst(nil) != nil {
		t.Error("nothing failed, and something did")
	}
}
