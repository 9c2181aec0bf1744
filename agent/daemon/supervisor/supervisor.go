// Package supervisor tells systemd how the daemon is: that it is ready, that it takes a new configuration, what it does, that it is alive, that it ends. Where no systemd asks to be told, all of it
// does nothing. It reads the environment and never changes it: what programs the daemon starts are given of it is decided where they are started.
package supervisor

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"farshore/agent/units"
)

const (
	// sending bounds how long a message may wait for room in systemd's queue.
	sending = 2 * time.Second
	// maxText bounds a status in bytes; systemd drops messages of more than 4096.
	maxText = 1000
)

// Supervisor is systemd, as far as it wants to be told. The nil one is nobody: its methods do nothing and return nil. It may be used concurrently. Errors say that a message did not reach systemd; the
// daemon may go on.
type Supervisor struct {
	socket   string
	watchdog time.Duration
	log      *slog.Logger
	// send sends a message; the socket's, except in tests.
	send func(message string) error
}

// FromEnvironment returns the supervisor that NOTIFY_SOCKET names, nil where it is not set. WATCHDOG_USEC counts where WATCHDOG_PID is not set or this process. It fails for variables that systemd would
// not set so. logger hears what Watch finds.
func FromEnvironment(getenv func(string) string, logger *slog.Logger) (*Supervisor, error) {
	socket := getenv("NOTIFY_SOCKET")
	if socket == "" {
		return nil, nil
	}
	if socket[0] != '/' && socket[0] != '@' || len(socket) < 2 {
		return nil, fmt.Errorf("supervisor: NOTIFY_SOCKET is %q, neither an absolute path nor an abstract address (@name): leave it to systemd to set it", socket)
	}
	watchdog, err := watchdogOf(getenv)
	if err != nil {
		return nil, fmt.Errorf("supervisor: %w", err)
	}
	s := &Supervisor{socket: socket, watchdog: watchdog, log: logger}
	s.send = s.datagram
	return s, nil
}

// watchdogOf is how long systemd waits for a sign of life, 0 where it waits for none of this process.
func watchdogOf(getenv func(string) string) (time.Duration, error) {
	usec, pid := getenv("WATCHDOG_USEC"), getenv("WATCHDOG_PID")
	if usec == "" || pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0, nil
	}
	n, err := strconv.ParseInt(usec, 10, 64)
	if err != nil || n <= 0 || n > int64(time.Duration(1<<63-1)/time.Microsecond) {
		return 0, fmt.Errorf("WATCHDOG_USEC is %q, not a number of microseconds: leave it to systemd to set it", usec)
	}
	return time.Duration(n) * time.Microsecond, nil
}

func (s *Supervisor) datagram(message string) error {
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: s.socket, Net: "unixgram"})
	if err != nil {
		return err
	}
	err = c.SetWriteDeadline(time.Now().Add(sending))
	if err == nil {
		_, err = c.Write([]byte(message))
	}
	return errors.Join(err, c.Close())
}

// tell sends the lines as one message.
func (s *Supervisor) tell(lines ...string) error {
	if s == nil {
		return nil
	}
	if err := s.send(strings.Join(lines, "\n")); err != nil {
		return fmt.Errorf("supervisor: systemd could not be told at %s: %w", s.socket, err)
	}
	return nil
}

// status is the line that says what the daemon does: one line, and no character that would begin another or move a cursor.
func status(text string) string {
	text = units.Shown(strings.ReplaceAll(text, "\n", " "))
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "") + "…"
	}
	return "STATUS=" + text
}

// Ready says that the daemon is up. text is shown by systemctl status.
func (s *Supervisor) Ready(text string) error { return s.tell(daemon.SdNotifyReady, status(text)) }

// Status says what the daemon does.
func (s *Supervisor) Status(text string) error { return s.tell(status(text)) }

// Reloading says that the daemon takes a new configuration. Reloaded must follow, however that ends.
func (s *Supervisor) Reloading() error {
	return s.tell(daemon.SdNotifyReloading, strings.TrimSuffix(daemon.SdNotifyMonotonicUsec(), "\n"))
}

// Reloaded says that the daemon has taken the new configuration, or stays with the one it had: text says which.
func (s *Supervisor) Reloaded(text string) error { return s.Ready(text) }

// Stopping says that the daemon comes to its end.
func (s *Supervisor) Stopping(text string) error {
	return s.tell(daemon.SdNotifyStopping, status(text))
}

// ExtendTimeout asks systemd to wait for that much longer, from now, for the start, reload or end that is under way.
func (s *Supervisor) ExtendTimeout(d time.Duration) error {
	return s.tell(fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", d.Microseconds()))
}
