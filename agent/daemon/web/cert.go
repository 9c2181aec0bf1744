package web

import (
	"bytes"
	"crypto/tls"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Certificate is a configuration of TLS 1.2 or newer with the certificate that load reads. It is read again as connections are made, at most once a second, so that a renewed certificate
// holds for the next connection; while it can't be used the earlier one stays, and the logger is told. An error is load's. load is called by one goroutine at a time.
func Certificate(load func() (*tls.Certificate, error), logger *slog.Logger) (*tls.Config, error) {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	c := &certificate{load: load, logger: logger, looked: time.Now()}
	var err error
	if c.pair, err = load(); err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current(), nil }}, nil
}

// lookEach is how often the certificate is read, at most: whoever connects must not have it read as often as he likes.
const lookEach = time.Second

type certificate struct {
	load   func() (*tls.Certificate, error)
	logger *slog.Logger

	mu     sync.Mutex
	pair   *tls.Certificate
	looked time.Time // with a monotonic reading: a clock that is set keeps no certificate
	said   string    // the last failure, which is said once
}

// current is the newest certificate that could be used.
func (c *certificate) current() *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.looked) >= lookEach {
		c.looked = now
		c.look()
	}
	return c.pair
}

// look reads the certificate again. Of two files that are replaced one after the other the first is met with the old other: the pair is taken once both are there.
func (c *certificate) look() {
	pair, err := c.load()
	if err != nil {
		if text := err.Error(); text != c.said {
			c.said = text
			c.logger.Warn("the page's earlier certificate stays in use", "error", err)
		}
		return
	}
	c.said = ""
	if slices.EqualFunc(pair.Certificate, c.pair.Certificate, bytes.Equal) {
		return
	}
	c.pair = pair
	c.logger.Info("a new certificate is used for the page")
}
