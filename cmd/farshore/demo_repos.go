package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"farshore/agent/record"
	"farshore/agent/repo/svncmd"
	"farshore/agent/restore/svnrepo"
)

// demoSidecar is the folder of a restored repository that has hooks and configuration without effect.
const demoSidecar = svnrepo.Sidecar

// demoRepositories are what the primary has beside the bucket. A kind whose program is missing is nil.
type demoRepositories struct {
	git *demoGit
	svn *demoSVN
}

// demoRepositoryStates are what the repositories had at one moment. A state is nil where there was none.
type demoRepositoryStates struct {
	git *demoGitState
	svn *demoSVNState
}

func (d *demo) hasGit() bool { return d.repositories.git != nil }
func (d *demo) hasSVN() bool { return d.repositories.svn != nil }

// makeRepositories makes those whose programs are here, with their first history, and says which are not.
func (d *demo) makeRepositories(ctx context.Context) error {
	for _, kind := range []struct {
		what, how string
		make      func(context.Context) error
		programs  []string
	}{
		{"a git repository", "the program git is not installed", d.makeGit, []string{"git"}},
		{"a Subversion repository", "svnadmin is not installed", d.makeSVN, []string{svncmd.Admin, svncmd.Look}},
	} {
		if !installed(kind.programs...) {
			d.sum.Missing = append(d.sum.Missing, kind.programs[0])
			d.e.say("   without %s: %s here", kind.what, kind.how)
			continue
		}
		if err := kind.make(ctx); err != nil {
			return fmt.Errorf("make %s: %w", kind.what, err)
		}
	}
	return d.readRepositories(ctx)
}

func (d *demo) makeGit(ctx context.Context) (err error) {
	if d.repositories.git, err = newDemoGit(ctx, d.path("primary", "git"), d.path("clone")); err != nil {
		return err
	}
	return d.repositories.git.begin(ctx)
}

func (d *demo) makeSVN(ctx context.Context) (err error) {
	if d.repositories.svn, err = newDemoSVN(ctx, d.path("primary", "svn")); err != nil {
		return err
	}
	return d.repositories.svn.begin(ctx)
}

// readRepositories notes what the repositories have now.
func (d *demo) readRepositories(ctx context.Context) (err error) {
	d.nowRepositories = demoRepositoryStates{}
	if d.hasGit() {
		if d.nowRepositories.git, err = d.repositories.git.state(ctx); err != nil {
			return fmt.Errorf("read the primary's git repository: %w", err)
		}
	}
	if d.hasSVN() {
		if d.nowRepositories.svn, err = d.repositories.svn.state(ctx); err != nil {
			return fmt.Errorf("read the primary's Subversion repository: %w", err)
		}
	}
	return nil
}

// sayRepositories says what the repositories have now.
func (d *demo) sayRepositories() {
	if s := d.nowRepositories.git; s != nil {
		d.e.say("   %-12s %s, %s, a description and a hook", demoGitName, plural(int64(len(s.commits)), "commit"), plural(int64(len(s.refs)), "ref"))
	}
	if s := d.nowRepositories.svn; s != nil {
		d.e.say("   %-12s %s of Subversion", demoSVNName, plural(s.revisions, "revision"))
	}
}

// addRepositories makes the repositories sources.
func (d *demo) addRepositories(ctx context.Context) error {
	var source sourceResult
	for _, s := range []struct {
		is           bool
		name, scheme string
		dir, query   string
	}{
		{d.hasGit(), demoCode, "git+file", "git", "match=*.git"},
		{d.hasSVN(), demoBooks, "svn+file", "svn", "match=*"},
	} {
		if !s.is {
			continue
		}
		at := url.URL{Scheme: s.scheme, Path: d.path("primary", s.dir), RawQuery: s.query}
		if _, err := d.farshore(ctx, "agent", &source, "source", "add", s.name, at.String(), "--accept", record.ReasonVanished); err != nil {
			return err
		}
	}
	if d.hasGit() || d.hasSVN() {
		d.e.say("   a repository that is gone is reported and never taken for deleted: with")
		d.e.say("   --accept vanished the pass ends well all the same")
	}
	return nil
}

// changeRepositories does what users do to repositories.
func (d *demo) changeRepositories(ctx context.Context) error {
	before := d.nowRepositories
	if d.hasGit() {
		if err := d.repositories.git.change(ctx); err != nil {
			return fmt.Errorf("change the git repository: %w", err)
		}
	}
	if d.hasSVN() {
		if err := d.repositories.svn.change(ctx, d.path("primary")); err != nil {
			return fmt.Errorf("change the Subversion repository: %w", err)
		}
	}
	if err := d.readRepositories(ctx); err != nil {
		return err
	}
	if now := d.nowRepositories.git; now != nil {
		d.e.say("   main is force-pushed, a branch deleted, a tag moved: %s new,", plural(now.without(before.git), "commit"))
		d.e.say("   and %s gone, which gc has removed from the primary", formatCount(before.git.without(now)))
	}
	if now := d.nowRepositories.svn; now != nil {
		d.e.say("   %s new, and the log message of revision %d is corrected", plural(now.revisions-before.svn.revisions, "revision"), demoCorrected)
	}
	return nil
}

