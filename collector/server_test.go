package collector

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/zstats/zstats/pkg/scrape"
	"github.com/zstats/zstats/pkg/zstatsv1"
)

const testToken = "secret"

// wireBlob is what a request said of one blob.
type wireBlob struct {
	target string
	gen    int64
	full   bool
}

// stored is a scrape that the server has rebuilt.
type stored struct {
	schema *scrape.Schema
	scrape scrape.Scrape
}

// testServer keeps the contract of zstats v1 with the same decoder and the same fold as the real one. Faults are told it
// in advance, one for each request to come.
type testServer struct {
	t *testing.T

	mu       sync.Mutex // guards all below
	faults   []fault
	constant fault // for requests for which there is no other; nil for none
	states   map[string]*scrape.State
	schemas  map[string]*scrape.Schema
	resync   map[string]bool // targets whose incrementals get code 1 until a full one has come
	refuse   func(in *zstatsv1.Instance) bool
	minPoll  time.Duration
	rebuilt  map[string][]stored
	requests [][]wireBlob
	times    []time.Time // of the requests
	bytes    int
}

// exchange is one request, with what a fault may do about it.
type exchange struct {
	*testServer
	w       http.ResponseWriter
	r       *http.Request
	request *zstatsv1.Request
}

// fault answers a request in its own way. It runs under the server's lock.
type fault func(x *exchange)

func newTestServer(t *testing.T) *testServer {
	return &testServer{
		t:       t,
		states:  make(map[string]*scrape.State),
		schemas: make(map[string]*scrape.Schema),
		resync:  make(map[string]bool),
		rebuilt: make(map[string][]stored),
	}
}

func (s *testServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost || r.URL.Path != "/api/v1/zstats" || r.Header.Get("Zebrium-Token") != testToken ||
		r.Header.Get("Content-Type") != "application/octet-stream" || r.Header.Get("Content-Encoding") != "" {
		s.t.Errorf("request breaks the contract: %s %s %v", r.Method, r.URL, r.Header)
	}
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return // the collector has given up
	}
	x := &exchange{testServer: s, w: w, r: r, request: s.decode(data)}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.note(x.request, len(data))
	s.nextFault()(x)
}

func (s *testServer) decode(data []byte) *zstatsv1.Request {
	var z zstatsv1.Decompressor
	body, err := z.Append(nil, bytes.NewReader(data), 1<<30)
	if err != nil {
		s.t.Errorf("decompress request: %v", err)
		panic(http.ErrAbortHandler)
	}
	d, err := zstatsv1.NewDecoder(zstatsv1.DefaultLimits())
	if err != nil {
		s.t.Fatal(err)
	}
	request, err := d.Decode(body)
	if err == nil {
		err = request.Check()
	}
	if err != nil || request.Token != testToken {
		s.t.Errorf("decode request with token %q: %v", request.Token, err)
		panic(http.ErrAbortHandler)
	}
	return request
}

func (s *testServer) note(r *zstatsv1.Request, size int) {
	var blobs []wireBlob
	for i := range r.IData {
		blobs = append(blobs, wireBlob{r.IData[i].Instance, r.IData[i].Gen, !r.IData[i].IsIncr})
	}
	s.requests = append(s.requests, blobs)
	s.times = append(s.times, time.Now())
	s.bytes += size
}

func (s *testServer) nextFault() fault {
	switch {
	case len(s.faults) > 0:
		f := s.faults[0]
		s.faults = s.faults[1:]
		return f
	case s.constant != nil:
		return s.constant
	}
	return answerNormally
}

// set changes the server between requests.
func (s *testServer) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// store is what the contract wants: it returns the codes of the instances.
func (x *exchange) store(instances []zstatsv1.Instance) []int8 {
	codes := make([]int8, len(instances))
	asked := make(map[string]bool)
	for i := range instances {
		in := &instances[i]
		codes[i] = zstatsv1.CodeSendFull
		if !asked[in.Instance] {
			codes[i] = x.apply(in)
		}
		asked[in.Instance] = asked[in.Instance] || codes[i] == zstatsv1.CodeSendFull
	}
	return codes
}

func (s *testServer) apply(in *zstatsv1.Instance) int8 {
	blob, err := in.Blob(zstatsv1.DefaultLimits())
	switch {
	case errors.Is(err, zstatsv1.ErrRefused) || s.refuse != nil && s.refuse(in):
		return zstatsv1.CodeFailed
	case err != nil:
		s.t.Errorf("blob %d of %s: %v", in.Gen, in.Instance, err)
		return zstatsv1.CodeSendFull
	case !blob.Full() && s.resync[in.Instance]:
		return zstatsv1.CodeSendFull
	}
	state, out := s.states[in.Instance].Apply(blob, scrape.Arrival{Received: time.Now().UnixMicro()})
	switch out.Verdict {
	case scrape.Accepted:
		s.keep(in.Instance, blob, state)
		return zstatsv1.CodeStored
	case scrape.Duplicate:
		return zstatsv1.CodeStored
	}
	return zstatsv1.CodeSendFull
}

