package control

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"farshore/agent/daemon/history"
)

// pipes is a listener without a socket, so that time can be made to pass.
type pipes struct {
	conns chan net.Conn
	over  chan struct{}
	once  sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), over: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.over:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.over) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

func (p *pipes) dial() net.Conn {
	here, there := net.Pipe()
	p.conns <- there
	return here
}

// pretend serves a backend over pipes, and returns how to connect.
func pretend(t *testing.T, b Backend) *pipes {
	p := newPipes()
	s := NewServer(p, b, Options{})
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := s.Serve(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		serving.Wait()
	})
	return p
}

// TestSlow holds that who says nothing, or too little, or says no more, is hung up on.
func TestSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pretend(t, new(quiet))
		for name, k := range map[string]struct {
			says string
			most time.Duration
		}{
			"nothing":     {"", headerTime},
			"half a line": {"GET /v1/sta", headerTime},
			"no body":     {"POST /v1/trigger HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{", requestTime},
			"no more":     {"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n", idleTime},
		} {
			c := p.dial()
			go func() { _, _ = c.Write([]byte(k.says)) }()
			began := time.Now()
			buffer := make([]byte, 64<<10)
			for {
				if _, err := c.Read(buffer); err != nil {
					break
				}
			}
			if took := time.Since(began); took > k.most+time.Second {
				t.Errorf("%s: hung up on after %s", name, took)
			}
			_ = c.Close()
		}
	})
}

// TestFull holds that there are so many connections at a time, and that the next is served as soon as one ends.
func TestFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pretend(t, new(quiet))
		for range maxConns {
			defer p.dial().Close()
		}
		served := make(chan time.Duration)
		began := time.Now()
		go func() {
			c := p.dial() // is taken once one of the others was hung up on
			served <- time.Since(began)
			_ = c.Close()
		}()
		if took := <-served; took != headerTime {
			t.Errorf("after %s", took)
		}
	})
}

// slowly is a daemon that takes its time.
type slowly struct {
	quiet
	takes time.Duration
	cut   error
}

func (s *slowly) wait(ctx context.Context) error {
	select {
	case <-time.After(s.takes):
		return nil
	case <-ctx.Done():
		s.cut = ctx.Err()
		return ctx.Err()
	}
}

func (s *slowly) Await(ctx context.Context, job string, _ time.Time) (history.Run, error) {
	return history.Run{Job: job}, s.wait(ctx)
}

func (s *slowly) Reload(ctx context.Context) error { return s.wait(ctx) }

// clientOf is a client over pipes.
func clientOf(p *pipes) *Client {
	c := Dial("pipe")
	c.http.Transport.(*http.Transport).DialContext = func(context.Context, string, string) (net.Conn, error) { return p.dial(), nil }
	return c
}

// TestPatience holds that an await lasts for as long as it takes, and a reload as long as it may.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &slowly{takes: 72 * time.Hour}
		c := clientOf(pretend(t, b))
		if run, err := c.Await(t.Context(), "pass shop", start); err != nil || run.Job != "pass shop" {
			t.Errorf("%+v %v", run, err)
		}
		b.takes = reloadTime - time.Second
		if err := c.Reload(t.Context()); err != nil {
			t.Error(err)
		}
		b.takes = reloadTime + time.Second
		if err := c.Reload(t.Context()); err == nil || !errors.Is(b.cut, context.DeadlineExceeded) {
			t.Error(err, b.cut)
		}
	})
}

// TestNoAnswer holds that a daemon that hangs does not hang whoever asks.
func TestNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		c := clientOf(p)
		go func() {
			hangs := <-p.conns
			for {
				if _, err := hangs.Read(make([]byte, 1<<10)); err != nil {
					return
				}
			}
		}()
		began := time.Now()
		_, err := c.Status(t.Context())
		if err == nil || !strings.Contains(err.Error(), "did not answer within 10s") || time.Since(began) != asking {
			t.Error(err, time.Since(began))
		}
	})
}

// TestReloadGoesOn holds that a reload does not end halfway when whoever asked for it hangs up.
func TestReloadGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &slowly{takes: 10 * time.Second}
		c := clientOf(pretend(t, b))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := c.Reload(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		time.Sleep(20 * time.Second)
		if b.cut != nil {
			t.Error(b.cut)
		}
	})
}
