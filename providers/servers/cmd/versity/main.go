// Command versity is the S3 server that tests and benchmarks run in a process of its own: versitygw over a directory. It is not part of
// the product.
//
// It ends when its standard input does, so that it never outlives the test that started it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/embedgw"
)

func main() {
	dir := flag.String("dir", "", "directory that holds the data")
	listen := flag.String("listen", "127.0.0.1:7070", "address to listen on")
	root := flag.String("root", "", "access key and secret of the owner, as key:secret")
	guest := flag.String("guest", "", "access key and secret of a second account without any rights of its own, as key:secret")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // nothing is ever sent: this waits for the end
		cancel()
	}()
	if err := serve(ctx, *dir, *listen, *root, *guest); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "versity:", err)
		os.Exit(1)
	}
}

func serve(ctx context.Context, dir, listen, root, guest string) error {
	dirs := map[string]string{"data": "", "versions": "", "iam": ""}
	for name := range dirs {
		dirs[name] = filepath.Join(dir, name)
		if err := os.MkdirAll(dirs[name], 0o755); err != nil {
			return err
		}
	}
	owner := account(root, auth.RoleAdmin)
	iam, err := auth.NewInternal(owner, dirs["iam"])
	if err != nil {
		return err
	}
	if guest != "" {
		if err := iam.CreateAccount(account(guest, auth.RoleUser)); err != nil {
			return err
		}
	}
	store, opts, err := metadata(dir, dirs["data"])
	if err != nil {
		return err
	}
	opts.VersioningDir = dirs["versions"]
	opts.CopyObjectThreshold = 5 << 30 // the largest source of a copy; as on AWS
	backend, err := posix.New(dirs["data"], store, opts)
	if err != nil {
		return err
	}
	return embedgw.RunVersityGW(ctx, backend, &embedgw.Config{
		RootUserAccess: owner.Access, RootUserSecret: owner.Secret, Region: "us-east-1", Ports: []string{listen},
		MaxConnections: 10000, MaxRequests: 5000, MultipartMaxParts: 10000, Quiet: true, KeepAlive: true,
		HealthPath: "/health", IAMService: iam,
	})
}

// metadata keeps what S3 knows of an object in extended attributes, or beside the data where the file system has none.
func metadata(dir, data string) (meta.MetadataStorer, posix.PosixOpts, error) {
	if (meta.XattrMeta{}).Test(data) == nil {
		return meta.XattrMeta{}, posix.PosixOpts{}, nil
	}
	side := filepath.Join(dir, "meta")
	if err := os.MkdirAll(side, 0o755); err != nil {
		return nil, posix.PosixOpts{}, err
	}
	store, err := meta.NewSideCar(side)
	return store, posix.PosixOpts{SideCarDir: side}, err
}

func account(pair string, role auth.Role) auth.Account {
	key, secret, _ := strings.Cut(pair, ":")
	return auth.Account{Access: key, Secret: secret, Role: role}
}
