package metrics

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"farshore/agent/report"
)

// whole is a set with every number there is, of two sources.
func whole() *Set {
	s := new(Set)
	for _, f := range families() {
		for _, name := range []string{"shop", "logs"} {
			labels := make([]string, len(f.labels))
			for i, l := range f.labels {
				labels[i] = "x"
				if l == source {
					labels[i] = name
				}
			}
			s.Put(f.name, 1, labels...)
		}
	}
	return s
}

func update(t *testing.T, path string, s *Set, sources ...string) string {
	t.Helper()
	if err := Update(t.Context(), path, filepath.Join(t.TempDir(), "state"), s, sources); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestLint holds all names to the conventions of Prometheus.
func TestLint(t *testing.T) {
	data := update(t, filepath.Join(t.TempDir(), "f.prom"), whole(), "shop", "logs")
	problems, err := promlint.New(strings.NewReader(data)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
	for _, f := range families() {
		if !strings.Contains(data, "# TYPE "+f.name+" gauge\n"+f.name) {
			t.Errorf("%s is not there", f.name)
		}
	}
}

// TestMerge holds that a run over one source keeps what others left, replaces its own, and drops what is no source any more.
func TestMerge(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f.prom")
	update(t, path, whole(), "shop", "logs")
	s := new(Set)
	s.Replace(Pass, "shop")
	s.Put("farshore_pass_success", 0, "shop")
	got := update(t, path, s, "shop", "logs")
	for line, there := range map[string]bool{
		`farshore_pass_success{source="shop"} 0`:                              true,
		`farshore_pass_success{source="logs"} 1`:                              true,
		`farshore_pass_duration_seconds{source="shop"}`:                       false, // not known any more
		`farshore_last_complete_snapshot_timestamp_seconds{source="shop"} 1`:  true,  // still the newest
		`farshore_audit_damaged_objects 1`:                                    true,
		`farshore_drill_duration_seconds{source="shop"} 1`:                    true,
		`farshore_pass_items{source="logs",result="x"} 1`:                     true,
		`farshore_audit_damaged_upper_bound_ratio{unit="x",confidence="x"} 1`: true,
	} {
		if strings.Contains(got, line) != there {
			t.Errorf("%s: %v\n%s", line, !there, got)
		}
	}
	got = update(t, path, new(Set), "logs")
	if strings.Contains(got, "shop") || !strings.Contains(got, `farshore_pass_success{source="logs"} 1`) {
		t.Errorf("a source that is gone:\n%s", got)
	}
	before := got
	if got = update(t, path, new(Set), "logs"); got != before {
		t.Errorf("written anew it differs:\n%s", got)
	}
}

// TestAudit holds an audit to replace all of the one before, and a failed one to keep what is still known.
func TestAudit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f.prom")
	met := false
	at := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	a := &report.Audit{Time: at, Started: at.Add(-time.Minute), Verdict: report.VerdictDamaged, Damaged: make([]report.Damage, 2), MoreDamaged: 3, Locks: &report.LockState{First: at.Add(time.Hour)},
		Coverage: report.Coverage{VerifiedBytes: 3, NeverBytes: 1, Oldest: at.Add(-time.Hour), NeverSince: at.Add(-2 * time.Hour), Met: &met},
		Bounds:   []report.Bound{{Unit: "packs", Upper95: 0.05, Upper99: 0.07}}, Items: report.ItemCounts{Tried: true, Restored: 5}}
	s := new(Set)
	s.PutAudit(a, 4)
	got := update(t, path, s)
	for _, line := range []string{
		"farshore_audit_success 0", `farshore_audit_verdict{verdict="damaged"} 1`, `farshore_audit_verdict{verdict="intact"} 0`, "farshore_audit_damaged_objects 5", "farshore_audit_coverage_ratio 0.75",
		"farshore_audit_oldest_unverified_seconds 7200", "farshore_audit_promise_met 0", `farshore_audit_damaged_upper_bound_ratio{unit="packs",confidence="0.95"} 0.05`,
		"farshore_audit_lock_end_timestamp_seconds 1.7673156e+09", "farshore_audit_duration_seconds 60", `farshore_audit_restored_items{result="restored"} 5`, "farshore_audit_timestamp_seconds 1.767312e+09",
	} {
		if !strings.Contains(got, line+"\n") {
			t.Errorf("%s is not there:\n%s", line, got)
		}
	}
	failed := new(Set)
	failed.Put("farshore_audit_success", 0)
	if got = update(t, path, failed); !strings.Contains(got, "farshore_audit_promise_met 0") {
		t.Errorf("a failed audit took away what is known:\n%s", got)
	}
	next := new(Set)
	next.PutAudit(&report.Audit{Time: at, Started: at, Verdict: report.VerdictIntact}, 0)
	if got = update(t, path, next); strings.Contains(got, "promise_met") || strings.Contains(got, "lock_end") || !strings.Contains(got, "farshore_audit_success 1") {
		t.Errorf("what is not known any more is still there:\n%s", got)
	}
}

// TestStrangeFiles holds that a file which is not this program's is begun anew, with what was there gone, and that one that may not be replaced is an error.
func TestStrangeFiles(t *testing.T) {
	for name, content := range map[string]string{
		"torn":    "farshore_pass_success{source=\"shop\"",
		"bytes":   "\x00\xff\xfe",
		"foreign": "# TYPE other gauge\nother 1\n",
		"kind":    "# TYPE farshore_pass_success counter\nfarshore_pass_success{source=\"shop\"} 7\n",
		"labels":  "# TYPE farshore_pass_success gauge\nfarshore_pass_success{source=\"shop\",more=\"x\"} 7\nfarshore_pass_success 7\nfarshore_pass_success{place=\"shop\"} 7\n",
		"huge":    strings.Repeat("#", maxFile+1),
	} {
		path := filepath.Join(t.TempDir(), "f.prom")
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		s := new(Set)
		s.Put("farshore_pass_exit_code", 3, "shop")
		got := update(t, path, s, "shop")
		if strings.Contains(got, "7") || strings.Contains(got, "other") || !strings.Contains(got, `farshore_pass_exit_code{source="shop"} 3`) {
			t.Errorf("%s:\n%.300s", name, got)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o644 {
			t.Errorf("%s: mode %v, %v", name, info.Mode(), err)
		}
	}
	dir := t.TempDir()
	if err := os.Symlink("elsewhere", filepath.Join(dir, "f.prom")); err != nil {
		t.Fatal(err)
	}
	if err := Update(t.Context(), filepath.Join(dir, "f.prom"), dir, new(Set), nil); err == nil {
		t.Error("a symbolic link was followed or replaced")
	}
	if err := Update(t.Context(), filepath.Join(dir, "none", "f.prom"), dir, new(Set), nil); err == nil {
		t.Error("a directory was made")
	}
}

// TestLabels holds that no text of a label breaks the file.
func TestLabels(t *testing.T) {
	const odd = "a\"b\\c\nd\xff{}"
	path := filepath.Join(t.TempDir(), "f.prom")
	s := new(Set)
	s.Put("farshore_audit_verdict", 1, odd)
	first := update(t, path, s)
	if again := update(t, path, new(Set)); again != first || strings.Count(first, "\n") != 3 {
		t.Errorf("%q is read as %q", first, again)
	}
}

// TestReaders holds that whoever reads while several runs write sees the file whole, and that no run takes away what another left.
func TestReaders(t *testing.T) {
	dir, state := t.TempDir(), t.TempDir()
	path := filepath.Join(dir, "f.prom")
	var names []string
	for i := range 16 {
		names = append(names, fmt.Sprintf("s%d", i))
	}
	var writers, readers sync.WaitGroup
	over := make(chan struct{})
	readers.Go(func() {
		for {
			select {
			case <-over:
				return
			default:
			}
			data, err := os.ReadFile(path)
			if err == nil && (len(data) == 0 || !bytes.HasSuffix(data, []byte("\n")) || len(parse(data)) == 0) {
				t.Errorf("half a file: %q", data)
				return
			}
		}
	})
	for _, name := range names {
		writers.Go(func() {
			s := new(Set)
			s.Replace(Pass, name)
			s.Put("farshore_pass_success", 1, name)
			err := Update(context.Background(), path, state, s, names)
			for errors.Is(err, context.DeadlineExceeded) { // a slow disk's
				err = Update(context.Background(), path, state, s, names)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	writers.Wait()
	close(over)
	readers.Wait()
	data, err := os.ReadFile(path)
	if err != nil || len(parse(data)["farshore_pass_success"]) != len(names) {
		t.Errorf("%v:\n%s", err, data)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("%v is left in the collector's directory, %v", entries, err)
	}
}

// FuzzParse holds that no file makes the reader fail, and that what is read is written and read the same.
func FuzzParse(f *testing.F) {
	f.Add([]byte("# TYPE farshore_pass_success gauge\nfarshore_pass_success{source=\"shop\"} 1\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		first, err := new(Set).merge(data, []string{"shop"})
		if err != nil {
			t.Fatal(err)
		}
		if again, err := new(Set).merge(first, []string{"shop"}); err != nil || !bytes.Equal(again, first) {
			t.Fatalf("%v\n%s\n%s", err, first, again)
		}
	})
}
