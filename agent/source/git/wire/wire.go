// Package wire reads git repositories from the servers that have them, over http, ssh and git's own protocol, without a clone: it asks which refs there are, and for
// one pack with what they need beyond what the vault has. It speaks version 2 of git's protocol, and 0 and 1 where a server knows no other.
//
// What it can't see: refs that a server hides (uploadpack.hideRefs, a forge's internal refs) are not listed to anyone, and nothing tells that there are some. Versions 0
// and 1 don't tell either which refs other than HEAD are symbolic, and of an empty repository neither where its HEAD points nor, from a git before 2.41, its object
// format.
//
// It never writes to a server, stores nothing, and trusts nothing that comes: lengths, counts and texts are bounded, and no password leaves for another host or without
// encryption. It does not look into packs: whoever stores one checks it.
package wire

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"farshore/agent/repo/refs"
	"farshore/agent/source/git/internal/web"
)

// Options says how servers are spoken to.
type Options struct {
	// Username is sent with the password over http. Empty: "git", which forges take with a token.
	Username string
	// Password gives the password or token for http; nil: none is sent. It is asked for each request, and once more when a server refuses what it gave, as
	// tokens end. It goes to the address's own host only, and only encrypted but on the machine itself.
	Password func(context.Context) (string, error)
	// Client sends requests over http; nil: one of the Remote's own. Its time limit, its cookies and how it follows redirects are not used.
	Client *http.Client
	// SSH is the command that stands for ssh, with its first arguments; empty: "ssh". It runs without prompts, with the user's configuration.
	SSH []string
	// UserAgent is how this program calls itself; empty: a name that servers take for git's.
	UserAgent string
	// Idle is how long a server may give no byte before a conversation is given up; 0: two minutes.
	Idle time.Duration
	// Limits bound what a server that gives something all the while can do.
	Limits Limits
}

// Remote is a repository at a server. It may be used concurrently.
type Remote struct {
	at      address
	o       Options
	client  *http.Client
	own     bool // the client is ours to clean up
	version int  // the version of the protocol that is asked for
	sleep   func(context.Context, time.Duration) error

	mu      sync.Mutex
	omitted string
	known   *greeted
}

// greeted is what is remembered of a server that is asked anew with each request.
type greeted struct {
	hello *hello
	base  string // the repository's address, after redirects
}

// Open returns the repository at the address: https://host/path, http://host/path, ssh://[user@]host[:port]/path or git://host[:port]/path. It sends nothing
// yet; an error says what is wrong with the address.
func Open(address string, o Options) (*Remote, error) {
	at, err := parseAddress(address)
	if err != nil {
		return nil, err
	}
	if len(o.SSH) == 0 {
		o.SSH = []string{"ssh"}
	}
	if o.UserAgent == "" {
		o.UserAgent = "git/farshore"
	}
	if o.Idle <= 0 {
		o.Idle = defaultIdle
	}
	o.Limits.fill()
	r := &Remote{at: at, o: o, version: 2, sleep: web.Wait}
	r.client, r.own = ownClient(o.Client)
	return r, nil
}

// Close gives up idle connections. Packs that are still read are closed by who reads them.
func (r *Remote) Close() error {
	if r.own {
		r.client.CloseIdleConnections()
	}
	return nil
}

// Refs returns the refs that the server shows now; an empty repository has a manifest without refs. Errors: source.ErrGone, *source.Unreadable where the server was
// reached and this repository can't be had from it; any other means that the server can't be reached, after retries.
func (r *Remote) Refs(ctx context.Context) (*refs.Manifest, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, r.o.Limits.Refs, fmt.Errorf("the server did not list them all in %v", r.o.Limits.Refs))
	defer cancel()
	var m *refs.Manifest
	err := r.retry(ctx, func() error {
		talk, h, err := r.talk(ctx, false)
		if err != nil {
			return err
		}
		var omitted string
		m, omitted, err = talk.refs(h)
		if err = talk.failed("refs", err); err == nil {
			r.mu.Lock()
			r.omitted = omitted
			r.mu.Unlock()
		}
		return errors.Join(err, talk.close())
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

// Omitted says in lines "what: why" what the last Refs saw and left out: names that are no refs. Refs that the server hides are not among them, as nothing tells of
// them.
func (r *Remote) Omitted() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.omitted
}

// Pack returns the pack with what wants need beyond what haves reach, exactly as the server makes it; io.EOF comes only when the server said that it is whole. Ids in haves that the server does
// not know cost nothing but bytes; of more than 20,000 the first are used. A thin pack may build on objects that haves reach. Without wants nothing is asked, and
// the pack is empty. The caller closes it. Errors, also while it is read, are those of Refs and ErrMoved. The stream has BasesByID, too.
func (r *Remote) Pack(ctx context.Context, wants, haves []string, thin bool) (io.ReadCloser, error) {
	return r.fetch(ctx, fetchRequest{wants: wants, haves: haves, thin: thin})
}

// Small is Pack for a pack that needs no other to be read, without blobs over 1 KiB. A server that can't leave out blobs sends all.
func (r *Remote) Small(ctx context.Context, wants, haves []string) (io.ReadCloser, error) {
	return r.fetch(ctx, fetchRequest{wants: wants, haves: haves, filter: smallFilter})
}

func (r *Remote) fetch(ctx context.Context, f fetchRequest) (io.ReadCloser, error) {
	if len(f.wants) == 0 {
		return io.NopCloser(r.emptyPack()), nil
	}
	var s *packStream
	err := r.retry(ctx, func() error {
		talk, h, err := r.talk(ctx, true)
		if err != nil {
			return err
		}
		if s, err = talk.fetch(h, f); err != nil {
			return errors.Join(talk.failed("pack", err), talk.close())
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// emptyPack is a pack of no objects, in the format of the repository where that is known.
func (r *Remote) emptyPack() io.Reader {
	r.mu.Lock()
	defer r.mu.Unlock()
	head := binary.BigEndian.AppendUint64([]byte("PACK"), 2<<32)
	sum1 := sha1.Sum(head)
	sum := sum1[:]
	if r.known != nil && r.known.hello.format == "sha256" {
		sum256 := sha256.Sum256(head)
		sum = sum256[:]
	}
	return bytes.NewReader(append(head, sum...))
}

// pauses are how long to wait before something that failed for a passing reason is tried again, where the server does not say.
var pauses = [...]time.Duration{time.Second, 5 * time.Second}

// maxPause is how long a server may make us wait.
const maxPause = 2 * time.Minute

// retry tries again what failed for a passing reason.
func (r *Remote) retry(ctx context.Context, try func() error) error {
	for n := 0; ; n++ {
		err := try()
		var p *passing
		if !errors.As(err, &p) || n == len(pauses) || ctx.Err() != nil {
			return err
		}
		pause := max(pauses[n], p.after)
		if p.after > maxPause {
			return fmt.Errorf("%w (the server wants to be asked again in %v)", err, p.after)
		}
		if r.sleep(ctx, pause) != nil {
			return err
		}
	}
}
