package servers_test

import (
	"errors"
	"net"
	"syscall"
	"testing"

	"farshore/providers/servers"
)

// TestUnused holds that an unused address refuses connections, that nobody is given it by chance, and that who is told it can listen there.
func TestUnused(t *testing.T) {
	address := servers.Unused(t)
	refused := func() {
		t.Helper()
		if conn, err := net.Dial("tcp", address); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%v, %v", conn, err)
		}
	}
	refused()
	for range 30_000 { // more often than there are ports
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		given := l.Addr().String()
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if given == address {
			t.Fatal("it was given to somebody else")
		}
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(conn.Close(), l.Close()); err != nil {
		t.Error(err)
	}
	refused()
}