func (s *testServer) keep(target string, blob *scrape.Blob, state *scrape.State) {
	if blob.Full() {
		s.schemas[target] = blob.Schema
		delete(s.resync, target)
	}
	s.states[target] = state
	s.rebuilt[target] = append(s.rebuilt[target], stored{s.schemas[target], state.Scrape})
}

func (x *exchange) reply(r *zstatsv1.Response) { _, _ = x.w.Write(zstatsv1.AppendResponse(nil, r)) }

// The faults. Those of lossless make the collector repeat itself, and lose nothing.

func answerNormally(x *exchange) {
	x.reply(zstatsv1.NewResponse(x.minPoll, x.store(x.request.IData)))
}

func answerStatus(status int, header ...string) fault {
	return func(x *exchange) {
		for i := 0; i+1 < len(header); i += 2 {
			x.w.Header().Set(header[i], header[i+1])
		}
		http.Error(x.w, "not now", status)
	}
}

// cut ends the connection without having kept anything.
func cut(*exchange) { panic(http.ErrAbortHandler) }

// storeAndCut keeps everything and loses the answer.
func storeAndCut(x *exchange) {
	x.store(x.request.IData)
	panic(http.ErrAbortHandler)
}

// storeHalf keeps the first half and is overloaded then.
func storeHalf(x *exchange) {
	x.store(x.request.IData[:len(x.request.IData)/2])
	http.Error(x.w, "overloaded", http.StatusServiceUnavailable)
}

// storeAndHang keeps everything and does not answer until the collector has given up.
func storeAndHang(x *exchange) {
	x.store(x.request.IData)
	hang(x)
}

// hang must not keep the lock: the health check and the test's end need it.
func hang(x *exchange) {
	x.mu.Unlock()
	<-x.r.Context().Done()
	x.mu.Lock()
}

// forget loses every target's last scrape, as a server does that starts with an empty cache.
func forget(x *exchange) {
	for target := range x.states {
		x.resync[target] = true
	}
	answerNormally(x)
}

// forgetAndCut loses every target's last scrape, and then the request.
func forgetAndCut(x *exchange) {
	for target := range x.states {
		x.resync[target] = true
	}
	panic(http.ErrAbortHandler)
}

func answerText(text string) fault {
	return func(x *exchange) { x.reply(zstatsv1.ErrorResponse(text)) }
}

// storeAndSay keeps everything, and answers with bytes that are no valid reply.
func storeAndSay(data func(codes []int8) []byte) fault {
	return func(x *exchange) { _, _ = x.w.Write(data(x.store(x.request.IData))) }
}

func garbage([]int8) []byte { return []byte("<html>502 Bad Gateway</html>") }

func shortCodes(codes []int8) []byte {
	return zstatsv1.AppendResponse(nil, zstatsv1.NewResponse(0, codes[:max(0, len(codes)-1)]))
}

func otherVersion(codes []int8) []byte {
	r := zstatsv1.NewResponse(0, codes)
	r.Version = 2
	return zstatsv1.AppendResponse(nil, r)
}

func truncated(codes []int8) []byte {
	data := zstatsv1.AppendResponse(nil, zstatsv1.NewResponse(0, codes))
	return data[:len(data)/2]
}

// lossless returns every fault after which nothing may be missing.
func lossless() map[string]fault {
	return map[string]fault{
		"503":                  answerStatus(http.StatusServiceUnavailable),
		"503 with Retry-After": answerStatus(http.StatusServiceUnavailable, "Retry-After", "7"),
		"500":                  answerStatus(http.StatusInternalServerError),
		"502":                  answerStatus(http.StatusBadGateway),
		"504":                  answerStatus(http.StatusGatewayTimeout),
		"408":                  answerStatus(http.StatusRequestTimeout),
		"429":                  answerStatus(http.StatusTooManyRequests, "Retry-After", "3"),
		"401":                  answerStatus(http.StatusUnauthorized),
		"403":                  answerStatus(http.StatusForbidden),
		"404":                  answerStatus(http.StatusNotFound),
		"redirect":             answerStatus(http.StatusFound, "Location", "http://elsewhere/"),
		"Err":                  answerText("not today"),
		"cut":                  cut,
		"store and cut":        storeAndCut,
		"store half":           storeHalf,
		"hang":                 hang,
		"store and hang":       storeAndHang,
		"forget":               forget,
		"forget and cut":       forgetAndCut,
		"garbage":              storeAndSay(garbage),
		"short codes":          storeAndSay(shortCodes),
		"other version":        storeAndSay(otherVersion),
		"truncated":            storeAndSay(truncated),
	}
}

// sortedNames returns the names of faults in a fixed order.
func sortedNames(faults map[string]fault) []string {
	names := make([]string, 0, len(faults))
	for name := range faults {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
