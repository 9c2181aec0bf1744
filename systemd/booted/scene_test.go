package booted

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"farshore/agent/daemon"
)

// The scene: an S3 server with a vault and two buckets, and repositories of another user's. Buckets are read slowly enough that a pass can be met in its middle.
const (
	server  = "endpoint=http://127.0.0.1:9000&region=us-east-1&path_style=true"
	account = "farshoretest:0123456789abcdef"
	rate    = "3MiB/s"
)

// passDeadline is for a pass over one of the buckets: 15 s by its rate.
const passDeadline = 3 * time.Minute

// stage puts the scene into the machine.
func stage(t *testing.T, m *machine) {
	t.Helper()
	cloud(t, filepath.Join(m.root, "usr/local/bin/cloud"))
	m.write(t, "/root/account", "600", account)
	m.must(t, `install -d /srv/cloud /srv/git
systemd-run -q --unit=cloud /usr/local/bin/cloud -account /root/account -buckets vault=0,shop=180,late=180 -sums /srv/cloud -told /srv/cloud/told`)
	m.wait(t, "the cloud is there", time.Minute, func() (bool, string) {
		_, err := m.try(t, "test -e /srv/cloud/late.sums")
		return err == nil, fmt.Sprint(err)
	})
	m.must(t, `groupadd gitreaders
useradd -m -g gitreaders keeper
cd /srv/git
git init -q --bare app.git
git init -q /root/work
cd /root/work
git config user.name Keeper
git config user.email keeper@example.net
echo one >file
git add file
git commit -q -m one
git push -q /srv/git/app.git HEAD:refs/heads/main
chown -R keeper:gitreaders /srv/git
chmod -R u=rwX,g=rX,o= /srv/git`)
}

func profile(name string) string {
	key, secret, _ := strings.Cut(account, ":")
	return fmt.Sprintf("[%s]\naws_access_key_id = %s\naws_secret_access_key = %s\n", name, key, secret)
}

// bucket is the address of a bucket of the scene, for one of the profiles.
func bucket(name, profile string) string {
	return "s3://" + name + "?" + server + "&profile=" + profile
}

// status asks the daemon.
func status(t *testing.T, m *machine) (daemon.Status, error) {
	t.Helper()
	text, err := m.try(t, "farshore status --json")
	if err != nil && !strings.HasPrefix(text, "{") {
		return daemon.Status{}, err
	}
	var object struct{ Result daemon.Status }
	err = json.Unmarshal([]byte(text), &object)
	return object.Result, err
}

// sourceOf is how a source stands; its zero value where it is not known.
func sourceOf(s daemon.Status, name string) daemon.SourceStatus {
	for _, one := range s.Sources {
		if one.Name == name {
			return one
		}
	}
	return daemon.SourceStatus{}
}

// meets waits until a source stands so.
func meets(t *testing.T, m *machine, source, what string, holds func(daemon.SourceStatus) bool) daemon.SourceStatus {
	t.Helper()
	var found daemon.SourceStatus
	m.wait(t, source+": "+what, passDeadline, func() (bool, string) {
		s, err := status(t, m)
		if err != nil {
			return false, err.Error()
		}
		found = sourceOf(s, source)
		seen, _ := json.Marshal(found) // for the message alone
		return found.Name != "" && holds(found), string(seen)
	})
	return found
}

// running is a pass in its middle: some of its bytes are there, and some are not.
func running(s daemon.SourceStatus) bool {
	return s.Running != nil && s.Running.Bytes > 4<<20 && s.Running.Items < 120
}

// good is a source whose newest pass is complete.
func good(s daemon.SourceStatus) bool {
	return s.Running == nil && s.Waiting.IsZero() && s.Last != nil && s.Last.Exit == 0 && s.Last.Pass != nil && s.Last.Pass.Complete
}

// snapshots are those of a source in the vault, oldest first, as the restorer sees them.
func snapshots(t *testing.T, m *machine, source string) []snapshot {
	t.Helper()
	text := m.must(t, "AWS_SHARED_CREDENTIALS_FILE=/root/writer farshore snapshots "+source+" --json "+reader)
	var object struct {
		Result struct {
			Chains []struct{ Snapshots []snapshot }
		}
	}
	if err := json.Unmarshal([]byte(text), &object); err != nil || len(object.Result.Chains) > 1 {
		t.Fatalf("%v: %s", err, text)
	}
	if len(object.Result.Chains) == 0 {
		return nil
	}
	return object.Result.Chains[0].Snapshots
}

type snapshot struct {
	Seq      int64
	Complete bool
	Items    int64
}

// reader is how the restorer, who has nothing of the agent's, reads the vault.
const reader = "--vault 's3://vault/v?" + server + "&profile=writer' --identity /root/kit/recovery.key --state /root/reader"

// restores restores every snapshot of a bucket, and compares the newest, which must be whole, with what is in the bucket.
func restores(t *testing.T, m *machine, source string) {
	t.Helper()
	all := snapshots(t, m, source)
	if len(all) == 0 {
		t.Errorf("%s has no snapshots", source)
		return
	}
	for _, s := range all {
		// What a part has, the bucket has; to restore it ends with exit code 3.
		check, ends := "sha256sum -c --quiet --ignore-missing", 3
		if s.Complete {
			check, ends = "sha256sum -c --quiet", 0
		}
		found := m.must(t, fmt.Sprintf(`rm -rf /root/out
code=0
AWS_SHARED_CREDENTIALS_FILE=/root/writer farshore restore --quiet --source %s --at %d --to /root/out %s >/dev/null || code=$?
test $code = %d
cd /root/out
%s /srv/cloud/%s.sums
find . -type f | wc -l`, source, s.Seq, reader, ends, check, source))
		if found == "0" || s.Complete && found != fmt.Sprint(s.Items) {
			t.Errorf("%s %d: %s of %d items restored", source, s.Seq, found, s.Items)
		}
	}
	if !all[len(all)-1].Complete {
		t.Errorf("the newest snapshot of %s is not complete: %+v", source, all)
	}
}
