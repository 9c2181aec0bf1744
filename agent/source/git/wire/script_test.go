package wire_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"farshore/agent/record"
	"farshore/agent/source"
	"farshore/agent/source/git/wire"
	"farshore/providers/servers"
)

// scripted serves git's own protocol by a function, one connection after the other, and returns the URL.
func scripted(t *testing.T, serve func(conn *net.TCPConn)) string {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.AcceptTCP()
			if err != nil {
				return
			}
			_ = conn.SetDeadline(time.Now().Add(2 * time.Minute))
			serve(conn)
			_ = conn.Close() // the client has left or will see it
		}
	}()
	t.Cleanup(func() {
		_ = l.Close() // ends the loop
		<-done
	})
	return "git://" + l.Addr().String() + "/r"
}

func pkt(s string) string { return fmt.Sprintf("%04x%s", len(s)+4, s) }

const flushPkt = "0000"

// message reads packets up to one that is no data, or "done", and returns the data.
func message(r *bufio.Reader) []string {
	var list []string
	for {
		head := make([]byte, 4)
		if _, err := io.ReadFull(r, head); err != nil {
			return list
		}
		n := 0
		if _, err := fmt.Sscanf(string(head), "%x", &n); err != nil || n < 4 {
			return list
		}
		body := make([]byte, n-4)
		if _, err := io.ReadFull(r, body); err != nil {
			return list
		}
		if list = append(list, string(body)); string(body) == "done\n" {
			return list
		}
	}
}

const (
	greetingV2 = "000eversion 2\n" + "000cfetch=x\n"
	idA        = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
)

// TestPackAnswers holds what becomes of each way in which an answer to fetch can go on and end.
func TestPackAnswers(t *testing.T) {
	t.Parallel()
	head := pkt("packfile\n")
	for _, c := range []struct {
		name, answer string
		want         string // of the pack, where all is well
		is           error
		reason       string
		words        string
	}{
		{name: "whole", answer: head + pkt("\x01PACK") + pkt("\x02counting") + "0004" + pkt("\x01") + pkt("\x01rest") + flushPkt, want: "PACKrest"},
		{name: "sections before", answer: pkt("acknowledgments\n") + pkt("ready\n") + "0001" + head + pkt("\x01PACK") + flushPkt, want: "PACK"},
		{name: "error in band 3", answer: head + pkt("\x01PACK") + pkt("\x03upload-pack: no more memory\n"), reason: record.ReasonOther, words: "no more memory"},
		{name: "damage", answer: head + pkt("\x01PACK") + pkt("\x03aborting due to possible repository corruption on the remote side.\n"), reason: record.ReasonBroken, words: "git fsck"},
		{name: "moved in band 3", answer: head + pkt("\x03upload-pack: not our ref "+idA), is: wire.ErrMoved},
		{name: "moved", answer: pkt("ERR upload-pack: not our ref " + idA), is: wire.ErrMoved},
		{name: "moved, in another server's words", answer: pkt("ERR want " + idA + " not valid"), is: wire.ErrMoved},
		{name: "no flush packet", answer: head + pkt("\x01PACK") + pkt("\x02bye now"), is: io.ErrUnexpectedEOF, words: "after 4 bytes"},
		{name: "within a packet", answer: head + pkt("\x01PACK") + "0100\x01abc", is: io.ErrUnexpectedEOF},
		{name: "within a length", answer: head + pkt("\x01PACK") + "01", is: io.ErrUnexpectedEOF},
		{name: "nothing", answer: "", is: io.ErrUnexpectedEOF},
		{name: "no pack", answer: head + flushPkt, reason: record.ReasonOther, words: "no pack"},
		{name: "no section", answer: flushPkt, reason: record.ReasonOther, words: "no pack"},
		{name: "another band", answer: head + pkt("\x07PACK"), reason: record.ReasonOther, words: "instead of a pack"},
		{name: "shallow", answer: pkt("shallow-info\n") + pkt("shallow "+idA) + "0001" + head, reason: record.ReasonUnsupported, words: "cut off"},
		{name: "length 3", answer: head + "0003", reason: record.ReasonOther, words: "length 3"},
		{name: "too long", answer: head + "fff1", reason: record.ReasonOther, words: "65521"},
	} {
		t.Run(c.name, func(t *testing.T) {
			url := scripted(t, func(conn *net.TCPConn) {
				r := bufio.NewReader(conn)
				message(bufio.NewReader(io.LimitReader(r, int64(len(pktRequest(conn))))))
				_, _ = io.WriteString(conn, greetingV2+flushPkt)
				message(r) // up to the delimiter
				message(r)
				_, _ = io.WriteString(conn, c.answer)
				_ = conn.CloseWrite()
				_, _ = io.Copy(io.Discard, r) // until the client leaves
			})
			s, err := open(t, url, wire.Options{}).Pack(t.Context(), []string{idA}, nil, false)
			var b []byte
			if err == nil {
				b, err = io.ReadAll(s)
				_ = s.Close() // all was read that was to be had
			}
			switch {
			case c.want != "":
				if err != nil || string(b) != c.want {
					t.Errorf("%q, %v", b, err)
				}
			case c.reason != "":
				checkReason(t, err, c.reason, c.words)
			case err == nil || c.is != nil && !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.words):
				t.Error(err)
			}
		})
	}
}

