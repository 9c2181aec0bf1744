package servers

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/pkg/sftp"
	"github.com/rclone/rclone/fs/config/obscure"
	"golang.org/x/crypto/ssh"
)

// SFTP serves files to user "backup" with password "secret" through the handlers, or the whole file system where there are none, and returns the remote as rclone writes it, with a colon at
// its end. It has no shell, so rclone has no hashes.
func SFTP(tb testing.TB, handlers func() *sftp.Handlers) string {
	tb.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		tb.Fatal(err)
	}
	config := &ssh.ServerConfig{PasswordCallback: func(c ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
		if c.User() == "backup" && string(password) == "secret" {
			return nil, nil
		}
		return nil, errors.New("wrong password")
	}}
	config.AddHostKey(signer)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	s := &sshServer{config: config, listener: l, handlers: handlers}
	s.running.Go(s.accept)
	tb.Cleanup(s.close)
	host, port, _ := net.SplitHostPort(l.Addr().String())
	return "rclone::sftp,host=" + host + ",port=" + port + ",user=backup,pass=" + obscure.MustObscure("secret") + ",shell_type=none:"
}

// sshServer is an SSH server with nothing but sftp.
type sshServer struct {
	config   *ssh.ServerConfig
	listener net.Listener
	handlers func() *sftp.Handlers
	running  sync.WaitGroup
	mu       sync.Mutex
	open     []net.Conn
}

func (s *sshServer) accept() {
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.open = append(s.open, c)
		s.mu.Unlock()
		s.running.Go(func() { s.serve(c) })
	}
}

// serve ends when the connection does.
func (s *sshServer) serve(c net.Conn) {
	defer c.Close()
	_, channels, requests, err := ssh.NewServerConn(c, s.config)
	if err != nil {
		return
	}
	s.running.Go(func() { ssh.DiscardRequests(requests) })
	for nc := range channels {
		channel, requests, err := nc.Accept()
		if err != nil {
			return
		}
		s.running.Go(func() { s.subsystem(channel, requests) })
	}
}

// subsystem serves one session.
func (s *sshServer) subsystem(channel ssh.Channel, requests <-chan *ssh.Request) {
	defer channel.Close()
	for r := range requests {
		ok := r.Type == "subsystem" && strings.HasSuffix(string(r.Payload), "sftp")
		_ = r.Reply(ok, nil) // a client that is gone needs no answer
		if !ok {
			continue
		}
		go ssh.DiscardRequests(requests) // ends with the channel
		if s.handlers != nil {
			_ = sftp.NewRequestServer(channel, *s.handlers()).Serve() // io.EOF when the client leaves
			return
		}
		if server, err := sftp.NewServer(channel); err == nil {
			_ = server.Serve()
		}
		return
	}
}

func (s *sshServer) close() {
	s.listener.Close()
	s.mu.Lock()
	for _, c := range s.open {
		c.Close()
	}
	s.mu.Unlock()
	s.running.Wait()
}
