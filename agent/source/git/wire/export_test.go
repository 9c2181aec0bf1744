package wire

import (
	"context"
	"time"
)

// AskFor makes the remote ask for a version of git's protocol.
func (r *Remote) AskFor(version int) { r.version = version }

// Sleep replaces how the remote waits between tries.
func (r *Remote) Sleep(f func(context.Context, time.Duration) error) { r.sleep = f }
