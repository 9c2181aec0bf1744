package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"farshore/agent/repo/gitcmd"
	"farshore/agent/repo/refs"
)

// PushOptions say how a server is reached, and what may be replaced there.
type PushOptions struct {
	// Username is who Password is for; empty means "git", which forges take together with a token.
	Username string
	// Password returns the password or token; nil: there is none. It is asked for anew for each push.
	Password func(context.Context) (string, error)
	// SSH is the command that reaches a server over ssh. Default: ssh, which asks nothing.
	SSH []string
	// Overwrite lets a push replace refs that are elsewhere at the server, and lose what only they reached. Nothing is ever deleted.
	Overwrite bool
}

// PushReport is what came of a push. Its lists have at most MaxNamed entries; the numbers count all.
type PushReport struct {
	Pushed   int // refs that the server has now under their own names, and had not
	Same     int // refs that it had already
	Moved    int // refs that it has now, or had already, under refs/backup/
	Differs  int // refs that are elsewhere at the server, and were left alone
	Refused  int // refs that it has under no name
	Dangling int // symbolic refs that point to nothing, and can't be pushed
	// MovedRefs, DifferingRefs and RefusedRefs name them, with the server's words.
	MovedRefs, DifferingRefs, RefusedRefs []PushedRef
	// Head is the branch that the server should have as its default one: a push can't say so. Empty where HEAD is detached or its branch is not there.
	Head string
}

// PushedRef is a ref and what became of it.
type PushedRef struct {
	Name string
	As   string // its name at the server where that is another one
	Why  string // in the server's or git's words
}

// MaxNamed bounds the lists of a PushReport.
const MaxNamed = 1000

// backupPrefix is what refs begin with that a server does not take under their own names.
const backupPrefix = "refs/backup/"

// Push pushes all refs of the repository in dir, which Build made, to the address, in pushes of some hundred refs that do not depend on one another: the branch that HEAD
// points to first, because servers make the first one their default branch, then branches and tags, then the rest. What the server refuses is pushed once
// more below refs/backup/. Errors: the server can't be reached or does not let us in; then the report tells what was done until then. The report is never nil.
//
// The password is in the environment of git alone, and git hands it only to the host of the address. Neither that address nor git's other settings are up to the
// repository's configuration.
func Push(ctx context.Context, dir, address string, o PushOptions) (*PushReport, error) {
	p := &pusher{o: o, address: address, report: &PushReport{}}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return p.report, err
	}
	m, err := listRefs(ctx, &repo{Git: &gitcmd.Git{Dir: dir}})
	if err != nil {
		return p.report, err
	}
	ours, remove, err := scratch(ctx, "", m.Format, objectsOf(dir))
	if err != nil {
		return p.report, err
	}
	p.git = ours
	err = p.all(ctx, m)
	return p.report, errors.Join(err, remove())
}

// pusher is one call of Push. Not safe for concurrent use.
type pusher struct {
	o       PushOptions
	address string
	git     *repo
	report  *PushReport
}

// wish is a ref on its way: what it points to, its own name, and the one that it is to have.
type wish struct{ oid, name, as string }

// batchRefs is how many refs go in one push: as many as servers take well.
const batchRefs = 500

