package main

import (
	"fmt"
	"net"
	"os"
	"time"

	"github.com/spf13/pflag"

	"github.com/zstats/zstats/pkg/account"
	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/config"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/keypair"
)

// settings are all that the services can be told. Each is a flag, and by the same name an environment variable and an entry of
// the configuration file; see package config. Every service takes those of the groups that it needs.
type settings struct {
	config       string
	legacyConfig string
	logLevel     string
	logFormat    string
	adminAddr    string
	pprof        bool

	dataDir         string
	filesDir        string
	natsURL         string
	natsCredentials string
	natsReplicas    int
	logReserve      size
	workerID        string

	rawAge       time.Duration
	rawBytes     size
	scrapesBytes size
	eventsAge    time.Duration
	unackedAge   time.Duration
	eventsBytes  size
	deadAge      time.Duration
	headLimit    time.Duration

	accounts    []string
	accountFile string

	ingestAddr    string
	ingestTLS     keyFiles
	ingestMinPoll time.Duration

	notifierAddr         string
	notifierTLS          keyFiles
	notifierRequireToken bool
	push                 pushSettings

	assemblerCache size
	assemblerBatch int
	strict         []string
	writerCache    size
	writerReserve  size
	retention      retentionSettings

	collectSelf         bool
	collectSelfInterval time.Duration
}

// keyFiles name a certificate and its key; both or neither.
type keyFiles struct{ cert, key string }

// secret marks a flag whose value must not be shown.
func secret(f *pflag.FlagSet, name string) {
	_ = f.SetAnnotation(name, config.SecretAnnotation, []string{name}) // fails only for a flag that isn't there
}

// group registers flags that belong together.
type group func(*settings, *pflag.FlagSet)

// commonFlags are those of every service.
func commonFlags(s *settings, f *pflag.FlagSet) {
	f.StringVar(&s.config, "config", "", "YAML file with settings by the names of the flags")
	f.StringVar(&s.legacyConfig, "legacy-config", "", "configuration file of the older server, for what nothing else sets; also "+config.LegacyVariable)
	f.StringVar(&s.logLevel, "log.level", "info", "debug, info, warn or error")
	f.StringVar(&s.logFormat, "log.format", "console", "console or json")
	f.StringVar(&s.adminAddr, "admin.addr", "127.0.0.1:9907", "where /metrics, /-/healthy and /-/ready are, HOST:PORT")
	f.BoolVar(&s.pprof, "admin.pprof", false, "serve profiles under /debug/pprof/ on the admin address")
}

// logFlags say where the log is.
func logFlags(s *settings, f *pflag.FlagSet) {
	f.StringVar(&s.natsURL, "nats-url", "", "external NATS servers with JetStream, nats://[USER:PASSWORD@]HOST:PORT, separated by commas")
	secret(f, "nats-url")
	f.StringVar(&s.natsCredentials, "nats.credentials", "", "NATS credentials file")
	f.IntVar(&s.natsReplicas, "nats.replicas", 1, "copies of every stream: 1, or 3 or 5 in a cluster")
}

// streamFlags bound the streams. All services of one log must agree on them.
func streamFlags(s *settings, f *pflag.FlagSet) {
	f.DurationVar(&s.rawAge, "raw.age", 24*time.Hour, "how long what collectors sent is kept for replays")
	f.Var(&s.rawBytes, "raw.bytes", "most bytes of what collectors sent, as 20GiB; ingest answers 503 when it is reached; 0 for no limit")
	f.Var(&s.scrapesBytes, "scrapes.bytes", "most bytes of rebuilt scrapes in the log; the assembler waits when it is reached; 0 for no limit")
	f.DurationVar(&s.eventsAge, "events.age", 7*24*time.Hour, "how long events are kept")
	f.DurationVar(&s.unackedAge, "events.unacknowledged-age", 30*24*time.Hour, "how long events are kept that a named position has not acknowledged, if that is longer")
	f.Var(&s.eventsBytes, "events.bytes", "most bytes of events, of which old ones go first; 0 for no limit")
	f.DurationVar(&s.deadAge, "dead.age", 30*24*time.Hour, "how long dead letters are kept")
	f.DurationVar(&s.headLimit, "ingest.head-limit", 6*time.Hour, "how long a target may be silent before it must send a full blob; less than raw.age")
}

// accountFlags say who may come in.
func accountFlags(s *settings, f *pflag.FlagSet) {
	f.StringArrayVar(&s.accounts, "account", nil, "account and its token, NAME:TOKEN or NAME@SOURCE:TOKEN, repeatable")
	secret(f, "account")
	f.StringVar(&s.accountFile, "account-file", "", "file with accounts as --account takes them, one a line; read again on SIGHUP")
}

