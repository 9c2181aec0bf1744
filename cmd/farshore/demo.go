package main

import (
	"context"

	"github.com/spf13/cobra"
)

// demoOptions are what demo was asked for.
type demoOptions struct {
	// dir is where the demo lives and stays; "" for a temporary directory that is removed.
	dir string
}

func demoCommand(e *env) *cobra.Command {
	var o demoOptions
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show everything on this machine, with nothing but this program",
		Long: `Play the whole story on this machine in under a minute: an embedded S3 server is the primary cloud, a directory the second.
A bucket is replicated, changed and replicated again; an intruder deletes everything at the primary; the vault restores it, and every
byte is compared.

Exit codes: 0 everything came back, 1 failed, 4 something did not come back, 130 interrupted.`,
		Example: "  farshore demo\n  farshore demo --dir /tmp/farshore-demo",
		Args:    arguments(0, 0, ""),
	}
	cmd.Flags().StringVar(&o.dir, "dir", "", "new `DIRECTORY` to use and keep (default: a temporary one that is removed)")
	return e.does(cmd, func(ctx context.Context, args []string) (result, error) {
		return runDemo(ctx, e, o)
	})
}

// runDemo plays the demo.
func runDemo(ctx context.Context, e *env, o demoOptions) (result, error) {
	return nil, unavailable("demo")
}
