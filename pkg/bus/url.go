package bus

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// CheckURL reports what is wrong with the URLs of Options, or nil. Like all errors of connecting it shows neither user nor password.
func CheckURL(urls string) error {
	all := serversOf(urls)
	if len(all) == 0 {
		return fmt.Errorf("no NATS server is named: want nats://[USER:PASSWORD@]HOST:PORT")
	}
	for i, server := range all {
		if !validServer(server) {
			return fmt.Errorf("the URL of NATS server %d of %d is none: want nats://[USER:PASSWORD@]HOST:PORT, "+
				"or with tls, ws or wss, and %%-encoded what is special in a password", i+1, len(all))
		}
	}
	return nil
}

// serversOf returns each of several URLs.
func serversOf(urls string) (all []string) {
	for s := range strings.SplitSeq(urls, ",") {
		if s = strings.TrimSpace(s); s != "" {
			all = append(all, s)
		}
	}
	return all
}

func validServer(server string) bool {
	if !strings.Contains(server, "://") {
		server = "nats://" + server
	}
	u, err := url.Parse(server) // its error has the URL in it, or a part
	if err != nil {
		return false
	}
	return slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme) && u.Hostname() != ""
}

// redacted shows URLs without their users and passwords.
func redacted(urls string) string {
	var out strings.Builder
	for _, server := range serversOf(urls) {
		if _, rest, ok := strings.Cut(server, "://"); ok {
			server = rest
		}
		out.WriteString(" " + server[strings.LastIndex(server, "@")+1:])
	}
	return out.String()
}
