package notify

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/smtp"
	"strings"
	"time"
)

// Email sends by a mail server. Port 465 is TLS from the first byte; every other port must offer STARTTLS, unless the server is this machine. It may be used concurrently.
type Email struct {
	// Server is host:port.
	Server, Username, Password, From string
	To                               []string
	// TLS is for tests; nil trusts what the system does.
	TLS *tls.Config
}

// Send delivers the message to all addresses, or to none of them.
func (m *Email) Send(ctx context.Context, msg *Message) error {
	host, port, err := net.SplitHostPort(m.Server)
	if err != nil {
		return &Fault{why: "its server is not host:port"}
	}
	body, err := m.body(msg)
	if err != nil {
		return fault(err)
	}
	ctx, cancel := context.WithTimeout(ctx, attemptTime)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", m.Server)
	if err != nil {
		return fault(err)
	}
	defer conn.Close()
	if end, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(end); err != nil {
			return fault(err)
		}
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	if port == "465" {
		conn = tls.Client(conn, m.config(host))
	}
	err = m.converse(conn, host, body)
	if err != nil && ctx.Err() != nil {
		return fault(ctx.Err())
	}
	return fault(err)
}

func (m *Email) config(host string) *tls.Config {
	c := m.TLS.Clone()
	if c == nil {
		c = new(tls.Config)
	}
	c.ServerName, c.MinVersion = host, tls.VersionTLS12
	return c
}

// converse is the dialogue of RFC 5321.
func (m *Email) converse(conn net.Conn, host string, body []byte) error {
	c, err := smtp.NewClient(conn, host)
	if err != nil {
		return err
	}
	if err := m.secure(c, conn, host); err != nil {
		return err
	}
	if m.Username != "" {
		if err := m.login(c, host); err != nil {
			return err
		}
	}
	if err := c.Mail(m.From); err != nil {
		return err
	}
	for _, to := range m.To {
		if err := c.Rcpt(to); err != nil {
			return err
		}
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(body); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	_ = c.Quit() // the server has it
	return nil
}

// secure turns TLS on, or refuses.
func (m *Email) secure(c *smtp.Client, conn net.Conn, host string) error {
	if _, already := conn.(*tls.Conn); already {
		return nil
	}
	switch offered, _ := c.Extension("STARTTLS"); {
	case offered:
		return c.StartTLS(m.config(host))
	case loopback(host):
		return nil
	}
	return &Fault{why: "the mail server offers no TLS: nothing is sent to it"}
}

func (m *Email) login(c *smtp.Client, host string) error {
	if offered, how := c.Extension("AUTH"); !offered || !strings.Contains(" "+how+" ", " PLAIN ") {
		return &Fault{why: "the mail server offers no login by PLAIN"}
	}
	return c.Auth(smtp.PlainAuth("", m.Username, m.Password, host))
}

// body is the message with its headers (RFC 5322).
func (m *Email) body(msg *Message) ([]byte, error) {
	_, domain, _ := strings.Cut(m.From, "@")
	at, err := time.Parse(time.RFC3339, msg.Time)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	for _, h := range [][2]string{
		{"From", m.From}, {"To", strings.Join(m.To, ", ")}, {"Subject", mime.QEncoding.Encode("utf-8", msg.Title)}, {"Date", at.Format(time.RFC1123Z)},
		{"Message-ID", "<" + msg.ID + "@" + domain + ">"}, {"Auto-Submitted", "auto-generated"}, {"MIME-Version", "1.0"},
		{"Content-Type", "text/plain; charset=utf-8"}, {"Content-Transfer-Encoding", "quoted-printable"},
	} {
		fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
	}
	b.WriteString("\r\n")
	w := quotedprintable.NewWriter(&b)
	if _, err := w.Write([]byte(strings.ReplaceAll(msg.lines(), "\n", "\r\n"))); err != nil {
		return nil, err
	}
	return b.Bytes(), w.Close()
}
