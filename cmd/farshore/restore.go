package main

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// restoreOptions are what restore was asked for.
type restoreOptions struct {
	access *access
	source string
	at     when
	// prefix is what restored paths begin with; item is the only one, where itemSet.
	prefix, item string
	itemSet      bool
	// to is a directory, or an s3:// or gs:// URL.
	to        string
	overwrite bool
	dryRun    bool
	// hooks puts a repository's own hooks and configuration in effect; as is "repository", "bundle" or "dump".
	hooks bool
	as    string
	// username and passwordFile are for the server of repositories that to names.
	username, passwordFile string
}

func restoreCommand(e *env) *cobra.Command {
	var o restoreOptions
	var at string
	cmd := &cobra.Command{
		Use:   "restore --source NAME --to DEST",
		Short: "Restore a snapshot, or a part of it, to a directory, a bucket or a git server",
		Long: `Restore a source as it was at WHEN (a commit's number, or a time: the last complete snapshot not later than it). Without
WHEN it is the newest complete snapshot that is not suspicious; where a newer one was passed over, a warning says so. DEST is a directory, an s3:// or gs:// URL, or for git repositories the URL of a server. What is there and equal is
skipped, so that an interrupted restore resumes; what differs is left alone without --overwrite. Every item is compared with
its SHA-256. The recovery identity is needed.

Repositories become real ones: bare repositories of git with all refs of the snapshot, Subversion repositories with their
UUID, revision properties and locks. Hooks and configuration are put beside them without effect, unless --hooks is given.
--as bundle (git) and --as dump (Subversion) write one plain file for each. DEST may be git+https://host/path or
git+ssh://user@host/path: then a repository is pushed there, and what the server refuses goes below refs/backup/. With
--overwrite a repository that differs is moved aside, never deleted.

No key name leads outside of a directory: an item whose path the file system can't hold is restored under an escaped name,
which the summary lists.

Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 finished, but something differed and was left, could not be put
there, or is not in the snapshot, 4 damage or tampering, 130 interrupted.`,
		Example: "  farshore restore --vault gs://offsite/vault --identity recovery.key --source shop --to /srv/shop\n  farshore restore --source shop --at 2026-11-21T19:10:54Z --prefix images/ --to 's3://shop-new/?region=eu-west-1'\n  farshore restore --source code --item team/app.git --to git+https://git.example.net/team/app.git --password-file token",
		Args:    arguments(0, 0, ""),
	}
	f := cmd.Flags()
	f.StringVar(&o.source, "source", "", "`NAME` of the source to restore (needed)")
	f.StringVar(&at, "at", "", "`WHEN`: a commit's number or an RFC 3339 time (default: the newest complete one that is not suspicious)")
	f.StringVar(&o.prefix, "prefix", "", "restore only what begins with these `BYTES`")
	f.StringVar(&o.item, "item", "", "restore only the item of this `PATH`")
	f.StringVar(&o.to, "to", "", "`DEST`ination: a directory, s3://bucket/prefix, gs://bucket/prefix, or git+https:// or git+ssh:// (needed)")
	f.BoolVar(&o.overwrite, "overwrite", false, "replace what differs at the destination")
	f.BoolVar(&o.hooks, "hooks", false, "put repositories' own hooks and configuration in effect: what they say will be executed")
	f.StringVar(&o.as, "as", "repository", "`FORM` of repositories: repository, bundle (git) or dump (Subversion)")
	f.StringVar(&o.username, "username", "", "`NAME` for the server that DEST names")
	f.StringVar(&o.passwordFile, "password-file", "", "`FILE` that holds the password or token for it")
	f.BoolVar(&o.dryRun, "dry-run", false, "write nothing, say what would be done")
	return e.reads(cmd, func(ctx context.Context, args []string) (result, error) {
		o.itemSet = cmd.Flags().Changed("item")
		if err := o.check(); err != nil {
			return nil, err
		}
		var err error
		if o.at, err = parseWhen(at); err != nil {
			return nil, err
		}
		if o.access, err = e.access(); err != nil {
			return nil, err
		}
		return runRestore(ctx, e, o)
	})
}

// check holds the flags to what makes sense together.
func (o *restoreOptions) check() error {
	scheme, _, isURL := strings.Cut(o.to, "://")
	switch {
	case o.source == "":
		return usagef("restore needs --source NAME").with("`farshore snapshots` lists the sources in the vault")
	case o.to == "":
		return usagef("restore needs --to DEST").with("name a directory, or an s3:// or gs:// URL")
	case isURL && scheme != "s3" && scheme != "gs" && !pushes(scheme):
		return usagef("can't restore to %s://", scheme).with("DEST is a directory, an s3:// or gs:// URL, or for repositories of git a server's git+https:// or git+ssh:// address")
	case o.as != "repository" && o.as != "bundle" && o.as != "dump":
		return usagef("--as %s is not known", o.as).with("it is repository, bundle or dump")
	case (o.username != "" || o.passwordFile != "") && !pushes(scheme):
		return usagef("--username and --password-file are for a DEST that repositories are pushed to")
	case o.itemSet && o.prefix != "":
		return usagef("--item and --prefix exclude each other")
	case o.itemSet && o.item == "":
		return usagef("--item needs a path")
	case pushes(scheme):
		return checkPush(o.to, o.username != "" || o.passwordFile != "")
	}
	return nil
}

