package config

import (
	"fmt"
	"strings"
)

// Values of Config.ReadBack beside a share: everything of a small commit and a sample of a large one, and nothing.
const (
	ReadBackAuto = "auto"
	ReadBackOff  = "off"
)

// ReadBackShare is the share of Config.ReadBack, from 0 to 1; 0 is none, and auto says that it is ReadBackAuto.
func (c *Config) ReadBackShare() (share float64, auto bool) {
	switch c.ReadBack {
	case ReadBackAuto, "":
		return 0, true
	case ReadBackOff:
		return 0, false
	}
	share, err := ParseShare(c.ReadBack)
	return share, err != nil // which the file's reading does not let pass
}

func checkReadBack(s string) error {
	if s == ReadBackAuto || s == ReadBackOff {
		return nil
	}
	if _, err := ParseShare(s); err != nil || !strings.HasSuffix(s, "%") {
		return fmt.Errorf("%q is neither %s nor %s nor a share such as 10%%", s, ReadBackAuto, ReadBackOff)
	}
	return nil
}