func ingestFlags(s *settings, f *pflag.FlagSet) {
	f.StringVar(&s.ingestAddr, "ingest.addr", "127.0.0.1:9905", "where collectors send scrapes, HOST:PORT")
	f.StringVar(&s.ingestTLS.cert, "ingest.tls-cert", "", "PEM file with ingest's certificate, for HTTPS; read again when it changes")
	f.StringVar(&s.ingestTLS.key, "ingest.tls-key", "", "PEM file with the key of ingest's certificate")
	f.DurationVar(&s.ingestMinPoll, "ingest.min-poll", 0, "least time between two scrapes of a target that collectors are told, up to 127s; 0 leaves it to them")
}

func notifierFlags(s *settings, f *pflag.FlagSet) {
	f.StringVar(&s.notifierAddr, "notifier.addr", "127.0.0.1:9906", "where consumers subscribe to events by gRPC, HOST:PORT")
	f.StringVar(&s.notifierTLS.cert, "notifier.tls-cert", "", "PEM file with the notifier's certificate, for TLS; read again when it changes")
	f.StringVar(&s.notifierTLS.key, "notifier.tls-key", "", "PEM file with the key of the notifier's certificate")
	f.BoolVar(&s.notifierRequireToken, "notifier.require-token", false, "let only subscribers with an account's token in, each to the events of its account")
	s.push.register(f)
}

func workerFlags(s *settings, f *pflag.FlagSet) {
	f.StringVar(&s.workerID, "worker.id", "", "name of this worker, of letters, digits, '-' and '_', that no other one has; made up if empty")
}

func assemblerFlags(s *settings, f *pflag.FlagSet) {
	s.assemblerCache = 512 << 20
	f.Var(&s.assemblerCache, "assembler.cache-bytes", "memory for the states of targets between batches")
	f.IntVar(&s.assemblerBatch, "assembler.batch", 0, "most messages in a batch; 0 for 400")
	f.StringArrayVar(&s.strict, "assembler.strict", nil, "account that wants a full blob as soon as a value can't be proven, repeatable")
}

func writerFlags(s *settings, f *pflag.FlagSet) {
	s.writerCache, s.writerReserve = 256<<20, 64<<20
	f.Var(&s.writerCache, "writer.cache-bytes", "memory for prepared schemas")
	f.Var(&s.writerReserve, "writer.reserve", "free space of the files' disk below which nothing is written")
}

// embeddedFlags are about the embedded log.
func embeddedFlags(s *settings, f *pflag.FlagSet) {
	f.Var(&s.logReserve, "log.reserve", "free space of the embedded log's disk below which ingest answers 503; 0 for a twentieth of the disk, 256MiB to 5GiB")
}

// dataDirFlag says where files are, and the log if it is embedded.
func dataDirFlag(s *settings, f *pflag.FlagSet) {
	f.StringVar(&s.dataDir, "data-dir", "./data", "directory of the files, in files/, and of the embedded log, in jetstream/")
	f.StringVar(&s.filesDir, "files-dir", "", "directory of the files, if it is to be another one than files/ in data-dir")
}

func collectSelfFlags(s *settings, f *pflag.FlagSet) {
	f.BoolVar(&s.collectSelf, "collect-self", true, "scrape zstats itself and send it to its own ingest")
	f.DurationVar(&s.collectSelfInterval, "collect-self.interval", 5*time.Second, "how often zstats scrapes itself")
}

// allGroups are the groups of all services.
func allGroups() []group {
	return []group{
		commonFlags, logFlags, streamFlags, accountFlags, ingestFlags, notifierFlags, workerFlags, assemblerFlags, writerFlags,
		retentionFlags, dataDirFlag, embeddedFlags, collectSelfFlags,
	}
}

// knownSetting tells whether any service has a setting of this name.
func knownSetting(name string) bool {
	f := pflag.NewFlagSet("", pflag.ContinueOnError)
	for _, register := range allGroups() {
		register(new(settings), f)
	}
	return f.Lookup(name) != nil
}

// strays returns the environment variables that look like settings of zstats and are none.
func strays() []string {
	known := map[string]bool{tokenVariable: true}
	learn := func(f *pflag.Flag) { known[config.Variable(f.Name)] = true }
	for _, register := range allGroups() {
		f := pflag.NewFlagSet("", pflag.ContinueOnError)
		register(new(settings), f)
		f.VisitAll(learn)
	}
	collectCommand().Flags().VisitAll(learn)
	return config.Strays(os.Environ(), func(name string) bool { return known[name] })
}

