# make test     everything, end-to-end tests with a real Dovecot included (installed when it is missing)
# make lint     golangci-lint with the layer rules, go vet, formatting
# make race     the same tests with the race detector
# make fuzz     each fuzz target for FUZZTIME
# make crash    the crash loops, random histories and power cuts in their long form, counted, with their seeds
# make crash-long  the same with other seeds for MINUTES minutes
# make bench    Go benchmarks, and the comparison with other tools where it is at hand
GO        ?= go
FUZZTIME  ?= 30s
MINUTES   ?= 60
TESTFLAGS ?=
BENCH     ?= ../shared/bench/bench.py
BENCHARGS ?= --n 2000 --scenario daily,push,folders
GOBIN     := $(shell $(GO) env GOPATH)/bin
LINT      := $(GOBIN)/golangci-lint
LINT_VERSION := v2.15.0

.PHONY: build test short lint race fuzz crash crash-long bench cross tools servers clean

build:
	CGO_ENABLED=0 $(GO) build -o mailtwin ./cmd/mailtwin

test: servers
	MAILTWIN_E2E=1 $(GO) test $(TESTFLAGS) ./...

short:
	$(GO) test ./...

servers:
	@sh test/install-servers.sh

race: servers
	MAILTWIN_E2E=1 CGO_ENABLED=1 $(GO) test -race ./...

lint: $(LINT)
	$(LINT) run ./...
	$(GO) vet ./...

$(LINT):
	GOFLAGS= $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)

fuzz:
	@GO="$(GO)" FUZZTIME=$(FUZZTIME) sh test/fuzz.sh

crash: servers
	@GO="$(GO)" python3 test/crash.py

crash-long: servers
	@GO="$(GO)" python3 test/crash.py $(MINUTES)

bench: build
	$(GO) test -run XXX -bench . -benchmem ./...
	@if [ -f $(BENCH) ]; then MAILTWIN=$(CURDIR)/mailtwin python3 $(BENCH) --tool mailtwin,mbsync $(BENCHARGS); \
	else echo "the comparison with other tools is not at hand: $(BENCH)"; fi

# The platforms that are supported, without cgo.
cross:
	@for p in linux/amd64 linux/arm64 darwin/arm64 freebsd/amd64 openbsd/amd64; do \
		echo "build $$p"; CGO_ENABLED=0 GOOS=$${p%/*} GOARCH=$${p#*/} $(GO) build -o /dev/null ./cmd/mailtwin || exit 1; done

clean:
	rm -f mailtwin
