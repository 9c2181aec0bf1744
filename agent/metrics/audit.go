package metrics

import (
	"time"

	"farshore/agent/report"
)

// PutAudit sets the numbers of an audit, which ended with the exit code.
func (s *Set) PutAudit(a *report.Audit, exit int) {
	s.Replace(Audit, "")
	s.PutTime("farshore_audit_timestamp_seconds", a.Time)
	s.Put("farshore_audit_duration_seconds", a.Time.Sub(a.Started).Seconds())
	s.Put("farshore_audit_success", Flag(exit == 0))
	for _, v := range []string{report.VerdictIntact, report.VerdictIncomplete, report.VerdictDamaged, report.VerdictTampered} {
		s.Put("farshore_audit_verdict", Flag(a.Verdict == v), v)
	}
	s.Put("farshore_audit_damaged_objects", float64(int64(len(a.Damaged))+a.MoreDamaged))
	s.Put("farshore_audit_read_bytes", float64(a.ReadBytes))
	s.putCoverage(&a.Coverage, a.Time)
	for _, b := range a.Bounds {
		s.Put("farshore_audit_damaged_upper_bound_ratio", b.Upper95, b.Unit, "0.95")
		s.Put("farshore_audit_damaged_upper_bound_ratio", b.Upper99, b.Unit, "0.99")
	}
	if a.Locks != nil {
		s.PutTime("farshore_audit_lock_end_timestamp_seconds", a.Locks.First)
	}
	if i := a.Items; i.Tried {
		s.Put("farshore_audit_restored_items", float64(i.Restored), "restored")
		s.Put("farshore_audit_restored_items", float64(i.Failed), "failed")
		s.Put("farshore_audit_restored_items", float64(i.Locked), "locked")
	}
}

func (s *Set) putCoverage(c *report.Coverage, at time.Time) {
	if all := c.VerifiedBytes + c.NeverBytes; all > 0 {
		s.Put("farshore_audit_coverage_ratio", float64(c.VerifiedBytes)/float64(all))
	}
	s.Put("farshore_audit_never_verified_bytes", float64(c.NeverBytes))
	s.PutTime("farshore_audit_never_verified_since_timestamp_seconds", c.NeverSince)
	s.PutTime("farshore_audit_oldest_verified_timestamp_seconds", c.Oldest)
	waits := c.Oldest
	if waits.IsZero() || !c.NeverSince.IsZero() && c.NeverSince.Before(waits) {
		waits = c.NeverSince
	}
	if !waits.IsZero() {
		s.Put("farshore_audit_oldest_unverified_seconds", max(0, at.Sub(waits).Seconds()))
	}
	if c.Met != nil {
		s.Put("farshore_audit_promise_met", Flag(*c.Met))
	}
}

// PutTime sets a time, where there is one.
func (s *Set) PutTime(name string, t time.Time, labels ...string) {
	if !t.IsZero() {
		s.Put(name, float64(t.UnixMilli())/1000, labels...)
	}
}