// files returns the directory of files.
func (s *settings) files() string {
	if s.filesDir != "" {
		return s.filesDir
	}
	return filesDir(s.dataDir)
}

// reannounce is how old the last publication of a schema may be before it is published again.
const reannounce = 24 * time.Hour

// validateStreams checks what all services have in common.
func (s *settings) validateStreams() error {
	switch {
	case s.headLimit <= 0 || s.headLimit >= s.rawAge:
		return fmt.Errorf("ingest.head-limit is %s and raw.age is %s: the limit must be positive and less than the age", s.headLimit, s.rawAge)
	case s.unackedAge < 0:
		return fmt.Errorf("events.unacknowledged-age is %s: it must not be negative", s.unackedAge)
	case s.eventsAge <= 0 || s.deadAge <= 0:
		return fmt.Errorf("events.age is %s and dead.age is %s: both must be positive", s.eventsAge, s.deadAge)
	case s.natsReplicas < 1 || s.natsReplicas > 5 || s.natsReplicas%2 == 0:
		return fmt.Errorf("nats.replicas is %d: want 1, 3 or 5", s.natsReplicas)
	case s.natsReplicas > 1 && s.natsURL == "":
		return fmt.Errorf("nats.replicas is %d, but the embedded log has one copy: name a cluster with nats-url", s.natsReplicas)
	}
	if s.natsURL != "" {
		if err := bus.CheckURL(s.natsURL); err != nil {
			return fmt.Errorf("nats-url: %w", err)
		}
	}
	return hostPort("admin.addr", s.adminAddr)
}

// validateAccounts checks the accounts that no file has.
func (s *settings) validateAccounts() error {
	_, err := account.Parse(s.accounts)
	return err
}

func (s *settings) validateIngest() error {
	return firstError(hostPort("ingest.addr", s.ingestAddr), s.ingestTLS.validate("ingest"))
}

func (s *settings) validateNotifier() error {
	return firstError(hostPort("notifier.addr", s.notifierAddr), s.notifierTLS.validate("notifier"), s.push.validate())
}

func hostPort(name, addr string) error {
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return fmt.Errorf("%s: %w: want HOST:PORT", name, err)
	}
	return nil
}

func (k keyFiles) validate(name string) error {
	if (k.cert == "") != (k.key == "") {
		return fmt.Errorf("%s.tls-cert and %s.tls-key belong together: give both, or neither", name, name)
	}
	return nil
}

// read reads the files, if there are any.
func (k keyFiles) read() error {
	if k.cert == "" {
		return nil
	}
	_, err := keypair.Load(k.cert, k.key, nil)
	return err
}

// scrapesAge keeps a target's state for as long as ingest may still take an increment to it.
func (s *settings) scrapesAge() time.Duration { return s.rawAge + s.headLimit }

// schemasAge keeps a schema for as long as a scrape may name it.
func (s *settings) schemasAge() time.Duration { return s.scrapesAge() + 2*reannounce }

// marksAge keeps a resync mark for longer than any head may live.
func (s *settings) marksAge() time.Duration { return s.headLimit + s.headLimit/2 }

func (s *settings) limits() event.Limits {
	return event.Limits{
		RawBytes: int64(s.rawBytes), ScrapesBytes: int64(s.scrapesBytes), EventsBytes: int64(s.eventsBytes),
		SchemasAge: s.schemasAge(), DeadAge: s.deadAge,
	}
}

// rawRule, scrapesRule and eventsRule say what may be removed from the front of a stream.
func (s *settings) rawRule() bus.TrimRule {
	return bus.TrimRule{
		Stream: event.Raw, Age: s.rawAge, Bytes: int64(s.rawBytes), Reader: event.StageAssembler, ReaderOutput: event.Scrapes,
		Subject: event.RawPartition,
	}
}

func (s *settings) scrapesRule() bus.TrimRule {
	return bus.TrimRule{
		Stream: event.Scrapes, Age: s.scrapesAge(), Bytes: int64(s.scrapesBytes),
		Reader: event.StageWriter, ReaderOutput: event.Events, Subject: event.ScrapePartition, Writer: event.StageAssembler,
	}
}

func (s *settings) eventsRule() bus.TrimRule {
	return bus.TrimRule{
		Stream: event.Events, Age: s.eventsAge, HeldAge: max(s.unackedAge, s.eventsAge), Bytes: int64(s.eventsBytes),
		Writer: event.StageWriter,
	}
}
