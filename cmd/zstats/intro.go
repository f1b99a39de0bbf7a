package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// introduction is what `zstats run` says when it starts.
type introduction struct {
	token string // of the account "default"; empty if accounts were named
	fresh bool   // the token was made just now
}

func (i *introduction) print(out io.Writer, p *pipeline) {
	server := "http://" + dialable(p.ingest.Addr().String())
	events := dialable(p.notifier.Addr().String())
	fmt.Fprintf(out, "zstats %s is starting, all data in %s\n\n", versionString(), p.dir.path)
	fmt.Fprintf(out, "  scrapes go to   %s/api/v1/zstats\n", server)
	fmt.Fprintf(out, "  files           %s\n", p.dir.files())
	fmt.Fprintf(out, "  events          %s (gRPC)\n", events)
	fmt.Fprintf(out, "  metrics         http://%s/metrics\n", dialable(p.admin.Addr()))
	token := "TOKEN"
	switch {
	case i.fresh:
		token = i.token
		fmt.Fprintf(out, "  account         default, its token is %s (shown this once, kept in %s)\n", i.token, filepath.Join(p.dir.path, "token"))
	case i.token != "":
		token = "$(cat " + filepath.Join(p.dir.path, "token") + ")"
		fmt.Fprintf(out, "  account         default, its token is in %s\n", filepath.Join(p.dir.path, "token"))
	}
	fmt.Fprintf(out, "\nTry next, in another terminal:\n\n")
	fmt.Fprintf(out, "  %s tail%s\n", os.Args[0], unlessDefault(" --notifier ", events, "127.0.0.1:9906"))
	fmt.Fprintf(out, "  %s collect --server %s --token %s --target node=http://localhost:9100/metrics\n", os.Args[0], server, token)
	if p.flags.collectSelf {
		fmt.Fprintf(out, "  zcat $(find %s -name '*.data.gz' | sort | tail -1) | head\n", p.dir.files())
	}
	fmt.Fprintln(out)
}

func unlessDefault(flag, value, standard string) string {
	if value == standard {
		return ""
	}
	return flag + value
}