// checkPush holds the address of a server to have no credential and nothing else that it does not take. Since it may hold a secret by mistake, no error repeats it.
func checkPush(to string, credential bool) error {
	u, err := url.Parse(to)
	if err != nil {
		return usagef("DEST is no URL").with("write it like git+https://host/path or git+ssh://user@host/path")
	}
	_, password := u.User.Password()
	switch {
	case password, u.User != nil && u.Scheme != "git+ssh":
		return usagef("DEST holds a user name or password").with("--username and --password-file name them; ssh has its own keys")
	case credential && (u.Scheme == "git+ssh" || u.Scheme == "git+file"):
		return usagef("%s:// takes no --username and no --password-file: ssh has its own keys and configuration", u.Scheme)
	case credential && u.Scheme == "git+http" && !thisMachine(u.Hostname()):
		return usagef("a password is not sent over plain http").with("write git+https://")
	case u.RawQuery != "" || u.Fragment != "":
		return usagef("DEST has a part behind ? or #, which a server's address does not").with("write it like git+https://host/path")
	}
	return nil
}

// pushes reports whether repositories are pushed to a destination of that scheme.
func pushes(scheme string) bool {
	switch scheme {
	case "git+https", "git+http", "git+ssh", "git+file":
		return true
	}
	return false
}

// thisMachine reports whether a host is this machine itself.
func thisMachine(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// restoreResult is the result of restore.
type restoreResult struct {
	DryRun   bool   `json:"dry_run,omitempty"`
	Source   string `json:"source"`
	Chain    string `json:"chain"`
	Seq      int64  `json:"seq"`
	Time     string `json:"time"`
	Complete bool   `json:"complete"`
	To       string `json:"to"`
	// Restored were written, Equal were there already, Differing were left as they are, Replaced were overwritten.
	Restored  int64 `json:"restored"`
	Equal     int64 `json:"equal"`
	Differing int64 `json:"differing"`
	Replaced  int64 `json:"replaced"`
	Bytes     int64 `json:"bytes"`
	// Unreadable could not be read at the source when the snapshot was taken, and are restored from their last good record where there is one.
	Unreadable int64 `json:"unreadable,omitempty"`
	// Renamed lists items that the destination can't hold under their own name.
	Renamed []renamedResult `json:"renamed,omitempty"`
	// Failed lists items that could not be restored.
	Failed  []failedResult `json:"failed,omitempty"`
	Seconds float64        `json:"seconds"`
	Notices []string       `json:"notices,omitempty"`
	// noun is what is counted: item or repository.
	noun string
}

// renamedResult is an item that was restored under another name.
type renamedResult struct {
	pathJSON
	To   string `json:"to"`
	Why  string `json:"why"`
	path string
}

// failedResult is an item that could not be restored.
type failedResult struct {
	pathJSON
	Error string `json:"error"`
	path  string
}

func (r restoreResult) text(p *printer) {
	verb, written := "restored", "written"
	if r.DryRun {
		verb, written = "would restore", "to write"
	}
	p.line("%s snapshot %d of %s (%s) to %s in %s", verb, r.Seq, r.Source, r.Time, r.To, formatDuration(time.Duration(r.Seconds*float64(time.Second))))
	line := fmt.Sprintf("  %s %s (%s), %s there and equal", plural(r.Restored, r.noun), written, formatBytes(r.Bytes), formatCount(r.Equal))
	if r.Replaced > 0 {
		line += fmt.Sprintf(", %s of those %s in place of something else", formatCount(r.Replaced), written)
	}
	if r.Differing > 0 {
		line += fmt.Sprintf(", %s different and left", formatCount(r.Differing))
	}
	p.line("%s", line)
	if r.Unreadable > 0 {
		p.line("  %s could not be read when the snapshot was taken", plural(r.Unreadable, r.noun))
	}
	for _, x := range r.Renamed {
		p.line("  %s is restored as %s: %s", printable(x.path), printable(x.To), x.Why)
	}
	for _, x := range r.Failed {
		p.line("  %s: %s", printable(x.path), lines(x.Error))
	}
	for _, n := range r.Notices {
		p.line("  note: %s", n)
	}
}
