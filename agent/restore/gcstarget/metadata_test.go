package gcstarget

import (
	"testing"

	"farshore/agent/record"
)

func TestCRC32COf(t *testing.T) {
	for name, tt := range map[string]struct {
		attrs record.Attrs
		sum   uint32
		ok    bool
	}{
		"of 123456789": {record.Attrs{"c:crc32c": "4waSgw==", "c:type": "FULL_OBJECT"}, 0xe3069283, true},
		"none":         {record.Attrs{}, 0, false},
		"of parts":     {record.Attrs{"c:crc32c": "4waSgw==", "c:type": "COMPOSITE"}, 0, false},
		"parts' form":  {record.Attrs{"c:crc32c": "4waSgw==-3"}, 0, false},
		"too long":     {record.Attrs{"c:crc32c": "4waSgwAA"}, 0, false},
	} {
		if sum, ok := crc32cOf(tt.attrs); sum != tt.sum || ok != tt.ok {
			t.Errorf("%s: %08x, %v", name, sum, ok)
		}
	}
}
