package verify_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"farshore/agent"
	"farshore/agent/record"
	"farshore/agent/repo/gittest"
	"farshore/agent/repo/svntest"
	"farshore/agent/source"
	"farshore/agent/source/git"
	"farshore/agent/source/svn"
	"farshore/agent/vault"
	"farshore/agent/verify"
	"farshore/crypto/seal"
	"farshore/crypto/sign"
	"farshore/providers"
	"farshore/providers/mem"
	"farshore/providers/servers"
)

// rig is a vault in memory that repositories of a folder are captured to, with both keys.
type rig struct {
	t                  *testing.T
	store              *mem.Driver
	options            agent.SessionOptions
	owner              sign.PublicKey
	recovery, metadata age.Identity
	root               string
}

func newRig(t *testing.T) *rig {
	t.Helper()
	svntest.Need(t, servers.Missing, "svn", "svnadmin", "svnlook")
	r := &rig{t: t, store: mem.New(), root: t.TempDir()}
	r.must(os.Mkdir(filepath.Join(r.root, "svn"), 0o755))
	owner, err := sign.Generate()
	r.must(err)
	key, err := sign.Generate()
	r.must(err)
	identity := func() (age.Identity, string) {
		text, recipient, err := seal.GenerateX25519()
		r.must(err)
		id, err := seal.ParseIdentity(text)
		r.must(err)
		return id, recipient
	}
	recovery, recipient := identity()
	metadata, metaRecipient := identity()
	r.owner, r.recovery, r.metadata = owner.Public(), recovery, metadata
	_, err = vault.Create(t.Context(), r.bucket(r.store), vault.CreateOptions{Owner: owner, Recovery: []string{recipient}, Metadata: metaRecipient, Agent: key.Public(), Time: time.Now()})
	r.must(err)
	r.options = agent.SessionOptions{Owner: r.owner, Recipients: []string{recipient}, Identities: []age.Identity{metadata}, Key: key, State: filepath.Join(t.TempDir(), "state")}
	return r
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) bucket(d providers.Driver) *providers.Bucket {
	return providers.New(d, providers.Options{Attempts: 1})
}

func (r *rig) git() *git.Source {
	r.t.Helper()
	s, err := git.New(git.Options{Name: "gits", Place: "git+file:///git", Address: "git+file://" + r.root + "/git", LFS: "off"})
	r.must(err)
	return s
}

func (r *rig) svn() *svn.Source {
	r.t.Helper()
	s, err := svn.New(svn.Options{Name: "svns", Place: "svn+file:///svn", Address: "svn+file://" + r.root + "/svn"})
	r.must(err)
	return s
}

// repository makes a git repository with a commit.
func (r *rig) repository(name string) *gittest.Repo {
	r.t.Helper()
	g := gittest.New(r.t, filepath.Join(r.root, "git", name), "", true)
	g.Commit("main", map[string]string{"file": strings.Repeat("a text of "+name+"\n", 300)})
	return g
}

// pass captures a source, one item after the other.
func (r *rig) pass(src source.Source) {
	r.t.Helper()
	s, err := agent.Open(r.t.Context(), r.bucket(r.store), r.options)
	r.must(err)
	_, err = s.Replicate(r.t.Context(), src, nil, nil, agent.Options{Captures: 1})
	r.must(err)
	r.must(s.Close())
}

// verify verifies with the keys.
func (r *rig) verify(ctx context.Context, d providers.Driver, o verify.Options, ids ...age.Identity) (*verify.Result, error) {
	r.t.Helper()
	v, err := vault.Open(ctx, r.bucket(d), vault.Options{Owner: &r.owner, Identities: ids})
	r.must(err)
	return verify.Full(ctx, v, o)
}

// checked verifies everything, and holds that nothing is left in the scratch place.
func (r *rig) checked(o verify.Options) *verify.Result {
	r.t.Helper()
	if o.Items = true; o.Scratch == "" {
		o.Scratch = r.t.TempDir()
	}
	res, err := r.verify(r.t.Context(), r.store, o, r.recovery)
	r.must(err)
	empty(r.t, o.Scratch)
	return res
}

// finding returns the texts of what is said of a repository.
func finding(res *verify.Result, s vault.Severity, object string) string {
	var all []string
	for _, f := range res.Findings {
		if f.Severity == s && strings.HasPrefix(f.Object, object) {
			all = append(all, f.Text)
		}
	}
	return strings.Join(all, "\n")
}

// twisted changes records before the agent writes them.
type twisted struct {
	source.Source
	twist func(rec *record.Record, sink source.Sink)
}

// Capture captures and changes.
func (w twisted) Capture(ctx context.Context, e source.Entry, last *record.Record, sink source.Sink) (*record.Record, error) {
	rec, err := w.Source.Capture(ctx, e, last, sink)
	if err == nil && (rec.Kind == record.KindGit || rec.Kind == record.KindSVN) {
		rec.Path = e.Path
		w.twist(rec, sink)
	}
	return rec, err
}

// packsOf returns the names of the stored packs that hold a repository's parts of a kind in its newest snapshot.
func (r *rig) packsOf(path, kind string) (names []string) {
	r.t.Helper()
	v, err := vault.Open(r.t.Context(), r.bucket(r.store), vault.Options{Owner: &r.owner, Identities: []age.Identity{r.recovery}})
	r.must(err)
	chains, err := v.Chains(r.t.Context())
	r.must(err)
	snap, err := v.Snapshot(r.t.Context(), chains[0].Newest())
	r.must(err)
	for rec, err := range snap.Prefix(r.t.Context(), path) {
		r.must(err)
		for _, p := range rec.Parts {
			for _, e := range p.Extents {
				if p.Kind == kind {
					names = append(names, record.PackName(e.Pack.Name))
				}
			}
		}
	}
	return names
}
