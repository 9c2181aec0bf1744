// Command farshore replicates buckets into a sealed, add-only vault at another cloud provider, and restores from it. It is where addresses become
// stores and sources (wire.go), where errors get hints and exit codes, and where what happened is said to people and programs. The work
// itself is done in agent; nothing here decides what is stored.
package main

import (
	"os"
	"runtime/debug"
	_ "time/tzdata" // the time zones of schedules, also where the machine has none
)

// memoryLimit is what the Go runtime may hold, in bytes, before it collects garbage sooner. The buffers of a pass are bounded at about 130 MiB and
// long-lived, so that a heap allowed to double them would leave the 256 MiB that the whole process keeps to; the program's own pages
// are about 50 MiB of these. GOMEMLIMIT overrides it.
const memoryLimit = 148 << 20

// memoryBeside is what a process needs for each further pass, or audit, that it makes at the same time: up to 142 MiB were seen in use, with a store that is slower than the source. With
// less, garbage is collected so often that it costs a third of the time.
const memoryBeside = 160 << 20

// memoryLimitOf is memoryLimit for a process that makes so many passes at a time, and an audit beside them.
func memoryLimitOf(passes int) int64 { return memoryLimit + int64(max(1, passes))*memoryBeside }

// limitMemory sets it.
func (e *env) limitMemory(passes int) {
	if e.getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimitOf(passes))
	}
}

func main() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
	os.Exit(run(os.Args[1:], systemEnv()))
}
