package gitrepo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"farshore/agent/repo/gitcmd"
)

// pushed is what git says of one ref.
type pushed struct {
	flag byte   // as git push --porcelain has it: ' ', '+', '*', '=', '!'
	said string // summary and reason
}

// push pushes the refs in one go, and returns what git says of each, by its name at the server. An error says that nobody knows.
func (p *pusher) push(ctx context.Context, batch []wish) (map[string]pushed, error) {
	env, err := p.environment(ctx)
	if err != nil {
		return nil, err
	}
	g := *p.git.Git
	g.Env = env
	args := []string{"push", "--porcelain", "--verbose", "--no-verify", "--", p.address}
	for _, w := range batch {
		force := ""
		if p.o.Overwrite {
			force = "+"
		}
		args = append(args, force+w.oid+":"+w.as)
	}
	out, err := g.Output(ctx, nil, args...)
	results := parsePush(out)
	if err == nil || ctx.Err() == nil && code(err) == 1 && len(results) > 0 {
		return results, complete(batch, results, err)
	}
	return nil, p.unreached(err)
}

// complete makes sure that git said something of each ref.
func complete(batch []wish, results map[string]pushed, err error) error {
	words := remoteWords(err)
	for _, w := range batch {
		r, ok := results[w.as]
		if !ok {
			return errors.Join(fmt.Errorf("git push said nothing of %q", w.as), err)
		}
		if words != "" && r.flag == '!' && strings.Contains(r.said, "hook declined") {
			r.said += ": " + words
			results[w.as] = r
		}
	}
	return nil
}

// remoteWords are the lines that the server itself said, at most some hundred bytes.
func remoteWords(err error) string {
	var g *gitcmd.Error
	if !errors.As(err, &g) {
		return ""
	}
	var words []string
	for line := range strings.Lines(g.Stderr) {
		if said, ok := strings.CutPrefix(line, "remote: "); ok && strings.TrimSpace(said) != "" {
			words = append(words, strings.TrimSpace(said))
		}
	}
	all := strings.Join(words, " ")
	return strings.ToValidUTF8(all[:min(len(all), 500)], "?")
}

// unreached says that the server can't be reached, without anything secret: the password is in no argument, and git does not print it.
func (p *pusher) unreached(err error) error {
	var g *gitcmd.Error
	if errors.As(err, &g) {
		return fmt.Errorf("push to %s: %s", redact(p.address), strings.ReplaceAll(strings.TrimSpace(g.Stderr), "\n", "; "))
	}
	return err
}

// redact takes a password out of an address, should somebody have written one there.
func redact(address string) string {
	scheme, rest, ok := strings.Cut(address, "://")
	if !ok {
		return address
	}
	authority, path, slash := strings.Cut(rest, "/")
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		if user, _, secret := strings.Cut(authority[:i], ":"); secret {
			authority = user + ":…" + authority[i:]
		}
	}
	if slash {
		path = "/" + path
	}
	return scheme + "://" + authority + path
}

// parsePush reads what git push --porcelain prints: lines of a flag, "from:to", and a summary, with tabs between.
func parsePush(out []byte) map[string]pushed {
	results := map[string]pushed{}
	for line := range bytes.Lines(out) {
		f := strings.SplitN(strings.TrimSuffix(string(line), "\n"), "\t", 3)
		if len(f) != 3 || len(f[0]) != 1 {
			continue
		}
		_, to, ok := strings.Cut(f[1], ":")
		if ok {
			results[to] = pushed{f[0][0], f[2]}
		}
	}
	return results
}

// sort counts what came of the refs, and returns those that the server refused, and whether it took any.
func (p *pusher) sort(batch []wish, results map[string]pushed) (refused []refusal, taken bool) {
	for _, w := range batch {
		r := results[w.as]
		switch {
		case r.flag == '!' && local(r.said):
			p.report.Differs++
			named(&p.report.DifferingRefs, PushedRef{Name: w.name, As: other(w), Why: r.said})
		case r.flag == '!':
			refused = append(refused, refusal{w, r.said})
		case w.as != w.name:
			taken = taken || r.flag != '='
			p.report.Moved++
			named(&p.report.MovedRefs, PushedRef{Name: w.name, As: w.as})
		case r.flag == '=':
			p.report.Same++
		default:
			taken = true
			p.report.Pushed++
		}
	}
	return refused, taken
}

// local reports whether it was git here that did not push a ref, because the server's is elsewhere.
func local(said string) bool { return strings.HasPrefix(said, "[rejected]") }

func other(w wish) string {
	if w.as == w.name {
		return ""
	}
	return w.as
}
