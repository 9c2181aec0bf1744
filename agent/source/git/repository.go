package git

import (
	"sync"

	"farshore/agent/record"
	"farshore/agent/source/git/lfs"
)

// repository is what a listing found, and what has come of its captures since.
type repository struct {
	path   string
	dir    string // of a file address: the git directory
	url    string // of all others
	parent string // the forge's name of what it was forked from
	name   string // the forge's own name of it
	size   int64  // bytes, -1 when unknown
	named  bool   // the configuration names it: that it is not there is an error

	seen     survey
	leader   *repository // of its fork network; nil: itself, or there is none
	followed bool        // it is a leader

	turn *turn // of its history, guarded by Source.mu
}

// survey is what a look at a repository tells.
type survey struct {
	ok      bool // its refs could be read
	format  string
	digest  string // of the manifest
	sketch  string
	head    string
	count   int
	sidecar string   // digest of the files beside it
	shares  []string // object directories that are its own or that it borrows from
	err     error    // why its refs could not be read
}

// turn is one capture of a repository's history, for those who wait for it: captures of its LFS objects and of its forks. A history that is not captured in
// a pass since it is unchanged has its turn too.
type turn struct {
	started, ended chan struct{}
	start, end     sync.Once
	outcome        *outcome // nil: it failed. Set before ended is closed, and not changed after that
	givenUp        bool     // it did not begin while somebody waited for it. Likewise
}

func newTurn() *turn { return &turn{started: make(chan struct{}), ended: make(chan struct{})} }

func (t *turn) begin() { t.start.Do(func() { close(t.started) }) }

func (t *turn) finish(o *outcome) {
	t.begin()
	t.end.Do(func() {
		t.outcome = o
		close(t.ended)
	})
}

// giveUp ends a turn that nobody is to wait for any more, unless it has ended.
func (t *turn) giveUp() {
	t.begin()
	t.end.Do(func() {
		t.givenUp = true
		close(t.ended)
	})
}

func (t *turn) begun() bool {
	select {
	case <-t.started:
		return true
	default:
		return false
	}
}

// outcome is what others need to know of a history that was captured or is unchanged.
type outcome struct {
	rec *record.Record
	// from is the digest of the manifest that new packs built upon: what they hold is all that is new since. Empty: they hold everything.
	from string
	// joined says that the first packs are those of the fork network's leader, whose pointers are not among these.
	joined bool
	// wants and haves are what the new pack was made from; none where there is none.
	wants, haves []string
	pointers     pointers
	// unknown says that the new pack may have more pointers than were seen.
	unknown bool
}

// pointers is a bounded set of LFS pointers.
type pointers struct {
	size map[string]int64 // by object id
	more bool             // there were more than maxObjects
}

func (p *pointers) add(oid string, size int64) {
	if _, ok := p.size[oid]; ok {
		return
	}
	if len(p.size) >= maxObjects {
		p.more = true
		return
	}
	if p.size == nil {
		p.size = map[string]int64{}
	}
	p.size[oid] = size
}

func (p *pointers) addAll(list []lfs.Pointer) {
	for _, l := range list {
		p.add(l.OID, l.Size)
	}
}

// at returns what is known of the path: what a listing found, or else what follows from the address.
func (s *Source) at(path string) *repository {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.repos[path]
	if r == nil {
		r = s.guess(path)
		s.repos[path] = r
	}
	return r
}

// take begins a capture of the history. Whoever captures twice after one listing has a turn each.
func (s *Source) take(r *repository) *turn {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.turn.begun() {
		r.turn = newTurn()
	}
	r.turn.begin()
	return r.turn
}

func (s *Source) turnOf(r *repository) *turn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return r.turn
}

// forget lets go of what only a capture of LFS objects was waiting for.
func (s *Source) forget(r *repository) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !r.followed && r.turn.begun() {
		r.turn = newTurn()
		r.turn.finish(nil)
	}
}
