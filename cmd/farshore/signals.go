package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
)

// errInterrupted is the cause of a context that a signal ended.
var errInterrupted = errors.New("interrupted")

// catchSignals returns a context that the first SIGINT or SIGTERM ends, so that the command finishes what is whole. The second one
// ends the process at once. stop gives the signals back and waits for the goroutine.
func catchSignals(e *env) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	over, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		watchSignals(e, signals, over, cancel)
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(over)
		<-gone
		cancel(nil)
	}
}

// watchSignals acts on signals until over is closed.
func watchSignals(e *env, signals <-chan os.Signal, over <-chan struct{}, cancel context.CancelCauseFunc) {
	for n := 0; ; n++ {
		select {
		case <-over:
			return
		case <-signals:
		}
		if n > 0 {
			e.exit(exitInterrupted)
			return
		}
		e.say("\ninterrupted: finishing what is whole; once more to stop at once")
		cancel(errInterrupted)
	}
}
