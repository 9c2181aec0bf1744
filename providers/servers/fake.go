package servers

import (
	"testing"

	"farshore/providers/s3/s3fake"
)

// Fake starts an S3 server inside the test that keeps everything in memory and checks signatures. It has neither policies nor real locks.
func Fake(tb testing.TB) S3 {
	tb.Helper()
	s := S3{Region: "us-east-1", AccessKey: rootKey, SecretKey: token()}
	server := HTTP(tb, s3fake.Handler(map[string]string{s.AccessKey: s.SecretKey}))
	s.Endpoint, s.stop = server.URL, server.Close
	return s
}
