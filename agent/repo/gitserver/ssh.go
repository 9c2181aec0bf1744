package gitserver

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"

	"farshore/providers/servers"

	"golang.org/x/crypto/ssh"
)

// SSHOptions says what a server over ssh does beyond serving.
type SSHOptions struct {
	// DropProtocol keeps the server from taking the variable GIT_PROTOCOL, as many do: git then speaks as before version 2.
	DropProtocol bool
	// Stranger gives the client a key that the server does not know.
	Stranger bool
}

// SSH runs sshd for the current user and returns the URL that stands for root, without a slash at its end, and the command that reaches the server: ssh with a
// configuration that has the keys of both. At most one SSHOptions is used.
func SSH(tb testing.TB, root string, options ...SSHOptions) (url string, command []string) {
	tb.Helper()
	var o SSHOptions
	if len(options) > 0 {
		o = options[0]
	}
	sshd := sshdProgram(tb)
	client := program(tb, "ssh", "apt-get install openssh-client")
	me, err := user.Current()
	if err != nil {
		tb.Fatal(err)
	}
	separationDirectory(tb, me)
	dir := tb.TempDir()
	host, mine := key(tb, filepath.Join(dir, "host")), key(tb, filepath.Join(dir, "user"))
	if o.Stranger {
		mine = key(tb, filepath.Join(dir, "other"))
	}
	write(tb, filepath.Join(dir, "authorized"), mine)
	port := serve(tb, func(port int) *exec.Cmd {
		write(tb, filepath.Join(dir, "sshd_config"), serverConfig(dir, port, o))
		cmd := exec.Command(sshd, "-D", "-e", "-f", filepath.Join(dir, "sshd_config"))
		cmd.Env = environment(nil)
		return cmd
	})
	write(tb, filepath.Join(dir, "known_hosts"), fmt.Sprintf("[127.0.0.1]:%d %s", port, host))
	write(tb, filepath.Join(dir, "ssh_config"), clientConfig(dir))
	return fmt.Sprintf("ssh://%s@127.0.0.1:%d%s", me.Username, port, root), []string{client, "-F", filepath.Join(dir, "ssh_config")}
}

// sshdProgram returns the path of sshd, which is seldom on PATH and wants to be called by its whole path.
func sshdProgram(tb testing.TB) string {
	tb.Helper()
	for _, path := range []string{"/usr/sbin/sshd", "/usr/local/sbin/sshd"} {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return program(tb, "sshd", "apt-get install openssh-server")
}

// separationDirectory makes the empty directory that sshd wants when root starts it, which the system's own start-up makes otherwise.
func separationDirectory(tb testing.TB, me *user.User) {
	tb.Helper()
	if me.Uid != "0" {
		return
	}
	if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
		servers.Missing(tb, "/run/sshd", "make this directory, which sshd wants")
	}
}

func serverConfig(dir string, port int, o SSHOptions) string {
	lines := []string{
		"ListenAddress 127.0.0.1:" + fmt.Sprint(port),
		"HostKey " + filepath.Join(dir, "host"),
		"AuthorizedKeysFile " + filepath.Join(dir, "authorized"),
		"StrictModes no", // the temporary directory may be anyone's
		"UsePAM no",
		"PasswordAuthentication no",
		"KbdInteractiveAuthentication no",
		"PermitRootLogin prohibit-password",
		"PidFile none",
		"PrintMotd no",
		"UseDNS no",
		"KexAlgorithms curve25519-sha256", // the newest take long, for what need not be kept secret
	}
	if !o.DropProtocol {
		lines = append(lines, "AcceptEnv GIT_PROTOCOL")
	}
	return strings.Join(lines, "\n")
}

func clientConfig(dir string) string {
	return strings.Join([]string{
		"IdentityFile " + filepath.Join(dir, "user"),
		"IdentitiesOnly yes",
		"IdentityAgent none",
		"UserKnownHostsFile " + filepath.Join(dir, "known_hosts"),
		"GlobalKnownHostsFile /dev/null",
		"StrictHostKeyChecking yes",
		"LogLevel ERROR",
	}, "\n")
}

// key makes a key pair, writes the private key to the path, and returns the line for the public one.
func key(tb testing.TB, path string) string {
	tb.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		tb.Fatal(err)
	}
	write(tb, path, string(pem.EncodeToMemory(block)))
	line, err := ssh.NewPublicKey(public)
	if err != nil {
		tb.Fatal(err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(line)))
}

func write(tb testing.TB, path, text string) {
	tb.Helper()
	if err := os.WriteFile(path, []byte(strings.TrimRight(text, "\n")+"\n"), 0o600); err != nil {
		tb.Fatal(err)
	}
}
