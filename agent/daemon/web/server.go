package web

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/net/netutil"
)

// Bounds of a Server. Who is slow, or opens connections and says nothing, is cut off, and takes no memory to speak of.
const (
	maxConnections = 96
	maxHeader      = 16 << 10
	headerTimeout  = 5 * time.Second
	readTimeout    = 10 * time.Second
	writeTimeout   = 60 * time.Second
	idleTimeout    = 60 * time.Second
	maxStreams     = 32
)

// Server answers at one address. Start is called once, Close any number of times, by any goroutine.
type Server struct {
	handler http.Handler
	logger  *slog.Logger

	mu     sync.Mutex
	server *http.Server
	addr   net.Addr
	done   chan struct{} // closed once nothing is answered any more
	failed error         // why, where nobody closed it; valid once done is closed
}

// NewServer makes a server of a handler. A nil logger says nothing.
func NewServer(h http.Handler, logger *slog.Logger) *Server {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return &Server{handler: h, logger: logger}
}

// Start listens at an address, host:port, and answers until Close. With a configuration of TLS it speaks nothing else; Certificate makes one. An error is that of listening.
func (s *Server) Start(address string, secure *tls.Config) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server != nil {
		return errors.New("the page's server was started already")
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("the page can't be served at %s: %w", address, err)
	}
	s.addr, s.done = l.Addr(), make(chan struct{})
	s.server = &http.Server{
		Handler: s.handler, TLSConfig: secure, ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(s.logger.Handler(), slog.LevelDebug), HTTP2: &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
	}
	go s.serve(s.server, netutil.LimitListener(l, maxConnections))
	return nil
}

// serve ends when the listener does.
func (s *Server) serve(server *http.Server, l net.Listener) {
	defer close(s.done)
	var err error
	if server.TLSConfig != nil {
		err = server.ServeTLS(l, "", "")
	} else {
		err = server.Serve(l)
	}
	if !errors.Is(err, http.ErrServerClosed) {
		s.failed = fmt.Errorf("the page is no longer served: %w", err)
		s.logger.Error(s.failed.Error())
	}
}

// Addr is where it listens, nil before Start: the port that the system chose for port 0.
func (s *Server) Addr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addr
}

// Close lets answers that were begun end until ctx does, then cuts them off. It returns why the server had ended by itself, or that an answer was cut off.
func (s *Server) Close(ctx context.Context) error {
	s.mu.Lock()
	server := s.server
	s.mu.Unlock()
	if server == nil {
		return nil
	}
	err := server.Shutdown(ctx)
	if err != nil {
		err = errors.Join(fmt.Errorf("answers of the page were cut off: %w", err), server.Close())
	}
	<-s.done
	return errors.Join(s.failed, err)
}
