package intruder

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"

	"farshore/providers/rclone"
	"farshore/providers/servers"
)

// azuriteEnv names the environment variable with the path of the azurite-blob program, where it is not on PATH.
const azuriteEnv = "FARSHORE_TEST_AZURITE"

const azureAccount = "farshoretest"

// azureThief is the blob client of whoever has the agent's SAS.
type azureThief struct {
	t *testing.T
	c *container.Client
}

// startAzurite starts the emulator in memory, and returns its address and the account's key.
func startAzurite(t *testing.T) (endpoint, key string) {
	t.Helper()
	program := os.Getenv(azuriteEnv)
	if program == "" {
		program = "azurite-blob"
	}
	path, err := exec.LookPath(program)
	if err != nil {
		servers.Missing(t, "azurite-blob", "npm install azurite, and put node_modules/.bin on PATH or name the program in "+azuriteEnv)
	}
	key = base64.StdEncoding.EncodeToString([]byte(rand.Text() + rand.Text()))
	cmd := exec.CommandContext(t.Context(), path, "--blobHost", "127.0.0.1", "--blobPort", "0", "--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry")
	cmd.Env = append(os.Environ(), "AZURITE_ACCOUNTS="+azureAccount+":"+key)
	cmd.Dir = t.TempDir()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	var drain sync.WaitGroup
	t.Cleanup(func() {
		_ = cmd.Cancel() // it may have ended
		drain.Wait()
		_ = cmd.Wait() // how a killed server ends says nothing
	})
	listening := regexp.MustCompile(`listen\w* (?:at|on) (http://127\.0\.0\.1:[1-9]\d*)`)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if m := listening.FindStringSubmatch(lines.Text()); m != nil {
			drain.Go(func() { _, _ = io.Copy(io.Discard, out) }) // until the server ends
			return m[1] + "/" + azureAccount, key
		}
	}
	t.Fatal("azurite-blob ended before it listened")
	return "", ""
}

// onAzurite is a container whose agent has a SAS that may create, read and list.
func onAzurite(t *testing.T) *place {
	t.Helper()
	endpoint, key := startAzurite(t)
	return azurePlace(t, endpoint, key)
}

// azurePlace makes a container of its own.
func azurePlace(t *testing.T, endpoint, key string) *place {
	t.Helper()
	name := "vault" + strings.ToLower(rand.Text())
	shared, err := container.NewSharedKeyCredential(azureAccount, key)
	must(t, err)
	c, err := container.NewClientWithSharedKeyCredential(endpoint+"/"+name, shared, nil)
	must(t, err)
	_, err = c.Create(t.Context(), nil)
	must(t, err)
	url, err := c.GetSASURL(sas.ContainerPermissions{Create: true, Read: true, List: true}, time.Now().Add(time.Hour), nil)
	must(t, err)
	d, err := rclone.Open(t.Context(), "rclone::azureblob,sas_url='"+url+"':"+name+"/v", rclone.Options{})
	must(t, err)
	stolen, err := container.NewClientWithNoCredential(url, nil)
	must(t, err)
	b := bucketOf(d)
	return &place{
		name: "azurite", owner: b, agent: b, restorer: b, auditor: b, thief: azureThief{t, stolen},
		overwrites: refused, removals: refused, foreignRoom: lost, // a SAS of a container has no rooms
		again: func(t *testing.T) *place { return azurePlace(t, endpoint, key) },
	}
}

func (a azureThief) put(name string, body []byte) error {
	_, err := a.c.NewBlockBlobClient("v/"+name).Upload(a.t.Context(), streaming.NopCloser(bytes.NewReader(body)), nil)
	return err
}

func (a azureThief) remove(name string) error {
	_, err := a.c.NewBlockBlobClient("v/"+name).Delete(a.t.Context(), nil)
	return err
}

func (a azureThief) denied(err error) bool {
	return bloberror.HasCode(err, bloberror.AuthorizationPermissionMismatch, bloberror.UnauthorizedBlobOverwrite)
}

func (a azureThief) names() (out []string) {
	a.t.Helper()
	pages := a.c.NewListBlobsFlatPager(nil)
	for pages.More() {
		page, err := pages.NextPage(a.t.Context())
		must(a.t, err)
		for _, b := range page.Segment.BlobItems {
			out = append(out, (*b.Name)[len("v/"):])
		}
	}
	return out
}
