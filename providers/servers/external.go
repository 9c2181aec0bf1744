package servers

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// MinIOEnv names the environment variable with the path of the minio program, where it is not on PATH.
const MinIOEnv = "FARSHORE_TEST_MINIO"

// MinIO starts the external minio program over a directory of the test's own. Where there is none, the test is skipped (see Missing).
func MinIO(tb testing.TB) S3 {
	tb.Helper()
	program := os.Getenv(MinIOEnv)
	if program == "" {
		program = "minio"
	}
	path, err := exec.LookPath(program)
	if err != nil {
		Missing(tb, "minio", "go install github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c, or name the program in "+MinIOEnv)
	}
	dir, s := tb.TempDir(), S3{Region: "us-east-1", AccessKey: rootKey, SecretKey: token()}
	p, addr := launch(tb, "/minio/health/ready", func(addr string) *exec.Cmd {
		cmd := exec.Command(path, "server", "--quiet", "--address", addr, "--console-address", Unused(tb), filepath.Join(dir, "data"))
		cmd.Env = append(os.Environ(), "MINIO_ROOT_USER="+s.AccessKey, "MINIO_ROOT_PASSWORD="+s.SecretKey, "MINIO_BROWSER=off",
			"MINIO_UPDATE=off", "MINIO_CALLHOME_ENABLE=off", "HOME="+dir)
		return cmd
	})
	s.Endpoint, s.process, s.stop = "http://"+addr, p, p.stop
	return s
}

// VersityEnv names the environment variable with the path of a built cmd/versity, where it is not to be built.
const VersityEnv = "FARSHORE_TEST_VERSITY"

// Versity starts cmd/versity over a directory of the test's own: versitygw with versions, policies, locks and a second account. It builds the
// program first, into the user's cache folder; later calls find it there.
func Versity(tb testing.TB) S3 {
	tb.Helper()
	dir, s := tb.TempDir(), S3{Region: "us-east-1", AccessKey: rootKey, SecretKey: token(), guest: token()}
	path, unlock := versityProgram(tb)
	defer unlock()
	p, addr := launch(tb, "/health", func(addr string) *exec.Cmd {
		return exec.Command(path, "-dir", dir, "-listen", addr, "-root", rootKey+":"+s.SecretKey, "-guest", guestKey+":"+s.guest)
	})
	s.Endpoint, s.process, s.stop = "http://"+addr, p, p.stop
	return s
}

// versityProgram builds cmd/versity where it is not up to date. The lock keeps two test binaries from writing the same file, and the file
// from being replaced until the caller has started it.
func versityProgram(tb testing.TB) (path string, unlock func()) {
	tb.Helper()
	if path := os.Getenv(VersityEnv); path != "" {
		return path, func() {}
	}
	root := moduleRoot(tb)
	dir := cacheDir(tb, root)
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		tb.Fatal(err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		tb.Fatal(err)
	}
	path = filepath.Join(dir, "versity")
	build := exec.Command("go", "build", "-o", path, "./providers/servers/cmd/versity")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		_ = lock.Close() // the build's failure is what matters
		tb.Fatalf("go build of cmd/versity: %v\n%s", err, out)
	}
	return path, func() { _ = lock.Close() } // closing gives the lock back
}

// moduleRoot returns the folder of the module that the test runs in.
func moduleRoot(tb testing.TB) string {
	tb.Helper()
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		tb.Fatalf("go env GOMOD: %v", err)
	}
	root := filepath.Dir(strings.TrimSpace(string(out)))
	if _, err := os.Stat(filepath.Join(root, "providers", "servers", "cmd", "versity")); err != nil {
		tb.Fatalf("cmd/versity is not below %s: run the test in the module, or name a built program in %s", root, VersityEnv)
	}
	return root
}

// cacheDir returns a folder for the programs built from this module, in the user's cache or, without one, the system's temporary folder.
func cacheDir(tb testing.TB, root string) string {
	tb.Helper()
	base, err := os.UserCacheDir()
	if err != nil {
		base = os.TempDir()
	}
	sum := sha256.Sum256([]byte(root))
	dir := filepath.Join(base, "farshore-test", hex.EncodeToString(sum[:8]))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		tb.Fatal(err)
	}
	return dir
}