// pktRequest is the first packet that a client sends to that server.
func pktRequest(conn *net.TCPConn) string {
	return pkt("git-upload-pack /r\x00host=" + conn.LocalAddr().String() + "\x00\x00version=2\x00")
}

// TestAnswerBeforeRequest has a server that takes no more of the request before its answers are taken, as those before version 2 may: between the two there is
// a pipe, which holds far less than either.
func TestAnswerBeforeRequest(t *testing.T) {
	t.Parallel()
	head := strings.ReplaceAll(pkt(idA+" refs/heads/main\x00side-band-64k\n"), "\x00", `\000`)
	script := fmt.Sprintf(`printf '%s0000'
yes '%s' | head -n 20000
n=$(sed '/done$/q' | grep -c have)
printf '0008NAK\n%%04x\001%%s0000' $((5 + ${#n})) "$n"`, strings.TrimSuffix(head, "\n")+`\n`, strings.TrimSuffix(pkt("ACK "+idA+"\n"), "\n"))
	haves := make([]string, 30000)
	for i := range haves {
		haves[i] = idA
	}
	r := open(t, "ssh://h/p", wire.Options{SSH: program(t, script), Idle: 10 * time.Second})
	if b := pack(t, r, []string{idA}, haves, false); string(b) != "20000" {
		t.Errorf("%q", b)
	}
}

// TestSilence holds that a server that takes the connection and says nothing is given up, and one that refuses is tried again.
func TestSilence(t *testing.T) {
	t.Parallel()
	url := scripted(t, func(conn *net.TCPConn) { _, _ = io.Copy(io.Discard, conn) })
	r := open(t, url, wire.Options{Idle: 100 * time.Millisecond})
	if _, err := r.Refs(t.Context()); err == nil || !strings.Contains(err.Error(), "no byte for 100ms") {
		t.Error(err)
	}
	address := servers.Unused(t)
	tries := 0
	for _, scheme := range []string{"git", "http"} {
		r := open(t, scheme+"://"+address+"/r", wire.Options{})
		r.Sleep(func(context.Context, time.Duration) error {
			tries++
			return nil
		})
		var u *source.Unreadable
		if _, err := r.Refs(t.Context()); err == nil || errors.As(err, &u) || errors.Is(err, source.ErrGone) {
			t.Errorf("%s: %v", scheme, err)
		}
	}
	if tries != 4 {
		t.Errorf("%d waits, want 2 each", tries)
	}
}

