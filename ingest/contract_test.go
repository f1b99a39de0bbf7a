package ingest

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"encoding/gob"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/zstatsv1"
	"github.com/zstats/zstats/test/eventually"
)

func TestProbe(t *testing.T) {
	n := openNode(t, event.Limits{})
	r := start(t, n, nil)
	resp, err := r.client.Get(r.url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusOK || string(body) != "OK\n" {
		t.Errorf("GET: %d %q, want 200 OK", resp.StatusCode, body)
	}
}

func TestMethodsAndPaths(t *testing.T) {
	n := openNode(t, event.Limits{})
	r := start(t, n, nil)
	base := strings.TrimSuffix(r.url, Path)
	tests := []struct {
		method, path string
		status       int
	}{
		{http.MethodHead, Path, 200},
		{http.MethodPut, Path, 405},
		{http.MethodDelete, Path, 405},
		{http.MethodOptions, Path, 405},
		{http.MethodGet, "/", 404},
		{http.MethodPost, "/api/v1/zstats/", 404},
		{http.MethodPost, "/api/v2/zstats", 404},
		{http.MethodPut, "/api/v1", 404},
		{http.MethodPost, "//api/v1/zstats", 404},
	}
	for _, tt := range tests {
		t.Run(tt.method+" "+tt.path, func(t *testing.T) {
			q := r.request(t, reader(pack(newSource("h:1.j", 1, 2).next().full)))
			q.Method = tt.method
			u, err := q.URL.Parse(base)
			if err != nil {
				t.Fatal(err)
			}
			u.Path = tt.path
			q.URL = u
			got := r.do(t, q)
			if got.status != tt.status {
				t.Errorf("status %d, want %d", got.status, tt.status)
			}
			if allow := got.header.Get("Allow"); (allow != "") != (tt.status == 405) {
				t.Errorf("Allow is %q", allow)
			}
		})
	}
	n.wantRaw(t)
}

// TestHealthCheck sends the bytes of the wire contract, section 10, as a collector does that buffers.
func TestHealthCheck(t *testing.T) {
	n := openNode(t, event.Limits{})
	r := start(t, n, func(o *Options) { o.MinPoll = 90 * time.Second })
	value, err := hex.DecodeString("" +
		"407f030101075374576252657101ff80000104010756657273696f6e0104000105546f6b656e010c0001064e496e73747301040001" +
		"05494461746101ff8e00000021ff8d020101125b5d2a7a74797065732e537457624952657101ff8e0001ff8200005bff81030102ff" +
		"820001070108496e7374616e6365010c0001084e53616d706c657301040001064973496e6372010200010347656e01040001034754" +
		"73010400010753616d706c657301ff8a0001074f4c6162656c7301ff8c00000022ff89020101135b5d7a74797065732e5374576253" +
		"616d706c6501ff8a0001ff84000049ff830301010a5374576253616d706c6501ff84000106010349647801040001024c7301ff8800" +
		"010448656c70010c00010454797065010c0001025473010400010356616c010800000015ff87020101064c6162656c7301ff880001" +
		"ff86000026ff85030101054c6162656c01ff8600010201044e616d65010c00010556616c7565010c00000016ff8b020101085b5d73" +
		"7472696e6701ff8c00010c00000cff8001020105313233343500")
	if err != nil {
		t.Fatal(err)
	}
	got := r.post(t, squeeze(value))
	var reply struct { // as encoding/gob reads it, which collectors use
		Version, MinPollSecs int8
		Err                  string
		NInsts               int32
		IErrCodes            []int8
	}
	if err := gob.NewDecoder(bytes.NewReader(got.body)).Decode(&reply); err != nil || got.status != 200 {
		t.Fatalf("status %d: %v", got.status, err)
	}
	if reply.Version != 1 || reply.Err != "" || reply.NInsts != 0 || reply.MinPollSecs != 90 {
		t.Errorf("reply %+v, want Version 1, MinPollSecs 90 and nothing else", reply)
	}
}

// TestMinPollIsClamped: the wire has seven bits for it.
func TestMinPollIsClamped(t *testing.T) {
	n := openNode(t, event.Limits{})
	r := start(t, n, func(o *Options) { o.MinPoll = time.Hour })
	reply, err := zstatsv1.DecodeResponse(r.post(t, pack()).body)
	if err != nil {
		t.Fatal(err)
	}
	if reply.MinPollSecs != 127 {
		t.Errorf("MinPollSecs = %d, want 127", reply.MinPollSecs)
	}
}

// TestGobOfTheStandardLibrary sends what encoding/gob makes of the collectors' types: pointers, other names, unknown fields.
func TestGobOfTheStandardLibrary(t *testing.T) {
	type label struct{ Name, Value string }
	type sample struct {
		Idx        int32
		Ls         []label
		Help, Type string
		Ts         int64
		Val        float64
	}
	type blob struct {
		Instance string
		NSamples int
		IsIncr   bool
		Gen, GTs int64
		Samples  []sample
		OLabels  []string
	}
	type request struct {
		Version int8
		Token   string
		NInsts  int32
		Later   map[string][]float64
		IData   []*blob
	}
	value := request{Version: 1, NInsts: 1, Later: map[string][]float64{"x": {1}}, IData: []*blob{{
		Instance: "h:1.j", NSamples: 1, Gen: 7, GTs: 1000,
		Samples: []sample{{Ls: []label{{"__name__", "up"}}, Type: "gauge", Ts: 1000, Val: 1}},
	}}}
	var out bytes.Buffer
	if err := gob.NewEncoder(&out).Encode(value); err != nil {
		t.Fatal(err)
	}
	out.WriteString("what follows the value is ignored")
	n := openNode(t, event.Limits{})
	r := start(t, n, nil)
	got, err := codesOf(r.post(t, squeeze(out.Bytes())), 1)
	if err != nil {
		t.Fatal(err)
	}
	wantCodes(t, got, 0)
	n.wantRaw(t, "h:1.j f7")
}

// goodRequest is a request with a full blob, to be spoilt.
func goodRequest() *zstatsv1.Request {
	return zstatsv1.NewRequest(testToken, []zstatsv1.Instance{newSource("h:1.j", 100, 4).next().full})
}

func encoded(r *zstatsv1.Request) []byte { return zstatsv1.AppendRequest(nil, r) }

// TestRefusedRequests: what is wrong with a request as a whole is said in a reply, and nothing is stored.
func TestRefusedRequests(t *testing.T) {
	good := encoded(goodRequest())
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	for range 20 {
		_, _ = z.Write(make([]byte, 1<<20))
	}
	_ = z.Close()
	tests := map[string]struct {
		body   []byte
		change func(*http.Request)
		want   string // a part of Err
	}{
		"not gzip":           {body: good, want: "not gzip"},
		"empty":              {body: nil, want: "not gzip"},
		"not gob":            {body: squeeze([]byte("up 1\n")), want: "malformed"},
		"nothing compressed": {body: squeeze(nil), want: "malformed"},
		"another value":      {body: squeeze(gobOf(t, struct{ Up float64 }{1})), want: "malformed"},
		"half a value":       {body: squeeze(good[:len(good)-20]), want: "malformed"},
		"half a gzip stream": {body: squeeze(good)[:100], want: "truncated"},
		"damaged":            {body: damaged(squeeze(good)), want: "corrupt"},
		"version 2":          {body: squeeze(withVersion(2)), want: "version 2"},
		"version 0":          {body: squeeze(withVersion(0)), want: "version 0"},
		"more announced":     {body: squeeze(withCount(3)), want: "NInsts"},
		"fewer announced":    {body: squeeze(withCount(0)), want: "NInsts"},
		"negative count":     {body: squeeze(withCount(-1)), want: "NInsts"},
		"too large": {
			body: incompressible(300 << 10), want: "more than 262144 bytes",
		},
		"too large and says so": {
			body: incompressible(300 << 10), want: "more than 262144 bytes",
			change: func(q *http.Request) { q.ContentLength = 300 << 10 },
		},
		"far too large":      {body: incompressible(450 << 10), want: "more than 262144 bytes"},
		"gzip bomb":          {body: bomb.Bytes(), want: "more than 8388608 bytes"},
		"bomb that lies":     {body: claiming(bomb.Bytes(), 10), want: "more than 8388608 bytes"},
		"lie about the size": {body: claiming(squeeze(good), 10), want: "corrupt"},
		"text":               {body: squeeze(good), change: contentType("text/plain"), want: "text/plain"},
		"no type":            {body: squeeze(good), change: contentType(""), want: "Content-Type"},
		"type with a parameter": {
			body: squeeze(good), change: contentType(ContentType + "; charset=utf-8"), want: "charset",
		},
		"no token": {body: squeeze(good), change: func(q *http.Request) { q.Header.Del(TokenHeader) }, want: TokenHeader},
		"empty token": {
			body: squeeze(good), change: func(q *http.Request) { q.Header.Set(TokenHeader, "") }, want: TokenHeader,
		},
		"too many blobs":   {body: squeeze(encoded(zstatsv1.NewRequest("", make([]zstatsv1.Instance, 201)))), want: "limit Blobs"},
		"too many samples": {body: pack(newSource("h:1.j", 1, 1001).next().full), want: "limit TotalSamples"},
	}
	n := openNode(t, event.Limits{})
	r := start(t, n, func(o *Options) {
		o.Limits.BodyBytes, o.Limits.DecodedBytes = 256<<10, 8<<20
		o.Limits.Wire = zstatsv1.DefaultLimits()
		o.Limits.Wire.Blobs, o.Limits.Wire.TotalSamples = 200, 1000
	})
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			q := r.request(t, reader(tt.body))
			if tt.change != nil {
				tt.change(q)
			}
			got := r.do(t, q)
			if got.status != http.StatusOK {
				t.Fatalf("status %d, want 200: %s", got.status, got.body)
			}
			reply, err := zstatsv1.DecodeResponse(got.body)
			if err != nil {
				t.Fatal(err)
			}
			if reply.Version != 1 || reply.NInsts != 0 || !strings.Contains(reply.Err, tt.want) {
				t.Errorf("reply %+v, want an Err with %q and Version 1", reply, tt.want)
			}
		})
	}
	n.wantRaw(t)
	wantNothingHeld(t, r)
	wantCodes(t, r.send(t, goodRequest().IData...), 0) // nothing broke
	n.wantRaw(t, "h:1.j f100")
}

