package main

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"farshore/agent/repo/gitserver"
	"farshore/providers/s3/s3fake"
	"farshore/providers/servers"
)

// soakContext ends with the time, or with the test.
func soakContext(t *testing.T, most time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), most)
}

// soakServer is a server behind a gate, which can die and rise again at its address. The sources' own lives go past the gate.
type soakServer struct {
	t    *testing.T
	name string
	gate *soakGate
	addr string
	// past is the server's account past the gate; nil for the forge.
	past *servers.S3

	mu     sync.Mutex
	server *http.Server // nil while it is dead
	wait   sync.WaitGroup
}

// newSoakStore starts an S3 server.
func newSoakStore(s *soak, name string, account servers.S3) *soakServer {
	handler := s3fake.Handler(map[string]string{account.AccessKey: account.SecretKey})
	account.Endpoint = servers.HTTP(s.t, handler).URL
	server := newSoakServer(s, name, handler)
	server.past = &account
	if name == "vault" {
		server.bucket("vault-of-all")
	}
	return server
}

// newSoakForge starts a server of the repositories below a directory.
func newSoakForge(s *soak, root string) *soakServer {
	return newSoakServer(s, "forge", gitserver.Handler(s.t, root, gitserver.HTTPOptions{}))
}

func newSoakServer(s *soak, name string, handler http.Handler) *soakServer {
	server := &soakServer{t: s.t, name: name, addr: servers.Unused(s.t), gate: &soakGate{next: handler, rng: s.draw("gate " + name), counts: map[string]int64{}}}
	server.rise()
	s.t.Cleanup(func() { server.gate.calm(); server.die() })
	return server
}

// bucket makes a bucket past the gate.
func (s *soakServer) bucket(name string) *s3.Client {
	s.t.Helper()
	client := s.past.Client(s.t)
	if _, err := client.CreateBucket(s.t.Context(), &s3.CreateBucketInput{Bucket: aws.String(name)}); err != nil {
		s.t.Fatal(err)
	}
	return client
}

// url is a bucket's address at the gate.
func (s *soakServer) url(bucket, prefix string) string {
	at := *s.past
	at.Endpoint = "http://" + s.addr
	return at.URL(bucket, prefix)
}

// die ends the server with all its connections: nobody listens at its address.
func (s *soakServer) die() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server != nil {
		_ = s.server.Close() // what it was in the middle of is of no interest
		s.wait.Wait()
		s.server = nil
	}
}

// rise starts the server, unless it runs.
func (s *soakServer) rise() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server != nil {
		return
	}
	l, err := net.Listen("tcp", s.addr)
	if err != nil {
		s.t.Errorf("%s does not rise: %v", s.name, err)
		return
	}
	// Stores close connections that nobody uses, or used yet: the sooner, the better for whoever counts those that are left.
	const idle = time.Second
	s.server = &http.Server{Handler: s.gate, IdleTimeout: idle, ReadHeaderTimeout: idle, ErrorLog: log.New(io.Discard, "", 0)}
	server := s.server
	s.wait.Go(func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.t.Errorf("%s: %v", s.name, err)
		}
	})
}
