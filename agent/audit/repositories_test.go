package audit

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"farshore/agent"
	"farshore/agent/record"
	"farshore/agent/repo/gittest"
	"farshore/agent/report"
	"farshore/agent/source"
	"farshore/agent/source/git"
	"farshore/agent/vault"
	"farshore/agent/verify"
	"farshore/providers/mem"
)

// away is a repository source that does not answer.
type away struct{}

func (away) Look(context.Context, string, string) (record.Attrs, error) {
	return nil, errors.New("away")
}

// TestRepositoriesCompared holds that a source of repositories which said what they are now counts as compared, at each level, and that what of it was not read is told besides.
func TestRepositoriesCompared(t *testing.T) {
	root := t.TempDir()
	must(t, os.Mkdir(filepath.Join(root, "git"), 0o755))
	gittest.New(t, filepath.Join(root, "git", "one.git"), "", true).Commit("main", map[string]string{"file": strings.Repeat("a text\n", 300)})
	src, err := git.New(git.Options{Name: "gits", Place: "git+file:///git", Address: "git+file://" + root + "/git", LFS: "off"})
	must(t, err)
	r := newRig(t, mem.New()).fill(2)
	s, err := agent.Open(t.Context(), r.bucket(r.d), r.options)
	must(t, err)
	_, err = s.Replicate(t.Context(), src, nil, nil, agent.Options{})
	must(t, err)
	must(t, s.Close())

	for _, c := range []struct {
		name    string
		run     func(context.Context, *vault.Vault, Options) (*Result, error)
		live    map[string]source.Source
		lookers map[string]verify.Looker
		missing int64 // sources that were not compared
	}{
		{"a sample, both at hand", Run, map[string]source.Source{"gits": src, r.src.Name: r.src}, nil, 0},
		{"a sample, the repositories at hand", Run, map[string]source.Source{"gits": src}, nil, 1},
		{"a sample, none at hand", Run, nil, nil, 2},
		{"everything, the repositories at hand", Full, nil, map[string]verify.Looker{"gits": src}, 1},
		{"everything, and they do not answer", Full, nil, map[string]verify.Looker{"gits": away{}}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := r.defaults()
			o.Recovery, o.Live, o.Lookers = true, c.live, c.lookers
			v := r.open(r.d, r.recovery)
			res, err := c.run(t.Context(), v, o)
			must(t, err)
			r.sound(v, res)
			a := res.Audit
			if n := count(a, "sources that were not compared"); n != c.missing || a.Verdict != report.VerdictIntact || a.Repos.Checked != 1 {
				t.Errorf("%d sources were not compared, %s, %+v: %+v", n, a.Verdict, a.Repos, a.NotChecked)
			}
			if n := count(a, "contents of repositories at their source"); (n > 0) != (c.live["gits"] != nil) {
				t.Errorf("contents of %d repositories were not read: %+v", n, a.NotChecked)
			}
		})
	}
}
