package wire

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// dialDeadline is how long it may take to reach a server.
const dialDeadline = 30 * time.Second

const daemonPort = "9418"

// daemonLink carries a conversation over git's own protocol, which knows neither secrets nor checks of who answers (gitprotocol-pack, "git transport").
type daemonLink struct {
	r    *Remote
	g    *guard
	conn net.Conn
	in   *bufio.Reader
	stop func() bool
	sent *sending
}

func (l *daemonLink) greeting() (io.Reader, error) {
	at := l.r.at
	port := at.port
	if port == "" {
		port = daemonPort
	}
	dialer := net.Dialer{Timeout: dialDeadline}
	conn, err := dialer.DialContext(l.g.ctx, "tcp", net.JoinHostPort(at.host, port))
	if err != nil {
		if l.g.ctx.Err() != nil {
			return nil, context.Cause(l.g.ctx)
		}
		return nil, &passing{err: err}
	}
	l.conn, l.in = conn, bufio.NewReaderSize(&guardedReader{l.g, conn}, maxPacket)
	l.stop = context.AfterFunc(l.g.ctx, func() { _ = conn.Close() }) // that is all it is for
	return l.ask(l.request(at))
}

// request is the first packet: what to run, for which host, and in extra parameters the version.
func (l *daemonLink) request(at address) []byte {
	path := at.path
	if strings.HasPrefix(path, "/~") {
		path = path[1:]
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\x00host=%s\x00", service, path, at.hostPort())
	if l.r.version > 0 {
		fmt.Fprintf(&b, "\x00version=%d\x00", l.r.version)
	}
	m := &message{}
	m.raw([]byte(b.String()))
	return m.Bytes()
}

func (l *daemonLink) ask(request []byte) (io.Reader, error) {
	l.sent.wait() // the one before was answered
	l.sent = l.g.send(l.conn, request)
	return l.in, nil
}

func (l *daemonLink) explain(err error) error { return err }

func (l *daemonLink) close(polite bool) error {
	if l.conn == nil {
		return nil
	}
	if polite && l.sent.over() {
		_ = l.conn.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = io.WriteString(l.conn, "0000") // a courtesy
	}
	l.stop()
	_ = l.conn.Close() // all that was wanted was read
	l.sent.wait()
	return nil
}
