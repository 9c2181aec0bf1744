// Command farshore replicates buckets into a sealed, add-only vault at another cloud provider, and restores from it. It is where addresses become
// stores and sources (wire.go), where errors get hints and exit codes, and where what happened is said to people and programs. The work
// itself is done in agent; nothing here decides what is stored.
package main

import "os"

func main() { os.Exit(run(os.Args[1:], systemEnv())) }
