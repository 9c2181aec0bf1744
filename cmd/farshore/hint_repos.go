package main

import (
	"errors"
	"os/exec"
	"strings"

	"farshore/agent/record"
	"farshore/agent/repo/svncmd"
	"farshore/agent/source"
)

// serverHints say what to do about what servers of repositories, and the programs that speak with them, say: the first that has one of the words. The
// words are in lower case.
var serverHints = []struct {
	words []string
	hint  string
}{
	{[]string{"chmod 600"}, "then run the command again: nothing was sent anywhere"},
	{[]string{"host key", "known_hosts"}, "connect once by hand, as the user that the agent runs as, and compare the fingerprint with the server's: ssh then keeps the key in known_hosts"},
	{[]string{"certificate", "x509:"}, "this machine does not trust the server's certificate: check the address, or add the authority that signed it to this machine's (SSL_CERT_FILE names a file with it)"},
	{[]string{"connection refused"}, "nothing listens at this address: is the server running there, and is the port right?"},
	{[]string{"could not resolve hostname", "no such host", "unknown hostname", "name or service not known"}, "the host's name is not known here: check the address, and this machine's name service"},
	{[]string{"no route to host", "network is unreachable", "i/o timeout", "connection timed out"}, "the server can't be reached from here: check the network and firewalls between"},
	{[]string{"authentication failed", "401 unauthorized", "password incorrect", "authorization failed", "permission denied (publickey"}, credentialHint},
}

// credentialHint says where the credentials of servers of repositories come from.
const credentialHint = "the server does not take the credential: --username and --password-file (in the configuration username and password_file) name one for http and svn, " +
	"whose file is read anew for each connection; ssh has its own keys. To capture it needs to read the repositories and nothing more, to restore to a server it needs to push"

// repositoryHint says what to do about an error of a source or a destination of repositories, "" where the error says it all.
func repositoryHint(err error) string {
	var bad *source.Unreadable
	denied := errors.As(err, &bad) && bad.Reason == record.ReasonDenied
	switch text := err.Error(); {
	case errors.Is(err, svncmd.ErrMissing) && strings.Contains(text, "svn"):
		return "install Subversion (on Debian and Ubuntu: apt install subversion): svn, svnadmin, svnlook and svnrdump must be on the PATH"
	case errors.Is(err, exec.ErrNotFound):
		return programHint(text)
	case serverHint(text) != "":
		return serverHint(text)
	case denied:
		return credentialHint
	}
	return ""
}

// programHint says how to get the program that a text says is missing.
func programHint(text string) string {
	for _, p := range []struct{ name, packet string }{{"svn", "subversion"}, {"ssh", "openssh-client"}, {"git", "git"}} {
		if strings.Contains(text, `"`+p.name) || strings.Contains(text, "program "+p.name) {
			return "install it (on Debian and Ubuntu: apt install " + p.packet + "), or put the program on the PATH"
		}
	}
	return "put the program on the PATH"
}

// serverHint says what to do about a server's or a program's words, "" for unknown ones.
func serverHint(text string) string {
	text = strings.ToLower(text)
	for _, h := range serverHints {
		for _, w := range h.words {
			if strings.Contains(text, w) {
				return h.hint
			}
		}
	}
	return ""
}
