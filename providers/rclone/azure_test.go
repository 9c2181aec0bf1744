package rclone

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"os"
	"os/exec"
	"regexp"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"

	"farshore/providers"
	"farshore/providers/servers"
)

// azuriteEnv names the environment variable with the path of the azurite-blob program, where it is not on PATH.
const azuriteEnv = "FARSHORE_TEST_AZURITE"

// azurite is a running emulator of Azure Blob Storage.
type azurite struct{ endpoint, key string }

// account is the emulator's only account.
const account = "farshoretest"

// startAzurite starts the emulator in memory. Where there is none, the test is skipped.
func startAzurite(t *testing.T) azurite {
	t.Helper()
	program := os.Getenv(azuriteEnv)
	if program == "" {
		program = "azurite-blob"
	}
	path, err := exec.LookPath(program)
	if err != nil {
		servers.Missing(t, "azurite-blob", "npm install azurite, and put node_modules/.bin on PATH or name the program in "+azuriteEnv)
	}
	a := azurite{key: base64.StdEncoding.EncodeToString([]byte(rand.Text() + rand.Text()))}
	cmd := exec.CommandContext(t.Context(), path, "--blobHost", "127.0.0.1", "--blobPort", "0", "--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry")
	cmd.Env = append(os.Environ(), "AZURITE_ACCOUNTS="+account+":"+a.key)
	cmd.Dir = t.TempDir()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var drain sync.WaitGroup
	t.Cleanup(func() {
		_ = cmd.Cancel() // it may have ended
		drain.Wait()
		_ = cmd.Wait() // how a killed server ends says nothing
	})
	listening := regexp.MustCompile(`listen\w* (?:at|on) (http://127\.0\.0\.1:[1-9]\d*)`)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if m := listening.FindStringSubmatch(lines.Text()); m != nil {
			a.endpoint = m[1] + "/" + account
			drain.Go(func() { io.Copy(io.Discard, out) }) // until the server ends
			return a
		}
		t.Log(lines.Text())
	}
	t.Fatal("azurite-blob ended before it listened")
	return a
}

// container creates a container.
func (a azurite) container(t *testing.T, name string) *container.Client {
	t.Helper()
	key, err := container.NewSharedKeyCredential(account, a.key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := container.NewClientWithSharedKeyCredential(a.endpoint+"/"+name, key, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Create(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAzure(t *testing.T) {
	t.Parallel()
	a := startAzurite(t)
	c := a.container(t, "vault")
	full := "rclone::azureblob,account=" + account + ",key='" + a.key + "',endpoint='" + a.endpoint + "':vault/full"
	t.Run("key", func(t *testing.T) { conformance(t, full) })

	// What a writer should be given: it may not write, which is to replace, nor delete.
	may := sas.ContainerPermissions{Create: true, Read: true, List: true}
	url, err := c.GetSASURL(may, time.Now().Add(time.Hour), nil)
	if err != nil {
		t.Fatal(err)
	}
	sasSpec := "rclone::azureblob,sas_url='" + url + "':vault/sas"
	t.Run("sas", func(t *testing.T) { conformance(t, sasSpec) })
	t.Run("store refuses", func(t *testing.T) { testAzureRace(t, sasSpec) })
}

// testAzureRace has another writer take the name between the look and the write: this store refuses what rclone does not.
func testAzureRace(t *testing.T, spec string) {
	ctx, d := open(t, spec)
	body := make([]byte, 1<<20)
	first := func() {
		if _, err := create(ctx, d, "commits/a", []byte("theirs")); err != nil && providers.KindOf(err) != providers.Exists {
			t.Error(err)
		}
	}
	_, err := d.Create(ctx, "commits/a", section(slowBody{bytes.NewReader(body), 1 << 19, first}, len(body)), sha256.Sum256(body))
	if providers.KindOf(err) != providers.Exists {
		t.Errorf("create: %v, want kind %q", err, providers.Exists)
	}
	r, err := d.Open(ctx, "commits/a", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || string(got) != "theirs" {
		t.Errorf("stored: %d bytes, %v", len(got), err)
	}
}
