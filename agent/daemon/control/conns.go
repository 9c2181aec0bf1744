package control

import (
	"context"
	"net"
	"sync"

	"golang.org/x/sys/unix"
)

// maxConns is how many connections there are at a time; who comes next waits. maxAwaits of them may wait for runs to end.
const (
	maxConns  = 32
	maxAwaits = 24
)

// limited is a listener with at most maxConns open connections.
type limited struct {
	net.Listener
	slots chan struct{}
	over  chan struct{}
	once  sync.Once
}

func limit(l net.Listener) *limited {
	return &limited{Listener: l, slots: make(chan struct{}, maxConns), over: make(chan struct{})}
}

func (l *limited) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.over:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &conn{Conn: c, release: func() { <-l.slots }}, nil
}

func (l *limited) Close() error {
	l.once.Do(func() { close(l.over) })
	return l.Listener.Close()
}

// conn gives its place back when it is closed.
type conn struct {
	net.Conn
	release func()
	once    sync.Once
}

func (c *conn) Close() error {
	err := c.Conn.Close()
	c.once.Do(c.release)
	return err
}

// peer is who is at the other end; known is false where that can't be told.
type peer struct {
	uid   uint32
	pid   int32
	known bool
}

type peerKey struct{}

// withPeer remembers who is at the other end of a connection.
func withPeer(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, peerKey{}, peerOf(c))
}

// peerOf asks the kernel, who knows it from when the connection was made.
func peerOf(c net.Conn) (p peer) {
	if own, ok := c.(*conn); ok {
		c = own.Conn
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		return peer{}
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return peer{}
	}
	_ = raw.Control(func(fd uintptr) {
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			p = peer{cred.Uid, cred.Pid, true}
		}
	})
	return p
}
