package notify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"os"
	"syscall"

	"github.com/nicholas-fedor/shoutrrr/pkg/util/jsonclient"
)

// Fault is why something was not sent. Its text is made here alone: errors of libraries have addresses in them, and those are secrets.
type Fault struct {
	why string
	// again says that another attempt may help.
	again bool
}

func (f *Fault) Error() string { return f.why }

// Faults of addresses, and of what a server answers with.
var (
	errAddress  = &Fault{why: "its address is not https://host/…, or http:// of this machine"}
	errService  = &Fault{why: "its address is none of a service that is known here"}
	errRefused  = &Fault{why: "the service did not take its address: see docs/operate.md for how it is written"}
	errInsecure = &Fault{why: "its address turns off TLS, or its checks"}
	errLower    = &Fault{why: "it redirects to an address without TLS"}
	errMany     = &Fault{why: "it was given 100 messages by this run already: the rest are left out"}
	errUnclear  = &Fault{why: "it could not be reached, or did not take the message"}
	errRedirect = &Fault{why: "it redirects more than three times, or such that the message would be lost"}
)

// status is the fault that an answer of HTTP means, nil for success.
func status(code int) error {
	if code >= 200 && code < 300 {
		return nil
	}
	again := code >= 500 || code == http.StatusTooManyRequests || code == http.StatusRequestTimeout || code == http.StatusTooEarly
	return &Fault{fmt.Sprintf("it answered %d %s", code, http.StatusText(code)), again}
}

// fault says why something failed, in words of this package alone. nil for nil.
func fault(err error) error {
	if err == nil {
		return nil
	}
	var (
		own     *Fault
		answer  jsonclient.Error
		reply   *textproto.Error
		name    *net.DNSError
		network net.Error
		request *url.Error // which calls itself a failure of the network, whatever it is
	)
	if errors.As(err, &request) {
		err = request.Err
	}
	switch {
	case errors.As(err, &own):
		return own
	case errors.Is(err, context.Canceled):
		return &Fault{why: "it was interrupted"}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return &Fault{"it did not answer in time", true}
	case errors.As(err, &answer) && answer.StatusCode >= 300:
		return status(answer.StatusCode)
	case errors.As(err, &reply):
		return mailReply(reply.Code)
	case errors.As(err, &name):
		return &Fault{"its host has no address, or no name server answers", !name.IsNotFound}
	case badCertificate(err):
		return &Fault{why: "its certificate is not valid for its name, or nobody who is trusted here signed it"}
	case errors.Is(err, syscall.ECONNREFUSED):
		return &Fault{"nothing listens at its address", true}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return &Fault{"it closed the connection without an answer", true}
	case errors.As(err, &network) && network.Timeout():
		return &Fault{"it did not answer in time", true}
	case errors.As(err, &network):
		return &Fault{"the network failed on the way to it", true}
	}
	return errUnclear
}

// badCertificate reports whether the other side's certificate is what is wrong.
func badCertificate(err error) bool {
	var (
		verify  *tls.CertificateVerificationError
		unknown x509.UnknownAuthorityError
		host    x509.HostnameError
		invalid x509.CertificateInvalidError
	)
	return errors.As(err, &verify) || errors.As(err, &unknown) || errors.As(err, &host) || errors.As(err, &invalid)
}

// mailReply is the fault that a mail server's reply means.
func mailReply(code int) error {
	why := fmt.Sprintf("the mail server answered %d", code)
	switch code {
	case 530, 534, 535, 538:
		why += ": it did not take the username and password"
	case 550, 551, 553, 554:
		why += ": it did not take the sender, or an address"
	}
	return &Fault{why, code >= 400 && code < 500}
}
