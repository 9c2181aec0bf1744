package lfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

var (
	// ErrMissing says that the server does not have the object, now or any more (404, 410).
	ErrMissing = errors.New("the LFS server does not have the object")
	// ErrWrong says that the server has other bytes than the pointer says.
	ErrWrong = errors.New("the LFS server's bytes are not the pointer's")
	// ErrNone says that there is no LFS server for the repository (404, 501): none of its objects can be had.
	ErrNone = errors.New("no LFS server answers for the repository")
)

// Options say how a repository's LFS server is reached.
type Options struct {
	// Username goes with the password; "farshore" when empty.
	Username string
	// Password returns the password or token, and is called for each batch; nil means none. It is sent to the repository's own host only, and only
	// over https or to this machine.
	Password func(ctx context.Context) (string, error)
	// Client makes the requests; nil means one with the defaults of net/http. Its CheckRedirect is not used: redirects are followed here, without the
	// headers that belong to another host.
	Client *http.Client
	// UserAgent is sent with each request; "farshore" when empty.
	UserAgent string
}

// Client downloads objects from one repository's LFS server. It may be used concurrently.
type Client struct {
	options Options
	http    http.Client
	batch   *url.URL
	err     error // why the address can't be used
	times   times
}

// times are the client's waits.
type times struct {
	first time.Duration // the greatest pause after a first failure; doubled for each that follows
	idle  time.Duration // how long a server may send nothing
}

// New returns a client for the LFS server of the repository, whose URL may end in ".git" or not. It makes no request: an address that can't be used fails Fetch.
func New(repository string, o Options) *Client {
	o.Username = cmpOr(o.Username, "farshore")
	o.UserAgent = cmpOr(o.UserAgent, "farshore")
	c := &Client{options: o, times: times{first: time.Second, idle: time.Minute}}
	if o.Client != nil {
		c.http = *o.Client
	}
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.batch, c.err = endpoint(repository, o.Password != nil)
	return c
}

func cmpOr(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}

// endpoint returns where the batches of the repository are asked for (git-lfs, docs/api/server-discovery.md).
func endpoint(repository string, secret bool) (*url.URL, error) {
	u, err := url.Parse(repository)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return nil, errors.New("LFS: the repository's address is no http or https URL: large objects can only be fetched over these")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("LFS at %s: the repository's address must have no user, query or fragment: give the password in a file", u.Host)
	case secret && u.Scheme == "http" && !loopback(u.Hostname()):
		return nil, fmt.Errorf("LFS at %s: a password is not sent over http: use the repository's https address", u.Host)
	}
	path := strings.TrimRight(u.Path, "/")
	if !strings.HasSuffix(path, ".git") {
		path += ".git"
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host, Path: path + "/info/lfs/objects/batch"}, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

const (
	// maxBatch is the number of objects in one batch: what git-lfs asks for, and every server takes.
	maxBatch = 100
	// maxDead is how many objects in a row may fail for want of any answer before the server counts as unreachable.
	maxDead = 3
)

// Fetch downloads each object once, in the order of want but for objects that are wanted with several sizes, and calls each with it. The body is valid during that call
// only; its Read fails with an error that wraps ErrWrong when size or SHA-256 are not the pointer's, which is known before the last of its bytes are delivered, and a
// transfer that breaks is taken up again where it broke. When an object can't be had, each is called with the reason and no body. An
// error of each ends Fetch and is returned as it is. Other errors are those of the server as a whole: ErrNone, *source.Unreadable when it refuses, the
// context's, and plain ones when it does not answer after several attempts.
func (c *Client) Fetch(ctx context.Context, want []Pointer, each func(p Pointer, body io.Reader, err error) error) error {
	if c.err != nil {
		return c.err
	}
	f := &fetch{client: c, each: each}
	for _, round := range rounds(want) {
		for batch := range slices.Chunk(round, maxBatch) {
			if err := f.some(ctx, batch); err != nil {
				return err
			}
		}
	}
	return nil
}

// rounds cuts want into lists without repetition, of which none has one object with two sizes: only one of them can be true, and the server's answer does not say
// which it means.
func rounds(want []Pointer) [][]Pointer {
	var all [][]Pointer
	seen := make(map[Pointer]bool, len(want))
	sizes := make(map[string]int, len(want))
	for _, p := range want {
		if seen[p] {
			continue
		}
		seen[p] = true
		n := sizes[p.OID]
		sizes[p.OID]++
		if n == len(all) {
			all = append(all, nil)
		}
		all[n] = append(all[n], p)
	}
	return all
}

// fetch is the state of one Fetch.
type fetch struct {
	client *Client
	each   func(p Pointer, body io.Reader, err error) error
	dead   int // objects in a row for which nobody answered
}

// some fetches the objects of one batch, at most maxBatch.
func (f *fetch) some(ctx context.Context, list []Pointer) error {
	answers, err := f.client.ask(ctx, list)
	if refused := (*statusError)(nil); errors.As(err, &refused) && (refused.code == http.StatusRequestEntityTooLarge || refused.code == http.StatusUnprocessableEntity) {
		return f.halves(ctx, list, err)
	}
	if err != nil {
		return err
	}
	for i, p := range list {
		a := answers[p.OID]
		if i > 0 && a.link != nil && a.link.expired() {
			return f.some(ctx, list[i:]) // each round makes at least one step: its first link is used as it is
		}
		if err := f.one(ctx, p, a); err != nil {
			return err
		}
	}
	return nil
}

// halves asks again in two parts what the server did not take as a whole, down to the object that it objects to.
func (f *fetch) halves(ctx context.Context, list []Pointer, cause error) error {
	if len(list) == 1 {
		return f.each(list[0], nil, cause)
	}
	half := len(list) / 2
	if err := f.some(ctx, list[:half]); err != nil {
		return err
	}
	return f.some(ctx, list[half:])
}

// one fetches one object by the server's answer for it.
func (f *fetch) one(ctx context.Context, p Pointer, a answer) error {
	b := newBody(ctx, f.client, p, a.link)
	defer b.close()
	err := a.err
	switch {
	case !validOID(p.OID) || p.Size < 0:
		err = fmt.Errorf("object %.64q of %d bytes: that is no pointer", p.OID, p.Size)
	case p.Size == 0:
		err = b.finish() // what is empty needs no server
	case err == nil:
		err = b.open()
	}
	if err == nil {
		f.dead = 0
		return f.each(p, b, nil)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if silent := (*silentError)(nil); !errors.As(err, &silent) {
		f.dead = 0
	} else if f.dead++; f.dead == maxDead {
		return err
	}
	return f.each(p, nil, err)
}
