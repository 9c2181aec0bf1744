package bench_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"farshore/providers/servers"
)

// BenchmarkProgram runs the program itself, at its default settings: three large objects, different and random, from an S3 server into a directory, verified and restored. It
// reports each command's peak resident size.
func BenchmarkProgram(b *testing.B) {
	const objects, size = 3, 512 << 20
	dir := b.TempDir()
	bin := filepath.Join(dir, "farshore")
	if out, err := exec.Command("go", "build", "-o", bin, "farshore/cmd/farshore").CombinedOutput(); err != nil {
		b.Fatalf("build: %v\n%s", err, out)
	}
	srv := servers.Versity(b)
	name := srv.Bucket(b)
	for i := range objects {
		_, err := srv.Client(b).PutObject(context.Background(), &s3.PutObjectInput{
			Bucket: &name, Key: aws.String(fmt.Sprint("large-", i)), Body: bytes.NewReader(noise(uint64(i), size)),
		})
		must(b, err)
	}
	run := 0
	for b.Loop() {
		run++
		at := filepath.Join(dir, fmt.Sprint(run))
		p := program{b, bin, filepath.Join(at, "farshore.yaml"), srv}
		p.run("init", "--vault", "file://"+filepath.Join(at, "vault"), "--kit", filepath.Join(at, "kit"))
		p.run("source", "add", "bench", srv.URL(name, ""))
		key := filepath.Join(at, "kit", "recovery.key")
		b.ReportMetric(p.run("replicate"), "replicate-MiB")
		b.ReportMetric(p.run("verify", "--full", "--identity", key), "verify-MiB")
		b.ReportMetric(p.run("restore", "--source", "bench", "--to", filepath.Join(at, "out"), "--identity", key), "restore-MiB")
		must(b, os.RemoveAll(at))
	}
}

// program is the built program with one configuration.
type program struct {
	tb     testing.TB
	bin    string
	config string
	srv    servers.S3
}

// run runs a command and returns its peak resident size in MiB.
func (p program) run(args ...string) float64 {
	p.tb.Helper()
	cmd := exec.Command(p.bin, append(args, "--config", p.config)...)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "AWS_") && !strings.HasPrefix(v, "GOMEMLIMIT=") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, "AWS_ACCESS_KEY_ID="+p.srv.AccessKey, "AWS_SECRET_ACCESS_KEY="+p.srv.SecretKey, "AWS_EC2_METADATA_DISABLED=true")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	must(p.tb, cmd.Start())
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	// What the kernel says of an ended child counts in what its parent had at the fork: the high-water mark is looked up while the child lives.
	peak := 0.0
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			if err != nil {
				p.tb.Fatalf("farshore %s: %v\n%s", strings.Join(args, " "), err, &out)
			}
			return peak
		case <-tick.C:
			if now, ok := highWater(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid)); ok {
				peak = max(peak, now)
			}
		}
	}
}
