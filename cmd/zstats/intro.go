package main

import (
	"fmt"
	"net"
	"os"
)

// introduce says, when `zstats run` starts, where everything is and what to try next.
func (p *process) introduce(ingestAddr, notifierAddr net.Addr) {
	out := p.out
	server := "http"
	if p.settings.ingestTLS.cert != "" {
		server = "https"
	}
	server += "://" + dialable(ingestAddr.String())
	events := dialable(notifierAddr.String())
	fmt.Fprintf(out, "zstats %s is starting, all data in %s\n\n", versionString(), p.dir.path)
	fmt.Fprintf(out, "  scrapes go to   %s/api/v1/zstats\n", server)
	fmt.Fprintf(out, "  files           %s\n", p.settings.files())
	fmt.Fprintf(out, "  events          %s (gRPC)\n", events)
	fmt.Fprintf(out, "  metrics         http://%s/metrics\n", dialable(p.admin.Addr()))
	token := p.introduceToken()
	fmt.Fprintf(out, "\nTry next, in another terminal:\n\n")
	fmt.Fprintf(out, "  %s tail%s\n", os.Args[0], unlessDefault(" --notifier ", events, "127.0.0.1:9906"))
	fmt.Fprintf(out, "  %s collect --server %s --token %s --target node=http://localhost:9100/metrics\n", os.Args[0], server, token)
	if p.settings.collectSelf {
		fmt.Fprintf(out, "  zcat $(find %s -name '*.data.gz' | sort | tail -1) | head\n", p.settings.files())
	}
	fmt.Fprintln(out)
}

// introduceToken says what the token of the account "default" is, if there is one, and returns how to write it in a shell.
func (p *process) introduceToken() string {
	if len(p.settings.accounts) > 0 || p.settings.accountFile != "" {
		return "TOKEN"
	}
	file := p.dir.tokenFile()
	token, err := p.dir.defaultToken() // it is there by now
	if p.dir.freshToken && err == nil {
		fmt.Fprintf(p.out, "  account         default, its token is %s (shown this once, kept in %s)\n", token, file)
		return token
	}
	fmt.Fprintf(p.out, "  account         default, its token is in %s\n", file)
	return "$(cat " + file + ")"
}

func unlessDefault(flag, value, standard string) string {
	if value == standard {
		return ""
	}
	return flag + value
}
