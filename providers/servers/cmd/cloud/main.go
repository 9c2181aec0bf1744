// Command cloud is what tests of a whole machine have in place of a cloud: an S3 server in memory with buckets and objects, and an address that keeps what it is told. It is
// not part of the product. It is linked statically when it is built with CGO_ENABLED=0, so that it runs in any root file system.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"farshore/providers/s3/s3fake"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:9000", "address to listen on")
	account := flag.String("account", "", "file with access key and secret, as key:secret")
	buckets := flag.String("buckets", "", "buckets to make, as name=objects,…: so many objects are in each")
	size := flag.Int("size", 1<<18, "bytes of an object")
	sums := flag.String("sums", "", "directory for a file BUCKET.sums for each bucket, as sha256sum -c reads it; written when all is there")
	told := flag.String("told", "", "file to which the bodies of all POSTs to /-told are appended, a line each")
	flag.Parse()
	if err := serve(*listen, *account, *buckets, *size, *sums, *told); err != nil {
		fmt.Fprintln(os.Stderr, "cloud:", err)
		os.Exit(1)
	}
}

func serve(listen, account, buckets string, size int, sums, told string) error {
	text, err := os.ReadFile(account)
	if err != nil {
		return err
	}
	key, secret, _ := strings.Cut(strings.TrimSpace(string(text)), ":")
	mux := http.NewServeMux()
	mux.Handle("/", s3fake.Handler(map[string]string{key: secret}))
	mux.Handle("POST /-told", &ear{path: told})
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	client := s3.New(s3.Options{
		BaseEndpoint: aws.String("http://" + l.Addr().String()), Region: "us-east-1", UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(key, secret, ""),
	})
	for _, b := range strings.Split(buckets, ",") {
		name, count, _ := strings.Cut(b, "=")
		n, err := strconv.Atoi(count)
		if err != nil {
			return fmt.Errorf("%q is no NAME=OBJECTS", b)
		}
		if err := fill(client, name, n, size, sums); err != nil {
			return err
		}
	}
	return <-failed
}

// fill makes a bucket with objects that can't be compressed.
func fill(client *s3.Client, bucket string, objects, size int, sums string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if _, err := client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
		return err
	}
	var list strings.Builder
	random := rand.NewChaCha8(sha256.Sum256([]byte(bucket)))
	for i := range objects {
		key, body := fmt.Sprintf("images/%05d.bin", i), make([]byte, size)
		_, _ = random.Read(body) // never fails
		if _, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(body)}); err != nil {
			return err
		}
		fmt.Fprintf(&list, "%x  %s\n", sha256.Sum256(body), key)
	}
	if sums == "" {
		return nil
	}
	part := sums + "/" + bucket + ".part"
	if err := os.WriteFile(part, []byte(list.String()), 0o644); err != nil {
		return err
	}
	return os.Rename(part, sums+"/"+bucket+".sums")
}

// ear keeps what it is told.
type ear struct {
	path string
	mu   sync.Mutex
}

func (e *ear) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err == nil {
		err = e.keep(body)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

func (e *ear) keep(body []byte) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	f, err := os.OpenFile(e.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(append(bytes.ReplaceAll(body, []byte("\n"), []byte(" ")), '\n'))
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}
