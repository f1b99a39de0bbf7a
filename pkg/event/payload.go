package event

import (
	"fmt"

	"github.com/golang/snappy"
	"google.golang.org/protobuf/proto"
)

// MaxPayload bounds what a payload may decompress to, in bytes: well above a full blob of 500,000 series, far below what
// would hurt a process.
const MaxPayload = 1 << 30

// Marshal encodes a payload: protobuf, compressed with snappy.
func Marshal(m proto.Message) ([]byte, error) {
	raw, err := proto.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", m.ProtoReflect().Descriptor().FullName(), err)
	}
	return snappy.Encode(nil, raw), nil
}

// Unmarshal decodes a payload of Marshal into m.
func Unmarshal(data []byte, m proto.Message) error {
	name := m.ProtoReflect().Descriptor().FullName()
	n, err := snappy.DecodedLen(data)
	if err != nil {
		return fmt.Errorf("decode %s: %w", name, err)
	}
	if n > MaxPayload {
		return fmt.Errorf("decode %s: payload of %d bytes exceeds %d", name, n, MaxPayload)
	}
	raw, err := snappy.Decode(nil, data)
	if err != nil {
		return fmt.Errorf("decode %s: %w", name, err)
	}
	if err := proto.Unmarshal(raw, m); err != nil {
		return fmt.Errorf("decode %s: %w", name, err)
	}
	return nil
}
