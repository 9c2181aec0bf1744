package main

import (
	"context"
	"net/url"
	"sync"
	"time"

	"farshore/agent"
	"farshore/agent/config"
	"farshore/agent/probe"
	"farshore/providers"
)

// sharing is what the runs of one process have in common: the local state, the limits that the configuration sets for all sources together, and whose turn it is to probe. A daemon
// makes one for its life:
//
//	shared := e.sharing(c)   // once
//	run := *e                // for each pass, probe and audit: what a run keeps in its env is its own
//	run.shared = shared
//	runReplicate(ctx, &run, replicateOptions{config: c, sources: []config.Source{s}})
//	shared.take(next)        // with each new configuration, before passes begin with it
//
// Where env has none, as a command's has, a run has all of that to itself. It may be used concurrently.
type sharing struct {
	e *env // for warnings
	// vault are the limits at the vault's store. Its Download is that of sources, too.
	vault providers.Limits

	// local is the local state, of which a process has one: another directory takes a restart. turns are those of who probes for it.
	local *agent.Local
	turns probe.Turns

	mu sync.Mutex
	// requests are limits of requests, by the store that a source lies in; rate is what they are set to.
	requests map[string]*providers.Limit
	rate     float64
}

// sharing makes what the runs of this process are to share.
func (e *env) sharing(c *config.Config) *sharing {
	s := &sharing{
		e: e, local: agent.NewLocal(c.State, func(reason string) { e.warnReset(c.State, reason) }), requests: map[string]*providers.Limit{},
		vault: providers.Limits{Upload: providers.NewByteLimit(0), Download: providers.NewByteLimit(0), Requests: providers.NewRequestLimit(0)},
	}
	s.take(c)
	return s
}

// mostFinish is how long a pass of a process that is to end may take to store and commit what is whole: a service has 30 s to stop in.
const mostFinish = 20 * time.Second

// finishWithin is that for a pass of this env: a command that is interrupted may take its time, and a second interrupt ends it.
func (e *env) finishWithin() time.Duration {
	if e.shared == nil {
		return 0
	}
	return mostFinish
}

// take makes the limits of a configuration those that count, also for runs that are under way, and allows the process the memory for its passes.
func (s *sharing) take(c *config.Config) {
	s.e.limitMemory(c.Parallel)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rate = float64(c.Limits.Requests)
	s.vault.Upload.Set(float64(c.Limits.Upload))
	s.vault.Download.Set(float64(c.Limits.Download))
	s.vault.Requests.Set(s.rate)
	for _, l := range s.requests {
		l.Set(s.rate)
	}
}

// turnToProbe waits until no other run of this process probes.
func (e *env) turnToProbe(ctx context.Context) (leave func(), err error) {
	if e.shared == nil {
		return func() {}, nil
	}
	return e.shared.turns.Take(ctx)
}

// requestsTo is the limit of requests to the store that has a source: sources that lie in one store keep it together.
func (s *sharing) requestsTo(source string) *providers.Limit {
	s.mu.Lock()
	defer s.mu.Unlock()
	store := storeOf(source)
	if s.requests[store] == nil {
		s.requests[store] = providers.NewRequestLimit(s.rate)
	}
	return s.requests[store]
}

// storeOf is what the addresses of sources in one store have in common: for a bucket its endpoint and name, else scheme and host.
func storeOf(source string) string {
	u, err := url.Parse(source)
	if err != nil {
		return source
	}
	return u.Scheme + "://" + u.Host + "?" + u.Query().Get("endpoint")
}
