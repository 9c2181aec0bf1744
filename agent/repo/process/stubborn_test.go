package process_test

import (
	"bufio"
	"context"
	"errors"
	"testing"
	"time"

	"farshore/agent/repo/process"
)

// TestStubborn holds that a program which ignores requests to end, and has begun another that does, is gone with its context all the same.
func TestStubborn(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s, err := process.Start(ctx, sh(`trap '' TERM INT HUP; (trap '' TERM INT HUP; while :; do sleep 600; done) & echo begun; while :; do sleep 600; done`))
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(s)
	if _, err := lines.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	cancel()
	begin := time.Now()
	if _, err := lines.ReadString('\n'); !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
	if took := time.Since(begin); took > 30*time.Second {
		t.Errorf("it took %s to end", took)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
