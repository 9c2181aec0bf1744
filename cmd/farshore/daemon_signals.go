package main

import (
	"os"
	"os/signal"
	"syscall"
)

// catchHangups keeps signals that are no reason to end from ending the daemon, as long as it lives: for systemd an end by one of them is an end as it should be, after which nothing is
// started anew. Those that hang up come by the channel, one at a time. A log that nobody reads any more (SIGPIPE) is lost, and nothing else.
func catchHangups() (hangups <-chan os.Signal, stop func()) {
	signals, pipes := make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	signal.Notify(pipes, syscall.SIGPIPE)
	return signals, func() {
		signal.Stop(signals)
		signal.Stop(pipes)
	}
}
