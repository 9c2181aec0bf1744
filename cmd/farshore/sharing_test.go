package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"testing"
	"time"

	"farshore/agent/config"
	"farshore/agent/record"
	"farshore/providers"
)

// TestSharedPasses makes passes over several sources at the same time as a daemon does, each with an env of its own, again and again: none stands in another's way, and commands can work in
// between.
func TestSharedPasses(t *testing.T) {
	r := newRig(t)
	const sources = 4
	for i := range sources {
		r.put(map[string]string{fmt.Sprintf("s%d/a", i): fmt.Sprint(i)})
		r.ok("source", "add", fmt.Sprint("s", i), r.server.URL(r.bucket, fmt.Sprintf("s%d/", i)))
	}
	e, _, _ := testEnv(t)
	c, err := config.Load(r.path("farshore.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	shared := e.sharing(c)
	for round := range 3 {
		for i := range sources {
			r.put(map[string]string{fmt.Sprintf("s%d/%d", i, round): fmt.Sprint(i, round)})
		}
		var all sync.WaitGroup
		for _, s := range c.Sources {
			run, _, stderr := testEnv(t)
			run.shared = shared
			all.Go(func() {
				got, err := runReplicate(t.Context(), run, replicateOptions{config: c, sources: []config.Source{s}})
				if err != nil {
					t.Errorf("%s: %v\n%s", s.Name, err, stderr)
					return
				}
				if res := got.(replicateResult).Sources; len(res) != 1 || !res[0].Complete || res[0].New == 0 {
					t.Errorf("%s: %+v", s.Name, res)
				}
			})
		}
		all.Wait()
		r.ok("replicate", "--quiet")
	}
	r.ok(r.bare("verify", "--full")...)
}

// TestSharedState holds that a process has one local state: that of the configuration it began with.
func TestSharedState(t *testing.T) {
	e, _, _ := testEnv(t)
	s := e.sharing(&config.Config{State: "/a"})
	s.take(&config.Config{State: "/b"})
	if got := s.local.Dir(); got != "/a" {
		t.Errorf("the state is in %s", got)
	}
}

// TestSharedLimits holds that a configuration's limits are common to the runs of a process and change with it, that a source keeps its own within them, and that a command has them by
// itself.
func TestSharedLimits(t *testing.T) {
	e, _, _ := testEnv(t)
	bucket := config.Source{Name: "shop", URL: "s3://shop/a", Limits: config.Limits{Upload: 5, Download: 6, Requests: 7}}
	beside := config.Source{Name: "beside", URL: "s3://shop/b"}
	git := config.Source{Name: "code", URL: "git+https://example.net/", Limits: config.Limits{Download: 8}}
	c := &config.Config{Limits: config.Limits{Upload: 10, Download: 20, Requests: 30}, Sources: []config.Source{bucket, beside, git}}
	if o := e.storeLimits(e.passLimits(c, []config.Source{bucket})); o.UploadRate != 5 || o.DownloadRate != 20 || o.RequestRate != 30 || o.Common != (providers.Limits{}) {
		t.Errorf("a command at the vault: %+v", o)
	}
	if l := e.sourceLimits(c, &beside); l.RequestsPerSecond != 30 || l.BytesPerSecond != 20 || l.Bytes != nil || l.Requests != nil {
		t.Errorf("a command at a bucket: %+v", l)
	}
	if own, common := e.readRate(c, &git); own != 8 || common != nil {
		t.Errorf("a command at a server of repositories: %d, %v", own, common)
	}
	if e.finishWithin() != 0 {
		t.Error("a command has to hurry")
	}
	e.shared = e.sharing(c)
	if o := e.storeLimits(e.passLimits(c, []config.Source{bucket})); o.UploadRate != 5 || o.DownloadRate != 0 || o.RequestRate != 0 || o.Common != e.shared.vault {
		t.Errorf("a shared run at the vault: %+v", o)
	}
	if o := e.storeLimits(e.passLimits(c, c.Sources)); o.UploadRate != 0 {
		t.Errorf("a shared run over several sources at the vault: %+v", o)
	}
	l := e.sourceLimits(c, &bucket)
	if l.RequestsPerSecond != 7 || l.BytesPerSecond != 6 || l.Bytes != e.shared.vault.Download || l.Requests != e.sourceLimits(c, &beside).Requests {
		t.Errorf("a shared run at a bucket: %+v", l)
	}
	if own, common := e.readRate(c, &git); own != 8 || common != e.shared.vault.Download {
		t.Errorf("a shared run at a server of repositories: %d, %v", own, common)
	}
	if e.finishWithin() <= 0 || e.finishWithin() >= 25*time.Second {
		t.Error("a shared run does not hurry")
	}
	c.Limits = config.Limits{}
	e.shared.take(c)
	if l.Bytes.Wait(t.Context(), 1<<40) != nil || l.Requests.Wait(t.Context(), 1<<30) != nil {
		t.Error("limits that were taken away still hold")
	}
}

// TestSharedMemory holds that the process may take more for more passes, and that what is set from outside stays.
func TestSharedMemory(t *testing.T) {
	now := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(now)
	e, _, _ := testEnv(t)
	limits := map[string]string{}
	e.getenv = func(name string) string { return limits[name] }
	s := e.sharing(&config.Config{Parallel: 2})
	two := debug.SetMemoryLimit(-1)
	s.take(&config.Config{Parallel: 4})
	if four := debug.SetMemoryLimit(-1); two != memoryLimitOf(2) || four != two+2*memoryBeside {
		t.Errorf("%d bytes for two, %d for four", two, four)
	}
	limits["GOMEMLIMIT"] = "1GiB"
	s.take(&config.Config{Parallel: 8})
	if eight := debug.SetMemoryLimit(-1); eight != memoryLimitOf(4) {
		t.Errorf("GOMEMLIMIT is set, and the limit became %d", eight)
	}
}

// TestStoreOf holds which sources lie in one store.
func TestStoreOf(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"s3://b/x", "s3://b/y?region=r", true},
		{"s3://b/x", "s3://c/x", false},
		{"s3://b/x?endpoint=https://one.example.net", "s3://b/x?endpoint=https://two.example.net", false},
		{"git+https://example.net/a", "git+https://example.net/b?lfs=no", true},
		{"git+https://example.net/a", "svn+https://example.net/a", false},
	} {
		if (storeOf(c.a) == storeOf(c.b)) != c.same {
			t.Errorf("%s and %s: %s, %s", c.a, c.b, storeOf(c.a), storeOf(c.b))
		}
	}
}

// TestDamagedNoteTogether has several runs replace the note of what is damaged at the same time: a reader sees it whole.
func TestDamagedNoteTogether(t *testing.T) {
	dir := t.TempDir()
	n := damagedNote{Farshore: "damaged", Version: 1, Vault: "v"}
	for i := range 5000 {
		n.Damaged = append(n.Damaged, record.Hash{byte(i), byte(i >> 8)})
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 10 {
				if err := n.write(t.Context(), dir); err != nil {
					t.Error(err)
				}
				if got := readDamagedNote(dir, "v"); len(got.Damaged) != len(n.Damaged) {
					t.Errorf("%d objects were read", len(got.Damaged))
				}
			}
		})
	}
	all.Wait()
	if left, err := os.ReadDir(dir); err != nil || len(left) != 2 {
		t.Errorf("%v in %s: %v", left, filepath.Base(dir), err)
	}
}