// attackRepositories deletes them.
func (d *demo) attackRepositories() error {
	for name, is := range map[string]bool{filepath.Join("git", demoGitName): d.hasGit(), filepath.Join("svn", demoSVNName): d.hasSVN()} {
		if !is {
			continue
		}
		if err := os.RemoveAll(d.path("primary", name)); err != nil {
			return err
		}
	}
	d.nowRepositories = demoRepositoryStates{}
	switch {
	case d.hasGit() && d.hasSVN():
		d.e.say("   %s and %s deleted, with all that is in them", demoGitName, demoSVNName)
	case d.hasGit():
		d.e.say("   %s deleted, with all that is in it", demoGitName)
	case d.hasSVN():
		d.e.say("   %s deleted, with all that is in it", demoSVNName)
	}
	return nil
}

// restoreGit restores the git repository as the second pass had it, and compares.
func (d *demo) restoreGit(ctx context.Context) (err error) {
	d.sum.Code, err = d.restoreGitAt(ctx, 1, "restored-code")
	if err == nil {
		d.e.say("   the hook lies in %s, where nothing executes it", demoSidecar)
	}
	return err
}

// restoreFirstGit restores the git repository as the first pass had it, and compares.
func (d *demo) restoreFirstGit(ctx context.Context) (err error) {
	if d.sum.CodeFirst, err = d.restoreGitAt(ctx, 0, "restored-code-first"); err == nil {
		d.e.say("   the %s that were force-pushed or deleted away are back", plural(d.snapshots[0].git.without(d.snapshots[1].git), "commit"))
	}
	return err
}

// restoreGitAt restores the git repository as a pass had it, and compares.
func (d *demo) restoreGitAt(ctx context.Context, pass int, to string) (demoComparison, error) {
	at := d.snapshots[pass]
	if err := d.restoreRepository(ctx, demoCode, at, to); err != nil {
		return demoComparison{}, err
	}
	c, err := compareDemoGit(ctx, d.path("bare", to, demoGitName), at.git)
	if err == nil {
		err = c.err("the git repository")
	}
	if err == nil {
		d.e.say("   compared HEAD, each ref, each object's id; git fsck finds no fault:")
		d.e.say("   %s, %s: no difference", plural(c.Refs, "ref"), plural(c.GitObjects, "object"))
	}
	return c, err
}

// restoreSVN restores the Subversion repository as the second pass had it, and compares.
func (d *demo) restoreSVN(ctx context.Context) error {
	at := d.snapshots[1]
	if err := d.restoreRepository(ctx, demoBooks, at, "restored-books"); err != nil {
		return err
	}
	c, err := compareDemoSVN(ctx, d.path("bare", "restored-books", demoSVNName), at.svn)
	d.sum.Books = c
	if err == nil {
		err = c.err("the Subversion repository")
	}
	if err == nil {
		d.e.say("   compared byte for byte what svnadmin dumps, the corrected log included:")
		d.e.say("   %s, %s: no difference", plural(c.Revisions, "revision"), formatBytes(c.Bytes))
	}
	return err
}

// restoreRepository restores a source of one repository on the bare machine.
func (d *demo) restoreRepository(ctx context.Context, source string, at demoSnapshot, to string) error {
	got, err := d.restoreSource(ctx, source, at, to)
	if err == nil && got.Restored != 1 {
		err = damagef("one repository was to be restored, not %s", formatCount(got.Restored))
	}
	return err
}

// count is how many repositories the primary had.
func (r *demoRepositories) count() (n int64) {
	if r.git != nil {
		n++
	}
	if r.svn != nil {
		n++
	}
	return n
}

// checkers are the programs that check what is restored.
func (d *demo) checkers() string {
	switch {
	case d.hasGit() && d.hasSVN():
		return "git and Subversion"
	case d.hasGit():
		return "git"
	}
	return "Subversion"
}

// repositories says what the repositories were, where there were any.
func (r *demoResult) repositories(p *printer) {
	var kinds []string
	if r.Code.Items > 0 {
		kinds = append(kinds, formatCount(r.Code.Items)+" of git")
	}
	if r.Books.Items > 0 {
		kinds = append(kinds, formatCount(r.Books.Items)+" of Subversion")
	}
	if len(kinds) > 0 {
		p.line("  repositories  %s, in %s", strings.Join(kinds, ", "), plural(int64(r.Snapshots), "snapshot"))
	}
}

// comparedRepositories says what of the repositories was compared.
func (r *demoResult) comparedRepositories(p *printer) {
	if n := r.Code.Items + r.CodeFirst.Items; n > 0 {
		p.line("                %s and %s of git, in %s", plural(r.Code.GitObjects+r.CodeFirst.GitObjects, "object"), plural(r.Code.Refs+r.CodeFirst.Refs, "ref"), plural(n, "restore"))
	}
	if r.Books.Items > 0 {
		p.line("                %s of Subversion", plural(r.Books.Revisions, "revision"))
	}
}
