package bus

import (
	"strings"
	"testing"
)

func TestCheckURL(t *testing.T) {
	for _, good := range []string{
		"h", "h:4222", "nats://h:4222", "tls://user:p%23ss@h:4222", "nats://a:4222, nats://b:4222,", "ws://h:80", "nats://[::1]:4222",
	} {
		if err := CheckURL(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for bad, says := range map[string]string{
		"": "no NATS server", " , ": "no NATS server", "foo bar": "1 of 1", "http://h:80": "1 of 1", "nats://": "1 of 1",
		"nats://h,nats://user:secret word@h": "2 of 2", "nats://user:secret/word@h": "1 of 1", "nats://user:secret%@h": "1 of 1",
		"nats://user:secret#@h": "1 of 1",
	} {
		err := CheckURL(bad)
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: error %v, want one that says %q and no secret", bad, err, says)
		}
	}
}

func TestConnectHidesPasswords(t *testing.T) {
	for _, url := range []string{
		"nats://user:secret@127.0.0.1:1", "nats://user:secret word@127.0.0.1:1", "nats://user:secret/word@127.0.0.1:1", "user:p@secret@127.0.0.1:1",
		"nats://user:x@127.0.0.1:1,nats://user:secret%@127.0.0.1:1",
	} {
		b, err := Connect(Options{URL: url})
		if err == nil {
			b.Close()
			t.Fatalf("%s: somebody answers", url)
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: error %v", url, err)
		}
	}
}
