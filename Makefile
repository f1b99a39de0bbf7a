# zstats: `make help` lists the targets.

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.version=$(VERSION)

BUF         := github.com/bufbuild/buf/cmd/buf@v1.75.0
KUSTOMIZE   := sigs.k8s.io/kustomize/kustomize/v5@v5.8.1
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.7.0
FUZZTIME    ?= 30s
# The protobuf compiler that examples/python is generated with, Debian 12's.
PROTOC      := libprotoc 3.21.12

# The image's name and tags, and the authorities that it trusts.
IMAGE           ?= zstats/zstats
TAGS            ?= $(VERSION) latest
CA_CERTIFICATES ?= /etc/ssl/certs/ca-certificates.crt

.DEFAULT_GOAL := help
.PHONY: help run build image test test-race test-faults test-cluster test-stack kubernetes lint fmt bench bench-go fuzz proto examples-proto clean

help: ## Show this list.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

run: build ## Run the whole pipeline on this machine, data in ./data; ARGS are passed on.
	./bin/zstats run $(ARGS)

build: ## Build bin/zstats.
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/zstats ./cmd/zstats

image: build ## Build the image $(IMAGE) from bin/zstats; needs no registry.
	rm -rf bin/image && mkdir -p bin/image/root-fs/etc/ssl/certs bin/image/data
	cp bin/zstats bin/image/root-fs/zstats
	cp deploy/passwd bin/image/root-fs/etc/passwd
	cp $(CA_CERTIFICATES) bin/image/root-fs/etc/ssl/certs/ca-certificates.crt
	docker build -q -f deploy/Dockerfile.host --build-arg VERSION=$(VERSION) $(TAGS:%=-t $(IMAGE):%) bin/image
	rm -rf bin/image

test: ## Run all tests, end-to-end tests with real processes among them.
	$(GO) test -timeout 15m ./...

test-race: ## Run the tests of the packages under the race detector.
	$(GO) test -race -timeout 20m $$($(GO) list ./... | grep -v /test/)

test-faults: ## Kill, pause and starve real processes under load, by a seed; ARGS='-duration 30m -seed 7'.
	$(GO) run ./test/faults $(ARGS)

test-cluster: ## As test-faults, with three NATS servers, two ingests, four assemblers and two writers on loopback.
	$(GO) run ./test/faults -modes replicated $(ARGS)

test-stack: ## Bring compose.yaml up with Docker, scale it, break it under load, judge what came out.
	$(GO) run ./test/stack $(ARGS)

kubernetes: ## Print the manifests for Kubernetes, all in one.
	@$(GO) run $(KUSTOMIZE) build deploy/kubernetes

lint: ## Check format, vet and static analysis.
	@unformatted=$$(git ls-files '*.go' | grep -v '\.pb\.go$$' | xargs gofmt -l); \
	if [ -n "$$unformatted" ]; then echo "not formatted, run 'make fmt':"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(GO) vet -tags failpoints ./pkg/failpoint
	$(GO) run $(STATICCHECK) ./...

fmt: ## Format the code.
	git ls-files '*.go' | grep -v '\.pb\.go$$' | xargs gofmt -w

bench: build ## Measure a whole process: throughput, CPU per million samples, memory, latency.
	$(GO) run ./test/bench $(ARGS)

bench-go: ## Run the packages' benchmarks.
	$(GO) test -run '^$$' -bench . -benchmem ./pkg/... ./ingest ./assembler ./writer ./notifier ./collector

fuzz: ## Fuzz each target for FUZZTIME.
	@for pkg in $$($(GO) list ./...); do \
	  for target in $$($(GO) test -list '^Fuzz' $$pkg | grep ^Fuzz); do \
	    echo "== $$pkg $$target"; $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$pkg || exit 1; \
	  done; \
	done

proto: ## Generate the protobuf code anew.
	$(GO) run $(BUF) lint
	$(GO) run $(BUF) generate
	@if [ "$$(protoc --version 2>/dev/null)" = '$(PROTOC)' ] && command -v grpc_python_plugin >/dev/null; then $(MAKE) examples-proto; \
	else echo "examples/python is left as it is: 'make examples-proto' says what it needs"; fi

examples-proto: ## Generate the protobuf code of examples/python anew.
	@if [ "$$(protoc --version 2>/dev/null)" != '$(PROTOC)' ] || ! command -v grpc_python_plugin >/dev/null; then \
	echo "this needs protoc, $(PROTOC), and grpc_python_plugin; Debian 12: apt-get install protobuf-compiler-grpc"; exit 1; fi
	protoc -Iproto --python_out=examples/python --grpc_python_out=examples/python \
	  --plugin=protoc-gen-grpc_python="$$(command -v grpc_python_plugin)" zstats/v1/notifier.proto

clean: ## Remove what was built.
	rm -rf bin
