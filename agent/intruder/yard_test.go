package intruder

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"farshore/providers"
	"farshore/providers/file"
	"farshore/providers/mem"
	"farshore/providers/s3"
	"farshore/providers/servers"
)

// yard is a store whose objects can be damaged behind everybody's back, as a failing disk, a bad migration or whoever runs the store could. Names are those in the vault.
type yard struct {
	where *place // every role has one credential, and nobody steals it
	// driver is the store's own, where something may lie in front of it.
	driver providers.Driver
	// set puts bytes in an object's place, remove takes it away. Where layers is true the store keeps what was there beneath.
	set    func(name string, body []byte)
	remove func(name string)
	layers bool
}

// yards are the kinds of stores that damage is tried on. Those that are small have few packs, and two of them share what is tried: every is how many mishaps one goes on by, and from
// with which it begins.
var yards = []struct {
	name        string
	small       bool
	from, every int
	make        func(t *testing.T) *yard
}{
	{"directory", false, 0, 1, directoryYard},
	{"memory with versions", false, 0, 1, versionsYard},
	{"minio", true, 0, 2, plainMinIO},
	{"versity", true, 1, 2, versityYard},
	{"minio, COMPLIANCE", true, 0, 1, lockedMinIO},
	{"fake-gcs, with generations", true, 0, 1, gcsYard},
}

func newYard(d providers.Driver, layers bool, set func(string, []byte), remove func(string)) *yard {
	b := bucketOf(d)
	return &yard{where: &place{owner: b, agent: b, restorer: b, auditor: b}, driver: d, layers: layers, set: set, remove: remove}
}

func directoryYard(t *testing.T) *yard {
	t.Helper()
	root := t.TempDir()
	d, err := file.New(root)
	must(t, err)
	t.Cleanup(func() { must(t, d.Close()) })
	at := func(name string) string { return filepath.Join(root, filepath.FromSlash(name)) }
	return newYard(d, false, func(name string, body []byte) { must(t, replaceFile(at(name), body)) }, func(name string) { must(t, os.Remove(at(name))) })
}

// replaceFile puts a file in another's place, which may be one that nobody may write.
func replaceFile(path string, body []byte) error {
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return err
	}
	return os.WriteFile(path, body, 0o644)
}

func versionsYard(t *testing.T) *yard {
	t.Helper()
	d := mem.NewVersioned()
	return newYard(d, true, func(name string, body []byte) { d.Set(name, body) }, func(name string) { d.Hide(name) })
}

func plainMinIO(t *testing.T) *yard {
	t.Helper()
	server := servers.MinIO(t)
	return s3Yard(t, server, server.Bucket(t), false)
}

func versityYard(t *testing.T) *yard {
	t.Helper()
	server := servers.Versity(t)
	return s3Yard(t, server, server.Bucket(t), false)
}

func lockedMinIO(t *testing.T) *yard {
	t.Helper()
	server := servers.MinIO(t)
	return s3Yard(t, server, s3Place(t, server), true)
}

func s3Yard(t *testing.T, server servers.S3, bucket string, layers bool) *yard {
	t.Helper()
	d, err := s3.Open(t.Context(), server.URL(bucket, "v"), s3.Options{Credentials: server.Credentials()})
	must(t, err)
	client := server.Client(t)
	set := func(name string, body []byte) {
		_, err := client.PutObject(t.Context(), &awss3.PutObjectInput{Bucket: &bucket, Key: aws.String("v/" + name), Body: bytes.NewReader(body)})
		must(t, err)
	}
	remove := func(name string) {
		_, err := client.DeleteObject(t.Context(), &awss3.DeleteObjectInput{Bucket: &bucket, Key: aws.String("v/" + name)})
		must(t, err)
	}
	return newYard(d, layers, set, remove)
}

func gcsYard(t *testing.T) *yard {
	t.Helper()
	at := onGCS(t)
	return &yard{where: at, layers: true, set: func(name string, body []byte) { must(t, at.thief.put(name, body)) }, remove: func(name string) { must(t, at.thief.remove(name)) }}
}
