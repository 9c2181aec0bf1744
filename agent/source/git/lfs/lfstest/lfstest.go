// Package lfstest is an LFS server for tests: the batch API and basic transfers as git-lfs uses them, with faults that can be set for each object. The product never
// imports it.
package lfstest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"farshore/agent/source/git/lfs"
)

// Fault is what goes wrong with the downloads of one object.
type Fault int

// Faults of objects.
const (
	None       Fault = iota
	Missing          // the batch says that the object does not exist (404)
	Removed          // the batch says that the object was removed (410)
	Forbidden        // the batch refuses the object (403)
	Vanished         // the batch gives a link, which says 404
	Unnamed          // the batch's answer leaves the object out
	Wrong            // other bytes of the same length
	Long             // more bytes, with a length that says so
	Short            // fewer bytes, with a length that says so
	Cut              // each connection breaks after half of what it should bring; a range is honoured
	CutNoRange       // the first connection breaks at the half, and ranges are not known: the second starts again
	Expired          // the first link has expired
	Refused          // the first link is refused (403) although it should not have expired
	Elsewhere        // the link is at another host, which refuses requests that carry the repository's password
	Redirect         // the link redirects to the other host
	Busy             // the first request is answered with 429 and Retry-After
	Broken           // each download is answered with 500
	Account          // the link has no header of its own, and asks for the repository's password
)

// Server is a running LFS server with one set of objects, whatever repository it is asked for. It may be used concurrently.
type Server struct {
	// URL is the address of a repository "team/app.git" on it.
	URL string

	mu                 sync.Mutex
	host, elsewhere    string
	username, password string
	objects            map[string][]byte
	faults             map[string]Fault
	seen               map[string]int // downloads of an object that have the fault behind them
	batches            [][]int        // what is set with BatchStatus: status and remaining times
	limit              int
	requests           []string
}

// New starts a server without objects, which ends with the test.
func New(tb testing.TB) *Server {
	tb.Helper()
	s := Detached()
	here := httptest.NewServer(s)
	tb.Cleanup(here.Close)
	there := httptest.NewServer(http.HandlerFunc(s.other))
	tb.Cleanup(there.Close)
	s.elsewhere = there.URL
	s.URL = here.URL + "/team/app.git"
	return s
}

// Detached returns a server that listens nowhere: a handler for a test's own server or transport. Its faults Elsewhere and Redirect are not available.
func Detached() *Server {
	return &Server{objects: map[string][]byte{}, faults: map[string]Fault{}, seen: map[string]int{}}
}

// Wrap returns a handler that serves LFS beside next: the same address then has a repository's git and its large objects.
func (s *Server) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/info/lfs/") || strings.HasPrefix(r.URL.Path, objectPath) {
			s.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Put stores an object and returns its pointer.
func (s *Server) Put(content []byte) lfs.Pointer {
	sum := sha256.Sum256(content)
	p := lfs.Pointer{OID: hex.EncodeToString(sum[:]), Size: int64(len(content))}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects[p.OID] = slices.Clone(content)
	return p
}

// Get returns an object's content, and whether it is there.
func (s *Server) Get(oid string) ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.objects[oid]
	return slices.Clone(b), ok
}

// Fault sets what goes wrong with the object from now on.
func (s *Server) Fault(oid string, f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[oid] = f
	delete(s.seen, oid)
}

// Account makes the server ask for a user and a password.
func (s *Server) Account(username, password string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.username, s.password = username, password
}

// BatchStatus makes the next batches fail with the status, that many times.
func (s *Server) BatchStatus(status, times int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.batches = append(s.batches, []int{status, times})
}

// BatchLimit makes the server refuse batches of more objects with 413; 0 means no limit.
func (s *Server) BatchLimit(objects int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit = objects
}

// Requests returns what was asked so far: "batch download 3", "get OID", "get OID from 512", "elsewhere OID", "put OID", in the order of the requests.
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

func (s *Server) note(format string, args ...any) {
	s.requests = append(s.requests, fmt.Sprintf(format, args...))
}

// once reports whether the object's fault, which happens once, is still to come; it then is no more.
func (s *Server) once(oid string) bool {
	s.seen[oid]++
	return s.seen[oid] == 1
}
