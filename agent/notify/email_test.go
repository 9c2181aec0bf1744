package notify

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/http/httptest"
	"net/mail"
	"strings"
	"testing"
	"time"
)

// mailServer is as much of a mail server as a dialogue takes.
type mailServer struct {
	// replies are what it answers to a command, by its first word, in place of what it should.
	replies map[string]string
	// offers are the extensions it offers, cert is for STARTTLS.
	offers []string
	cert   *tls.Config
	silent bool

	said []string // the commands
	data string
}

// start listens, and returns the address. The dialogue is over when wait returns.
func (s *mailServer) start(t *testing.T) (address string, wait func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		s.serve(conn)
	}()
	wait = func() { _ = l.Close(); <-done }
	t.Cleanup(wait)
	return l.Addr().String(), wait
}

func (s *mailServer) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	if s.silent {
		_, _ = io.Copy(io.Discard, conn)
		return
	}
	r := bufio.NewReader(conn)
	say := func(text string) { fmt.Fprintf(conn, "%s\r\n", text) }
	say("220 mail.example.net")
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSpace(line)
		s.said = append(s.said, line)
		word := strings.ToUpper(strings.FieldsFunc(line+" ", func(c rune) bool { return c == ' ' || c == ':' })[0])
		if reply, ok := s.replies[word]; ok {
			say(reply)
			continue
		}
		switch word {
		case "EHLO":
			say("250-mail.example.net")
			for _, one := range s.offers {
				say("250-" + one)
			}
			say("250 8BITMIME")
		case "STARTTLS":
			say("220 go on")
			conn = tls.Server(conn, s.cert)
			r, s.offers = bufio.NewReader(conn), []string{"AUTH LOGIN PLAIN"}
		case "AUTH":
			say("235 welcome")
		case "DATA":
			say("354 go on")
			var b strings.Builder
			for {
				text, err := r.ReadString('\n')
				if err != nil {
					return
				}
				if text == ".\r\n" {
					break
				}
				b.WriteString(strings.TrimPrefix(text, "."))
			}
			s.data = b.String()
			say("250 taken")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 well")
		}
	}
}

// certificate is a server's, and what trusts it.
func certificate(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return &tls.Config{Certificates: s.TLS.Certificates}, &tls.Config{RootCAs: pool}
}

// TestEmail holds the dialogue with a mail server, and what it is given, to the standards.
func TestEmail(t *testing.T) {
	serverTLS, clientTLS := certificate(t)
	s := &mailServer{offers: []string{"STARTTLS"}, cert: serverTLS}
	address, wait := s.start(t)
	m := &Email{Server: address, Username: "user", Password: token, From: "farshore@example.net", To: []string{"a@example.net", "b@example.net"}, TLS: clientTLS}
	msg := base.message(true, false)
	msg.Title, msg.Text = "fällt ins Wasser", ".\nwords — and\n.more"
	if err := m.Send(t.Context(), msg); err != nil {
		t.Fatal(err)
	}
	wait()
	plain := base64.StdEncoding.EncodeToString([]byte("\x00user\x00" + token))
	want := "EHLO localhost|STARTTLS|EHLO localhost|AUTH PLAIN " + plain + "|MAIL FROM:<farshore@example.net> BODY=8BITMIME|RCPT TO:<a@example.net>|RCPT TO:<b@example.net>|DATA|QUIT"
	if got := strings.Join(s.said, "|"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	parsed, err := mail.ReadMessage(strings.NewReader(s.data))
	if err != nil {
		t.Fatal(err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(parsed.Header.Get("Subject"))
	if err != nil || subject != msg.Title {
		t.Errorf("subject %q, %v", subject, err)
	}
	if at, err := parsed.Header.Date(); err != nil || !at.Equal(base.Time) {
		t.Errorf("date %v, %v", at, err)
	}
	if id := parsed.Header.Get("Message-Id"); id != "<"+msg.ID+"@example.net>" {
		t.Errorf("id %q", id)
	}
	body, err := io.ReadAll(quotedprintable.NewReader(parsed.Body))
	if err != nil || !strings.HasPrefix(string(body), ".\r\nwords — and\r\n.more\r\n") {
		t.Errorf("%v: %q", err, body)
	}
}

// TestEmailFaults holds that nothing is sent where it should not be, and that errors have neither the password nor the server's words.
func TestEmailFaults(t *testing.T) {
	serverTLS, clientTLS := certificate(t)
	for name, tt := range map[string]struct {
		server mailServer
		change func(*Email)
		want   string
		again  bool
	}{
		"denied":    {mailServer{offers: []string{"STARTTLS"}, replies: map[string]string{"AUTH": "535 no " + token}}, nil, "answered 535: it did not take the username", false},
		"recipient": {mailServer{offers: []string{"STARTTLS"}, replies: map[string]string{"RCPT": "550 no such " + token}}, nil, "answered 550: it did not take the sender, or an address", false},
		"later":     {mailServer{offers: []string{"STARTTLS"}, replies: map[string]string{"DATA": "451 later " + token}}, nil, "answered 451", true},
		"busy":      {mailServer{offers: []string{"STARTTLS"}, replies: map[string]string{"MAIL": "421 busy"}}, nil, "answered 421", true},
		"no login":  {mailServer{}, nil, "no login by PLAIN", false},
		"stranger":  {mailServer{offers: []string{"STARTTLS"}}, func(m *Email) { m.TLS = nil }, "certificate", false},
		"nonsense":  {mailServer{replies: map[string]string{"EHLO": token, "HELO": token}}, nil, "", false},
		"silent":    {mailServer{silent: true}, nil, "in time", true},
	} {
		t.Run(name, func(t *testing.T) {
			s := tt.server
			s.cert = serverTLS
			address, wait := s.start(t)
			m := &Email{Server: address, Username: "user", Password: token, From: "f@example.net", To: []string{"a@example.net"}, TLS: clientTLS}
			if tt.change != nil {
				tt.change(m)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			if name == "silent" {
				cancel()
				ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
			}
			defer cancel()
			err := m.Send(ctx, base.message(false, false))
			wait()
			f, ok := err.(*Fault)
			if !ok || !strings.Contains(err.Error(), tt.want) || f.again != tt.again && tt.want != "" {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			discreet(t, fmt.Sprint(err))
			if s.data != "" {
				t.Error("it was sent all the same")
			}
		})
	}
}

// TestEmailPlain holds that a server elsewhere which offers no TLS is given nothing, neither a password nor a word.
func TestEmailPlain(t *testing.T) {
	s := &mailServer{offers: []string{"AUTH PLAIN"}}
	ours, theirs := net.Pipe()
	done := make(chan struct{})
	go func() { defer close(done); s.serve(theirs) }()
	m := &Email{Username: "user", Password: token, From: "f@example.net", To: []string{"a@example.net"}}
	err := m.converse(ours, "mail.example.net", []byte("words"))
	_ = ours.Close()
	<-done
	if err == nil || !strings.Contains(err.Error(), "no TLS") {
		t.Error(err)
	}
	if got := strings.Join(s.said, "|"); got != "EHLO localhost" {
		t.Errorf("it was told %s", got)
	}
}
