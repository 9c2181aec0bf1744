package audit

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/agent/units"
	"farshore/agent/vault"
	"farshore/providers"
)

// names are those of sources and items that a report seals. It may be used concurrently.
type names struct {
	mu    sync.Mutex
	names report.Names
}

func newNames(chains []*vault.Chain) *names {
	n := &names{names: report.Names{Sources: map[string]string{}}}
	for _, c := range chains {
		if c.Source.Name != "" && c.ID != "" && len(n.names.Sources) < report.MaxSources {
			n.names.Sources[c.ID] = c.Source.Name
		}
	}
	return n
}

// item keeps the name of an item and returns its index, from 1 on; 0 where there is no more room.
func (n *names) item(source, path string) int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.names.Item(source, path)
}

// of returns the name with that index, "" for none.
func (n *names) of(index int64) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.names.Name(index)
}

// notes are the findings of an audit: those of the report, which name neither items nor sources nor places, and beside each the one for this terminal. It may be used
// concurrently.
type notes struct {
	names *names
	hide  *strings.Replacer

	mu       sync.Mutex
	list     []report.AuditFinding
	told     []vault.Finding
	omitted  int64
	damage   bool
	tampered bool
	known    map[vault.Finding]struct{} // those that were listed
}

func newNotes(n *names) *notes {
	var pairs []string
	for _, name := range n.names.Sources {
		pairs = append(pairs, strconv.Quote(name), "(a sealed name)")
	}
	return &notes{names: n, hide: strings.NewReplacer(pairs...), known: map[vault.Finding]struct{}{}}
}

// address is what looks like that of a server or a bucket, as stores put it into what they say.
var address = regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]*://[^\s"']+`)

// public is a text without what may name a place or a source.
func (n *notes) public(text string) string {
	text = address.ReplaceAllString(n.hide.Replace(text), "(an address)")
	return cut(text)
}

// cut makes a text fit a report.
func cut(text string) string {
	text = strings.ToValidUTF8(text, "?")
	if len(text) > report.MaxText {
		text = strings.ToValidUTF8(text[:report.MaxText-len("…")], "") + "…"
	}
	return text
}

// room is the object, where it is a name in the vault; other things that findings are about are not for the report.
func room(object string) string {
	for _, r := range []string{"vault/", "packs/", "meta/", "commits/", report.Room} {
		if strings.HasPrefix(object, r) && len(object) <= report.MaxText {
			return strings.ToValidUTF8(object, "?")
		}
	}
	return ""
}

// add takes a finding as packages of the vault make it. The same one is taken once.
func (n *notes) add(f vault.Finding) { n.addListed(f, true) }

// addListed takes a finding, and lists it where it is to be and there is room. All count.
func (n *notes) addListed(f vault.Finding, list bool) {
	n.put(report.AuditFinding{Severity: string(f.Severity), Object: room(f.Object), Text: n.public(f.Text)}, f, list)
}

// item takes a finding that may be about an item.
func (n *notes) item(f report.AuditFinding) {
	told := vault.Finding{Severity: vault.Severity(f.Severity), Object: f.Object, Text: f.Text}
	if name := n.names.of(f.Item); name != "" {
		if told.Object != "" {
			told.Text = told.Object + ": " + told.Text
		}
		told.Object = name
	}
	f.Text, f.Object = n.public(f.Text), room(f.Object)
	n.put(f, told, true)
}

func (n *notes) note(s vault.Severity, object, format string, args ...any) {
	n.add(vault.Finding{Severity: s, Object: object, Text: fmt.Sprintf(format, args...)})
}

func (n *notes) put(f report.AuditFinding, told vault.Finding, list bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, again := n.known[told]; again {
		return
	}
	lost := grave(f) == vault.Damage
	n.damage = n.damage || lost
	n.tampered = n.tampered || !lost && grave(f) != vault.Notice
	if !list || len(n.list) == report.MaxFindings {
		n.omitted++
		return
	}
	n.known[told] = struct{}{}
	n.list, n.told = append(n.list, f), append(n.told, told)
}

// grave is what a finding makes of the verdict. A report that is lost, or that lies, loses nothing of what is stored: that is tampering and no damage.
func grave(f report.AuditFinding) vault.Severity {
	if f.Severity == string(vault.Damage) && strings.HasPrefix(f.Object, report.Room) {
		return vault.Tampering
	}
	return vault.Severity(f.Severity)
}

// collect takes what was found of statements, chains and reports, and what reading noticed besides.
func (r *run) collect() {
	for _, f := range r.v.Findings() {
		r.notes.add(f)
	}
	chainFindings(r.chains, r.notes.addListed)
	for _, f := range r.shelf.Findings {
		r.notes.add(f)
	}
	r.ahead()
	if n := r.census.Disputed(); n > 0 && r.a.Mode != report.ModeDrill {
		r.notes.note(vault.Tampering, "", "commits state different sizes of %s, of which one at the most is true: whoever wrote the others had the key of an agent", units.Plural(n, "object"))
	}
	for _, f := range r.v.Sightings() {
		r.notes.add(f)
	}
}

// maxAhead is how far a report's time may lie ahead of this clock before it is told.
const maxAhead = day

// ahead tells of signers whose newest report bears a time to come: until then their key's reports go back in time, and don't count.
func (r *run) ahead() {
	told := map[string]bool{}
	for _, e := range r.shelf.Entries { // newest first
		if e.Time.Sub(r.clock.wall()) <= maxAhead {
			return
		}
		if !told[e.Signer] {
			r.notes.note(vault.Tampering, e.Name, "it bears a time to come, %s: until then no other report of its key counts; have the owner name another key", record.FormatTime(e.Time))
		}
		told[e.Signer] = true
	}
}

// maxBare bounds how many findings are listed of chains that have no commit which counts.
const maxBare = 100

// chainFindings calls fn with what was found of the chains. Whoever may add objects can begin any number of chains that are none: what is found of those comes last, and only
// the first are listed.
func chainFindings(chains []*vault.Chain, fn func(f vault.Finding, list bool)) {
	bare := func(c *vault.Chain) bool {
		return len(c.Commits) == 0 && c.ID != "" && c.RolledBack == nil && !c.Revoked
	}
	n := 0
	for _, c := range slices.Concat(slices.DeleteFunc(slices.Clone(chains), bare), slices.DeleteFunc(slices.Clone(chains), func(c *vault.Chain) bool { return !bare(c) })) {
		for _, f := range c.Findings {
			if bare(c) {
				n++
			}
			fn(f, n <= maxBare)
		}
	}
}

// words says why something failed, without what may name a place: a store's own words may.
func words(err error) string {
	var store *providers.Error
	var damage *vault.DamageError
	var path *fs.PathError
	switch {
	case errors.As(err, &damage):
		if errors.As(damage.Err, &store) {
			return fmt.Sprintf("%s: %s", room(damage.Object), store.Kind)
		}
		return room(damage.Object) + ": it is missing, or is not what its name says"
	case errors.As(err, &store):
		return strings.TrimSpace(fmt.Sprintf("%s %s: %s", store.Op, room(store.Name), store.Kind))
	case errors.Is(err, errSlow):
		return errSlow.Error()
	case errors.As(err, &path):
		return fmt.Sprintf("a file of this machine: %s: %v", path.Op, path.Err)
	}
	return "a failure whose words may name a place, and are told to who ran it alone"
}
