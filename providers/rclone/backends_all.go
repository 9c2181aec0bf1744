//go:build rclone_all

package rclone

// All of rclone's backends.
import _ "github.com/rclone/rclone/backend/all"