// TestDrip holds that a server that gives a byte now and then is given up: while it lists refs, and in the middle of a packet of a pack.
func TestDrip(t *testing.T) {
	t.Parallel()
	drip := func(conn *net.TCPConn, more string) {
		ticker := time.NewTicker(5 * time.Millisecond)
		defer ticker.Stop()
		for range 2000 {
			<-ticker.C
			if _, err := io.WriteString(conn, more); err != nil {
				return
			}
		}
	}
	o := wire.Options{Limits: wire.Limits{Window: 200 * time.Millisecond, Rate: 1 << 20, Prepare: 200 * time.Millisecond}}
	listing := scripted(t, func(conn *net.TCPConn) {
		_, _ = io.WriteString(conn, pkt(idA+" refs/heads/main\x00side-band-64k\n"))
		drip(conn, pkt(idA+" refs/heads/main\n"))
	})
	if _, err := open(t, listing, wire.Options{Limits: wire.Limits{Refs: 200 * time.Millisecond}}).Refs(t.Context()); err == nil || !strings.Contains(err.Error(), "in 200ms") {
		t.Errorf("refs without end: %v", err)
	}
	for _, c := range []struct{ name, head, more, words string }{
		{"before the pack", "", pkt("ready\n"), "nothing of the pack"},
		{"within a packet", pkt("packfile\n") + pkt("\x01PACK") + "8000\x01", "x", "bytes of the pack"},
		{"keep-alive packets", pkt("packfile\n") + pkt("\x01PACK"), "0004" + pkt("\x01") + pkt("\x02still counting"), " bytes of the pack"},
	} {
		url := scripted(t, func(conn *net.TCPConn) {
			_, _ = io.WriteString(conn, greetingV2+flushPkt+c.head)
			drip(conn, c.more)
		})
		s, err := open(t, url, o).Pack(t.Context(), []string{idA}, nil, false)
		if err == nil {
			_, err = io.Copy(io.Discard, s)
			_ = s.Close() // it says no more than the reading did
		}
		if err == nil || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestUnfit holds what is said of servers that can't be used.
func TestUnfit(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ greeting, words string }{
		"no side band":   {pkt(idA+" refs/heads/main\x00ofs-delta\n") + flushPkt, "too old"},
		"shallow":        {pkt(idA+" refs/heads/main\x00side-band-64k\n") + pkt("shallow "+idA) + flushPkt, "cut off"},
		"no fetch":       {"000eversion 2\n" + flushPkt, "without fetch"},
		"another format": {"000eversion 2\n" + pkt("object-format=sha3\n") + flushPkt, "sha3"},
	} {
		t.Run(name, func(t *testing.T) {
			url := scripted(t, func(conn *net.TCPConn) {
				_, _ = io.WriteString(conn, c.greeting)
				_, _ = io.Copy(io.Discard, conn)
			})
			_, err := open(t, url, wire.Options{}).Pack(t.Context(), []string{idA}, nil, false)
			checkReason(t, err, record.ReasonUnsupported, c.words)
		})
	}
}

// TestOmitted lists a name that git allows no ref to have.
func TestOmitted(t *testing.T) {
	t.Parallel()
	url := scripted(t, func(conn *net.TCPConn) {
		_, _ = io.WriteString(conn, pkt(idA+" refs/heads/main\x00side-band-64k\n")+pkt(idA+" refs/heads/a..b")+pkt(idA+" refs/tags/v^{}")+flushPkt)
		_, _ = io.Copy(io.Discard, conn)
	})
	r := open(t, url, wire.Options{})
	m, err := r.Refs(t.Context())
	if err != nil || len(m.Refs) != 1 || m.Refs[0].Name != "refs/heads/main" {
		t.Errorf("%v, %v", m, err)
	}
	if r.Omitted() != "ref refs/heads/a..b: git allows no ref of this name\n" {
		t.Errorf("omitted: %q", r.Omitted())
	}
}
