// Package python holds no Go but the test that the checked-in Python code is made from proto/zstats/v1/notifier.proto.
package python

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/zstats/zstats/pkg/event/eventpb"
)

const hint = "run 'make examples-proto'"

// TestMessages compares the definitions in the Python code with those in the Go code. It needs no Python.
func TestMessages(t *testing.T) {
	code, err := os.ReadFile("zstats/v1/notifier_pb2.py")
	if err != nil {
		t.Fatal(err)
	}
	literal := regexp.MustCompile(`AddSerializedFile\(b'(.*)'\)`).FindSubmatch(code)
	if literal == nil {
		t.Fatal("the code has no definitions")
	}
	got := new(descriptorpb.FileDescriptorProto)
	if err := proto.Unmarshal(bytesOf(t, string(literal[1])), got); err != nil {
		t.Fatal(err)
	}
	want := protodesc.ToFileDescriptorProto(eventpb.File_zstats_v1_notifier_proto)
	// Names in JSON follow from the others; the compiler leaves them out for Python.
	noJSON := protocmp.IgnoreFields(new(descriptorpb.FieldDescriptorProto), "json_name")
	if diff := cmp.Diff(want, got, protocmp.Transform(), noJSON); diff != "" {
		t.Errorf("%s: definitions (-Go +Python):\n%s", hint, diff)
	}
}

// TestMethods looks for each method of the service in the Python code.
func TestMethods(t *testing.T) {
	code, err := os.ReadFile("zstats/v1/notifier_pb2_grpc.py")
	if err != nil {
		t.Fatal(err)
	}
	service := eventpb.File_zstats_v1_notifier_proto.Services().Get(0)
	for i := range service.Methods().Len() {
		m := service.Methods().Get(i)
		path := "'/" + string(service.FullName()) + "/" + string(m.Name()) + "'"
		if !strings.Contains(string(code), path) {
			t.Errorf("%s: there is no method %s", hint, path)
		}
	}
	if paths := regexp.MustCompile(`channel\.\w+\(\s*'/`).FindAll(code, -1); len(paths) != service.Methods().Len() {
		t.Errorf("%s: there are %d methods, want %d", hint, len(paths), service.Methods().Len())
	}
}

// bytesOf returns what is between the quotes of a literal of bytes in Python. Go knows the same escapes but that of the quote.
func bytesOf(t *testing.T, literal string) []byte {
	t.Helper()
	text, err := strconv.Unquote(`"` + strings.NewReplacer(`\\`, `\\`, `\'`, `'`).Replace(literal) + `"`)
	if err != nil {
		t.Fatal(err)
	}
	return []byte(text)
}
