package memory_test

import (
	"context"
	"testing"
	"testing/synctest"

	"farshore/agent/restore/internal/memory"
)

func TestBudgetBlocksUntilThereIsRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := memory.New(100)
		_, first, err := b.Get(t.Context(), 80)
		if err != nil {
			t.Fatal(err)
		}
		got := make(chan int)
		go func() {
			buf, release, err := b.Get(t.Context(), 500) // more than all: takes all
			if err != nil {
				t.Error(err)
			}
			got <- cap(buf)
			release()
		}()
		synctest.Wait()
		select {
		case <-got:
			t.Fatal("the budget was exceeded")
		default:
		}
		first()
		if n := <-got; n < 500 {
			t.Errorf("room for %d bytes, want 500", n)
		}
	})
}

func TestBudgetHonoursTheContext(t *testing.T) {
	b := memory.New(10)
	_, release, err := b.Get(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := b.Get(ctx, 1); err == nil {
		t.Error("a full budget gave a buffer after the context's end")
	}
}
