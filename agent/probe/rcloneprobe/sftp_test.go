package rcloneprobe

import (
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/pkg/sftp"

	"farshore/agent/probe"
	"farshore/agent/probe/probetest"
	"farshore/providers/servers"
)

func TestSFTP(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	everything(t, servers.SFTP(t, nil)+dir, dir, "backup@127.0.0.1:", all("set-attributes", "overwrite", "rename", "remove"))
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
			ctx, a := open(t, servers.SFTP(t, func() *sftp.Handlers {
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