// all pushes in the order that Push says.
func (p *pusher) all(ctx context.Context, m *refs.Manifest) error {
	var head, common, rest []wish
	for _, r := range m.Refs {
		w := wish{r.OID, r.Name, r.Name}
		switch {
		case r.OID == "":
			p.report.Dangling++
		case r.Name == m.Head:
			head = append(head, w)
			p.report.Head = r.Name
		case strings.HasPrefix(r.Name, "refs/heads/"), strings.HasPrefix(r.Name, "refs/tags/"):
			common = append(common, w)
		default:
			rest = append(rest, w)
		}
	}
	if p.report.Head == "" && m.HeadOID != "" {
		rest = append(rest, wish{m.HeadOID, "HEAD", backupPrefix + "HEAD"})
	}
	for _, list := range [][]wish{head, common, rest} {
		refused, err := p.batches(ctx, list)
		if err == nil && len(refused) > 0 {
			err = p.aside(ctx, refused)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// refusal is a ref that a server did not take, and its words.
type refusal struct {
	wish
	why string
}

// batches pushes the refs some at a time, and returns those that the server refused.
func (p *pusher) batches(ctx context.Context, list []wish) ([]refusal, error) {
	var refused []refusal
	for len(list) > 0 {
		n := min(len(list), batchRefs)
		budget := retries
		more, err := p.split(ctx, list[:n], &budget)
		if err != nil {
			return nil, err
		}
		refused, list = append(refused, more...), list[n:]
	}
	return refused, nil
}

// retries is how many more pushes a batch may take in which the server refused all refs because of some.
const retries = 40

// split pushes a batch. Where a hook of the server refused all of it, as it does because of a single ref, it pushes the halves.
func (p *pusher) split(ctx context.Context, batch []wish, budget *int) ([]refusal, error) {
	results, err := p.push(ctx, batch)
	if err != nil {
		return nil, err
	}
	refused, taken := p.sort(batch, results)
	if taken || len(refused) < 2 || *budget < 2 || !strings.Contains(refused[0].why, "pre-receive") {
		return refused, nil
	}
	*budget -= 2
	var still []refusal
	for _, half := range [][]refusal{refused[:len(refused)/2], refused[len(refused)/2:]} {
		again := make([]wish, len(half))
		for i := range half {
			again[i] = half[i].wish
		}
		more, err := p.split(ctx, again, budget)
		if err != nil {
			return nil, err
		}
		still = append(still, more...)
	}
	return still, nil
}

// aside pushes refs that were refused once more, below refs/backup/.
func (p *pusher) aside(ctx context.Context, refused []refusal) error {
	var again []wish
	why := make(map[string]string, len(refused))
	for _, r := range refused {
		as := backupPrefix + strings.TrimPrefix(r.name, "refs/")
		why[r.name] = r.why
		if r.as == as { // a detached HEAD
			p.report.refused(r)
			continue
		}
		again = append(again, wish{r.oid, r.name, as})
	}
	still, err := p.batches(ctx, again)
	if err != nil {
		return err
	}
	gone := make(map[string]bool, len(still))
	for _, r := range still {
		gone[r.name] = true
		r.why = why[r.name] + "; as " + r.as + ": " + r.why
		p.report.refused(r)
	}
	for _, w := range again {
		if !gone[w.name] {
			p.report.explain(w, why[w.name])
		}
	}
	return nil
}

func (r *PushReport) refused(x refusal) {
	r.Refused++
	named(&r.RefusedRefs, PushedRef{Name: x.name, Why: x.why})
}

// explain adds to a moved ref why it was moved.
func (r *PushReport) explain(w wish, why string) {
	for i := range r.MovedRefs {
		if m := &r.MovedRefs[i]; m.Name == w.name && m.As == w.as {
			m.Why = why
		}
	}
}

func named(list *[]PushedRef, r PushedRef) {
	if len(*list) < MaxNamed {
		*list = append(*list, r)
	}
}

// environment is what lets git reach the server.
func (p *pusher) environment(ctx context.Context) ([]string, error) {
	ssh := p.o.SSH
	if len(ssh) == 0 {
		ssh = []string{"ssh", "-oBatchMode=yes"}
	}
	env := []string{"GIT_ALLOW_PROTOCOL=https:http:ssh:git:file", "GIT_SSH_COMMAND=" + shellWords(ssh), "GIT_SSH_VARIANT=ssh"}
	if agent := os.Getenv("SSH_AUTH_SOCK"); agent != "" {
		env = append(env, "SSH_AUTH_SOCK="+agent)
	}
	set := [][2]string{
		{"core.fsync", "none"}, {"push.default", "nothing"}, {"push.followTags", "false"},
		{"http.lowSpeedLimit", "1"}, {"http.lowSpeedTime", "300"}, // a server that stands still ends the push
	}
	if p.o.Password != nil {
		secret, helper, err := p.credential(ctx)
		if err != nil {
			return nil, err
		}
		env, set = append(env, secret...), append(set, helper)
	}
	return append(env, settings(set...)...), nil
}

// credential returns what git needs to log in at the host of the address, and nowhere else: the secret, in the environment, and a helper that says it to git.
func (p *pusher) credential(ctx context.Context) (env []string, helper [2]string, err error) {
	u, err := url.Parse(p.address)
	if err != nil || u.Host == "" {
		return nil, helper, fmt.Errorf("%q is no address that takes a password", p.address)
	}
	password, err := p.o.Password(ctx)
	if err != nil {
		return nil, helper, fmt.Errorf("password for %s: %w", u.Host, err)
	}
	user := p.o.Username
	if user == "" {
		user = "git"
	}
	if strings.ContainsAny(user+password, "\n\x00") {
		return nil, helper, fmt.Errorf("password for %s: it has a line feed or a zero byte", u.Host)
	}
	const say = `!f() { test "$1" = get && printf 'username=%s\npassword=%s\n' "$FARSHORE_USERNAME" "$FARSHORE_PASSWORD"; }; f`
	return []string{"FARSHORE_USERNAME=" + user, "FARSHORE_PASSWORD=" + password}, [2]string{"credential." + u.Scheme + "://" + u.Host + ".helper", say}, nil
}

// shellWords joins words such that a shell takes them apart again.
func shellWords(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
	}
	return strings.Join(quoted, " ")
}
