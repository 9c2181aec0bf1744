package wire

import (
	"context"
	"errors"
	"fmt"
	"io"

	"farshore/agent/record"
	"farshore/agent/repo/refs"
	"farshore/agent/source"
)

// link carries a conversation with an upload-pack. Not safe for concurrent use.
type link interface {
	// greeting returns what the server says first.
	greeting() (io.Reader, error)
	// ask sends a whole request and returns the answer, which is read before the next request.
	ask(request []byte) (io.Reader, error)
	// explain returns what is known of why reading failed; without better knowledge, err.
	explain(err error) error
	// close ends it, politely when all that was asked for has come. It may be called more than once.
	close(polite bool) error
}

// conversation is a link under a guard.
type conversation struct {
	r        *Remote
	g        *guard
	link     link
	finished bool // nothing is left to come
}

// talk opens a conversation. With known, what the server said at an earlier time will do where it need not say it each time.
func (r *Remote) talk(ctx context.Context, known bool) (*conversation, *hello, error) {
	g := newGuard(ctx, r.o.Idle, r.o.Limits)
	talk := &conversation{r: r, g: g}
	var h *hello
	switch r.at.scheme {
	case "http", "https":
		l := &httpLink{r: r, g: g, base: r.at.base()}
		talk.link = l
		if earlier := r.earlier(); known && earlier != nil {
			h, l.base = earlier.hello, earlier.base
		}
	case "ssh":
		talk.link = &sshLink{r: r, g: g}
	default:
		talk.link = &daemonLink{r: r, g: g}
	}
	if h == nil {
		var err error
		if h, err = talk.greet(); err != nil {
			return nil, nil, errors.Join(talk.failed("greeting", err), talk.close())
		}
	}
	return talk, h, nil
}

func (r *Remote) earlier() *greeted {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.known
}

// greet reads what the server says first, and remembers it without the refs.
func (t *conversation) greet() (*hello, error) {
	said, err := t.link.greeting()
	if err != nil {
		return nil, err
	}
	h, err := readHello(newPackets(said))
	if err != nil {
		return nil, t.explain(err)
	}
	known := &greeted{hello: &hello{version: h.version, format: h.format, can: h.can, shallow: h.shallow}}
	if l, ok := t.link.(*httpLink); ok {
		known.base = l.base
	}
	t.r.mu.Lock()
	t.r.known = known
	t.r.mu.Unlock()
	return h, nil
}

// refs returns the manifest: in version 2 the server is asked for it, before it came with the greeting.
func (t *conversation) refs(h *hello) (*refs.Manifest, string, error) {
	list := h.refs
	if h.version == 2 {
		answer, err := t.link.ask(lsRefsV2(h, t.r.agent()))
		if err != nil {
			return nil, "", err
		}
		if list, err = readLsRefs(newPackets(answer), h.format); err != nil {
			return nil, "", t.explain(err)
		}
	}
	if h.shallow {
		return nil, "", errShallow()
	}
	t.finished = true
	return manifest(h.format, list)
}

// fetch asks for a pack and returns it from its first byte on. The pack then owns the conversation.
func (t *conversation) fetch(h *hello, f fetchRequest) (*packStream, error) {
	if err := f.check(h.format); err != nil {
		return nil, err
	}
	if err := h.fit(); err != nil {
		return nil, err
	}
	request := fetchV2
	if h.version < 2 {
		request = fetchV0
	}
	answer, err := t.link.ask(request(h, t.r.agent(), &f))
	if err != nil {
		return nil, err
	}
	s, err := newPackStream(t, h, answer)
	if err != nil {
		return nil, t.explain(err)
	}
	return s, nil
}

// fit says what a server lacks.
func (h *hello) fit() error {
	switch {
	case h.shallow:
		return errShallow()
	case h.version == 2 && !h.can["fetch"]:
		return unsupported("the server speaks version 2 of git's protocol without fetch")
	case h.version < 2 && !h.can["side-band-64k"]:
		return unsupported("the server's git is too old: it can't say where a pack ends (it lacks side-band-64k); update git there")
	}
	return nil
}

// explain says why reading failed.
func (t *conversation) explain(err error) error { return t.g.why(t.link.explain(err)) }

// failed adds to an error where and at what it happened. An answer that makes no sense came from a server that was reached: it says nothing of other repositories.
func (t *conversation) failed(what string, err error) error {
	switch {
	case err == nil, t.g.ctx.Err() != nil && errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, errPacket):
		err = &source.Unreadable{Reason: record.ReasonOther, Detail: err.Error()}
	}
	return fmt.Errorf("%s of %s: %w", what, t.r.at, err)
}

func (t *conversation) close() error {
	err := t.link.close(t.finished)
	t.g.release()
	return err
}

// agent is what the program calls itself within the protocol, where no spaces can be.
func (r *Remote) agent() string {
	b := []byte(r.o.UserAgent)
	for i, c := range b {
		if c <= ' ' || c >= 0x7f {
			b[i] = '-'
		}
	}
	return string(b)
}