// wantNothingHeld checks that no request has kept a part of what all share.
func wantNothingHeld(t *testing.T, r *running) {
	t.Helper()
	eventually.Succeeds(t, "all requests have ended", func() error {
		n := r.intake
		if n.buffered.TryAcquire(n.limits.BufferedBytes) {
			n.buffered.Release(n.limits.BufferedBytes)
			return nil
		}
		return errNotYet
	})
	n := r.intake
	if !n.places.TryAcquire(int64(n.limits.Requests)) {
		t.Error("a place is taken")
	} else {
		n.places.Release(int64(n.limits.Requests))
	}
	if !n.decoding.TryAcquire(n.limits.DecodingBytes) {
		t.Error("bytes to decode are taken")
	} else {
		n.decoding.Release(n.limits.DecodingBytes)
	}
	r.locks.mu.Lock()
	defer r.locks.mu.Unlock()
	if len(r.locks.held) > 0 {
		t.Errorf("%d locks are held", len(r.locks.held))
	}
}

func gobOf(t *testing.T, v any) []byte {
	var out bytes.Buffer
	if err := gob.NewEncoder(&out).Encode(v); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func withVersion(v int8) []byte {
	r := goodRequest()
	r.Version = v
	return encoded(r)
}

// withCount returns a request that announces n instances and has one. The encoder of package zstatsv1 tells no lies.
func withCount(n int32) []byte {
	type blob struct {
		Instance string
		NSamples int
	}
	type request struct {
		Version int8
		NInsts  int32
		IData   []blob
	}
	var out bytes.Buffer
	_ = gob.NewEncoder(&out).Encode(request{1, n, []blob{{"h:1.j", 1}}})
	return out.Bytes()
}

func damaged(body []byte) []byte {
	out := bytes.Clone(body)
	out[len(out)-6] ^= 1 // in the checksum
	return out
}

// claiming returns a gzip stream that says to be of another size.
func claiming(body []byte, size byte) []byte {
	out := bytes.Clone(body)
	copy(out[len(out)-4:], []byte{size, 0, 0, 0})
	return out
}

// incompressible returns a gzip stream of n bytes.
func incompressible(n int) []byte {
	var out bytes.Buffer
	z, _ := gzip.NewWriterLevel(&out, gzip.NoCompression)
	_, _ = z.Write(make([]byte, n))
	_ = z.Close()
	return out.Bytes()[:n]
}

func contentType(v string) func(*http.Request) {
	return func(q *http.Request) { q.Header.Set("Content-Type", v) }
}

func TestUnknownToken(t *testing.T) {
	n := openNode(t, event.Limits{})
	r := start(t, n, nil)
	q := r.request(t, reader(pack(goodRequest().IData...)))
	q.Header.Set(TokenHeader, "guess")
	if got := r.do(t, q); got.status != http.StatusUnauthorized {
		t.Errorf("status %d, want 401", got.status)
	}
	n.wantRaw(t)
}

// TestTokenInTheBody counts for nothing, right or wrong.
func TestTokenInTheBody(t *testing.T) {
	n := openNode(t, event.Limits{})
	r := start(t, n, nil)
	request := goodRequest()
	request.Token = "another"
	got, err := codesOf(r.post(t, squeeze(encoded(request))), 1)
	if err != nil {
		t.Fatal(err)
	}
	wantCodes(t, got, 0)
	if account := n.raw(t)[0].target.Account; account != testAccount {
		t.Errorf("stored for account %s, want %s", account, testAccount)
	}
}

// TestBodyCutOff: the collector's connection breaks within the body, so it keeps what it sent. Nothing is stored, even where
// what did arrive is a whole request.
func TestBodyCutOff(t *testing.T) {
	n := openNode(t, event.Limits{})
	r := start(t, n, nil)
	body := pack(goodRequest().IData...)
	for name, sent := range map[string][]byte{"half": body[:len(body)/2], "all but the end": body} {
		t.Run(name, func(t *testing.T) {
			before := r.metric("requests_total", string(outcomeInterrupted))
			c, err := net.Dial("tcp", r.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: h\r\nContent-Type: %s\r\n%s: %s\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n",
				Path, ContentType, TokenHeader, testToken, len(sent), sent)
			if err := c.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.StatusCode != http.StatusServiceUnavailable {
				t.Errorf("status %d, want 503", resp.StatusCode)
			}
			if got := r.metric("requests_total", string(outcomeInterrupted)); got != before+1 {
				t.Errorf("%v interrupted requests counted, want %v", got, before+1)
			}
		})
	}
	n.wantRaw(t)
	wantNothingHeld(t, r)
}

// TestSlowSenders: connections that never finish their headers or bodies are ended, and what they sent so far is kept by
// whoever sent it.
func TestSlowSenders(t *testing.T) {
	n := openNode(t, event.Limits{})
	o := options(t)
	o.Raw, o.Dead, o.Log, o.Marks = startAppender(t, n, event.Raw), startAppender(t, n, event.Dead), n.bus, n.marks
	i, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	i.timeouts.header, i.timeouts.body = 50*time.Millisecond, 50*time.Millisecond
	r := serveIngest(t, i)
	for name, head := range map[string]string{
		"header": "POST " + Path + " HTTP/1.1\r\nHost: h\r\nContent-",
		"body": fmt.Sprintf("POST %s HTTP/1.1\r\nHost: h\r\nContent-Type: %s\r\n%s: %s\r\nContent-Length: 1000\r\n\r\n\x1f\x8b",
			Path, ContentType, TokenHeader, testToken),
	} {
		t.Run(name, func(t *testing.T) {
			c, err := net.Dial("tcp", r.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := io.WriteString(c, head); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(c) // until the server ends the connection
			if err != nil {
				t.Fatal(err)
			}
			if name == "body" && !bytes.Contains(got, []byte(" 503 ")) {
				t.Errorf("answer %q, want a 503", got)
			}
		})
	}
	wantNothingHeld(t, r)
}

func TestTLS(t *testing.T) {
	n := openNode(t, event.Limits{})
	certified := httptest.NewUnstartedServer(nil) // for its certificate
	certified.StartTLS()
	defer certified.Close()
	r := start(t, n, func(o *Options) { o.TLS = &tls.Config{Certificates: certified.TLS.Certificates} })
	transport := certified.Client().Transport.(*http.Transport)
	defer transport.CloseIdleConnections()
	r.client = certified.Client()
	r.url = strings.Replace(r.url, "http://127.0.0.1", "https://127.0.0.1", 1)
	wantCodes(t, r.send(t, goodRequest().IData...), 0)
}

func TestOptions(t *testing.T) {
	n := openNode(t, event.Limits{})
	good := func() Options {
		o := options(t)
		o.Raw, o.Dead, o.Log, o.Marks = &faultyLog{}, &faultyLog{}, n.bus, n.marks
		return o
	}
	tests := map[string]struct {
		change func(*Options)
		want   string
	}{
		"address":     {func(o *Options) { o.Addr = "9905" }, "HOST:PORT"},
		"tokens":      {func(o *Options) { o.Tokens = nil }, "Tokens"},
		"raw":         {func(o *Options) { o.Raw = nil }, "Raw"},
		"dead":        {func(o *Options) { o.Dead = nil }, "Dead"},
		"log":         {func(o *Options) { o.Log = nil }, "Log"},
		"marks":       {func(o *Options) { o.Marks = nil }, "Marks"},
		"partitions":  {func(o *Options) { o.Partitions = 0 }, "Partitions"},
		"head limit":  {func(o *Options) { o.HeadLimit = -1 }, "HeadLimit"},
		"min poll":    {func(o *Options) { o.MinPoll = -1 }, "MinPoll"},
		"connections": {func(o *Options) { o.Limits.Connections = -1 }, "Connections"},
		"body":        {func(o *Options) { o.Limits.BodyBytes = -1 }, "BodyBytes"},
		"buffered":    {func(o *Options) { o.Limits.BufferedBytes = 1 }, "BufferedBytes"},
		"decoding":    {func(o *Options) { o.Limits.DecodingBytes = 1 }, "DecodingBytes"},
		"wire":        {func(o *Options) { o.Limits.Wire.Blobs = 1 }, "TotalSamples"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			o := good()
			tt.change(&o)
			_, err := New(o)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("New = %v, want an error that names %s", err, tt.want)
			}
		})
	}
	t.Run("registered twice", func(t *testing.T) {
		o := good()
		o.Listener = listen(t)
		first, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		defer first.listener.Close()
		o.Listener = nil
		if _, err := New(o); err == nil {
			t.Error("New with metrics that are registered already = nil, want an error")
		}
	})
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestOutcomes: which answers make a collector keep its data (wire contract, section 7).
func TestOutcomes(t *testing.T) {
	kept := map[outcome]bool{
		outcomeNotReady: true, outcomeOverloaded: true, outcomeInterrupted: true, outcomeLog: true, outcomeInternal: true,
	}
	for _, o := range outcomes() {
		s := o.status()
		if got := s == 500 || s == 503 || s == 504; got != kept[o] || o.kept() != got {
			t.Errorf("%s has status %d and kept() is %v: a collector keeps its data: %v, want %v", o, s, o.kept(), got, kept[o])
		}
		if o.told() && s != 200 {
			t.Errorf("%s is told in a reply with status %d, want 200", o, s)
		}
	}
	if got := outcomeOf(errors.New("unforeseen")); !got.kept() {
		t.Errorf("an unforeseen error is %s, with which the collector drops its data", got)
	}
	if got := outcomeOf(fmt.Errorf("x: %w", fail(outcomeLog, bus.ErrFull))); got != outcomeLog {
		t.Errorf("a wrapped failure is %s, want %s", got, outcomeLog)
	}
}

// TestMetricsFromTheStart: every label value shows before anything has happened.
func TestMetricsFromTheStart(t *testing.T) {
	n := openNode(t, event.Limits{})
	r := start(t, n, nil)
	families, err := r.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]int)
	for _, f := range families {
		got[f.GetName()] = len(f.GetMetric())
	}
	want := map[string]int{
		"zstats_ingest_requests_total": len(outcomes()), "zstats_ingest_request_seconds": 1, "zstats_ingest_requests_in_flight": 1,
		"zstats_ingest_body_bytes_total": 1, "zstats_ingest_decoded_bytes_total": 1, "zstats_ingest_buffered_bytes": 1,
		"zstats_ingest_decoding_bytes": 1, "zstats_ingest_blobs_received_total": 2, "zstats_ingest_blobs_total": 8,
		"zstats_ingest_samples_total": 1, "zstats_ingest_resends_total": len(reasons()), "zstats_ingest_head_cache_hits_total": 1,
		"zstats_ingest_head_reads_total": 2, "zstats_ingest_resync_marks": 1, "zstats_ingest_head_cache_entries": 1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
}
