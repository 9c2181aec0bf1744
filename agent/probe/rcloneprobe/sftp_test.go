package rcloneprobe

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pkg/sftp"
	"github.com/rclone/rclone/fs/config/obscure"
	"golang.org/x/crypto/ssh"

	"farshore/agent/probe"
	"farshore/agent/probe/probetest"
)

// sftpServer serves files to user "backup" with password "secret" through the handlers, or the whole file system where there are none.
func sftpServer(t *testing.T, handlers func() *sftp.Handlers) string {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
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
		t.Fatal(err)
	}
	s := &sshServer{config: config, listener: l, handlers: handlers}
	s.running.Go(s.accept)
	t.Cleanup(s.close)
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

func TestSFTP(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	everything(t, sftpServer(t, nil)+dir, dir, "backup@127.0.0.1:", all("set-attributes", "overwrite", "rename", "remove"))
}

// strictSFTP lets a vault be added to: what has a name of the vault can't be written again, moved, removed or changed.
type strictSFTP struct {
	sftp.Handlers
	allowed []string
}

func (s strictSFTP) may(what, path string) bool {
	return strings.Contains(path, "/.tmp/") || slices.Contains(s.allowed, what)
}

// Filewrite makes a file, and opens one that is there only where that is allowed.
func (s strictSFTP) Filewrite(r *sftp.Request) (io.WriterAt, error) {
	if _, err := s.FileList.Filelist(sftp.NewRequest("Stat", r.Filepath)); err == nil && !s.may("write", r.Filepath) {
		return nil, sftp.ErrSSHFxPermissionDenied
	}
	return s.FilePut.Filewrite(r)
}

// Filecmd is everything else that changes something. A file still being written may be given its time.
func (s strictSFTP) Filecmd(r *sftp.Request) error {
	switch {
	case r.Method == "Mkdir":
	case !s.may(r.Method, r.Filepath):
		return sftp.ErrSSHFxPermissionDenied
	}
	return s.FileCmd.Filecmd(r)
}

// PosixRename is a rename that may replace.
func (s strictSFTP) PosixRename(r *sftp.Request) error {
	r.Method = "Rename"
	return s.Filecmd(r)
}

// TestSFTPDenied has a server that enforces, and one that enforces all but one thing: it is found and named. A server that lets write but not set a time refuses only after the deed, which is no denial.
func TestSFTPDenied(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		allowed []string
		grants  []string
	}{
		{nil, nil},
		{[]string{"write"}, []string{"open for writing on files that exist"}},
		{[]string{"write", "Setstat"}, []string{"open for writing on files that exist", "setstat"}},
		{[]string{"Rename"}, []string{"rename"}},
		{[]string{"Setstat"}, []string{"setstat"}},
		{[]string{"Remove"}, []string{"remove"}},
	} {
		t.Run(strings.Join(test.allowed, "+"), func(t *testing.T) {
			memory := sftp.InMemHandler()
			s := strictSFTP{Handlers: memory, allowed: test.allowed}
			ctx, a := open(t, sftpServer(t, func() *sftp.Handlers {
				return &sftp.Handlers{FileGet: memory.FileGet, FilePut: s, FileCmd: s, FileList: memory.FileList}
			})+"/vault")
			attempts := probetest.Drive(ctx, t, a, "packs", "meta")
			if got := probetest.Grants(attempts); !slices.Equal(got, test.grants) {
				t.Errorf("found %q, want %q", got, test.grants)
			}
			// Rights belong to folders: what is denied in canary/ proves nothing about packs/.
			want := probe.Unproven
			if test.grants != nil {
				want = probe.Unprotected
			}
			if r := verdict(ctx, t, a, "meta"); r.Verdict != want || want == probe.Unproven && !strings.Contains(r.Words, "other folders") {
				t.Errorf("%s: %s", r.Verdict, r.Words)
			}
			for _, at := range attempts {
				if at.Answer == probe.Unknown && at.Probe != "other folders" {
					t.Errorf("%s: %s: %s", at.Probe, at.Code, at.Text)
				}
			}
		})
	}
}
