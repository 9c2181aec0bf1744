package servers

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"golang.org/x/sys/unix"
)

// Unused returns an address of this machine, "127.0.0.1:port", at which nobody listens, and which the system gives to nobody who leaves the choice to it until the test
// ends. A server that is told the address can listen there.
func Unused(tb testing.TB) string {
	tb.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = unix.Close(fd) })
	// The port is bound, and not listened at. Others who allow its use by several, as servers do, may bind it too, and one of them may listen.
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		tb.Fatal(err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		tb.Fatal(err)
	}
	at, err := unix.Getsockname(fd)
	if err != nil {
		tb.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", at.(*unix.SockaddrInet4).Port)
}

// HTTP starts a server at an unused address, so that nobody else answers there once it is closed, which the test's end does too.
func HTTP(tb testing.TB, h http.Handler) *httptest.Server {
	tb.Helper()
	l, err := net.Listen("tcp", Unused(tb))
	if err != nil {
		tb.Fatal(err)
	}
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: h}}
	s.Start()
	tb.Cleanup(s.Close)
	return s
}
