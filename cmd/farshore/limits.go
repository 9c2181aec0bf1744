package main

import (
	"farshore/agent"
	"farshore/agent/config"
	"farshore/agent/source/bucket"
	"farshore/providers"
)

// storeLimits are the limits at a vault's store: those that are given and, in a process with several runs at a time, the common ones, which the configuration in force sets.
func (e *env) storeLimits(l config.Limits) providers.Options {
	o := providers.Options{UploadRate: l.Upload, DownloadRate: l.Download, RequestRate: float64(l.Requests)}
	if e.shared != nil {
		o.Common = e.shared.vault
	}
	return o
}

// passLimits are a pass's own limits at the vault's store. Several sources one behind the other have none but those of all.
func (e *env) passLimits(c *config.Config, sources []config.Source) config.Limits {
	l := c.Limits
	if e.shared != nil {
		l = config.Limits{} // these are common
	}
	if len(sources) == 1 {
		l.Upload = lower(l.Upload, sources[0].Limits.Upload)
	}
	return l
}

// sourceLimits are the limits at a bucket: its own, within those of all sources.
func (e *env) sourceLimits(c *config.Config, s *config.Source) bucket.Limits {
	if e.shared != nil {
		return bucket.Limits{
			RequestsPerSecond: float64(s.Limits.Requests), BytesPerSecond: s.Limits.Download,
			Requests: e.shared.requestsTo(s.URL), Bytes: e.shared.vault.Download,
		}
	}
	l := stricter(s.Limits, c.Limits)
	return bucket.Limits{RequestsPerSecond: float64(l.Requests), BytesPerSecond: l.Download}
}

// readRate is at most how many bytes per second a pass over repositories reads, by itself and with others. A bucket's requests keep the limits themselves.
func (e *env) readRate(c *config.Config, s *config.Source) (own int64, common agent.Limiter) {
	switch {
	case s.RepositoryKind() == "":
		return 0, nil
	case e.shared != nil:
		return s.Limits.Download, e.shared.vault.Download
	}
	return stricter(s.Limits, c.Limits).Download, nil
}

// stricter returns for each limit the lower one that is set.
func stricter(a, b config.Limits) config.Limits {
	return config.Limits{
		Upload:   lower(a.Upload, b.Upload),
		Download: lower(a.Download, b.Download),
		Requests: int(lower(int64(a.Requests), int64(b.Requests))),
	}
}

// lower is the lower of two limits, where 0 is none.
func lower(a, b int64) int64 {
	if a == 0 || (b != 0 && b < a) {
		return b
	}
	return a
}
