package config

import (
	"regexp"
	"slices"
	"strings"
)

// Strays returns the variables of an environment, given as by os.Environ, that begin with Prefix and are not known, sorted:
// misspelled ones, mostly. Those that Docker and Kubernetes make up for a service are left out.
func Strays(environ []string, known func(variable string) bool) (names []string) {
	// As for ZSTATS_INGEST, see "Environment variables" in https://kubernetes.io/docs/concepts/services-networking/service/.
	madeUp := regexp.MustCompile(`_SERVICE_HOST$|_SERVICE_PORT(_[A-Z0-9_]+)?$|_PORT$|_PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$`)
	for _, variable := range environ {
		name, _, _ := strings.Cut(variable, "=")
		if strings.HasPrefix(name, Prefix) && !madeUp.MatchString(name) && !known(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
