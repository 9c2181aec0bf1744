package s3_test

import (
	"encoding/base64"
	"encoding/hex"
)

func hexOf(sum [32]byte) string    { return hex.EncodeToString(sum[:]) }
func base64Of(sum [32]byte) string { return base64.StdEncoding.EncodeToString(sum[:]) }
