# The two commands: `make demo` and `make test`. Everything else is Meson's.
PREFIX   ?= /usr/local
DESTDIR  ?=
BUILD    ?= build-release
TESTBUILD ?= build-test
PYTHON   ?= python3

.PHONY: all build install uninstall demo test bench freebsd test-freebsd deps deps-test format clean help

all: build

help:
	@sed -n 's/^## //p' Makefile

## make build      release build in $(BUILD)
build: deps
	@test -f $(BUILD)/build.ninja || meson setup $(BUILD) -Ddebug=false -Dwerror=false -Dtests=false --prefix=$(PREFIX) \
	    --libexecdir=libexec --sysconfdir=etc -Dstrip=true >/dev/null
	@grep -qsx '$(PREFIX)' $(BUILD)/.prefix || { meson configure $(BUILD) --prefix=$(PREFIX) >/dev/null && echo '$(PREFIX)' >$(BUILD)/.prefix; }
	@ninja -C $(BUILD)

## make install    installs below PREFIX (DESTDIR is honoured)
install: build
	@sh packaging/dirs.sh note $(BUILD) '$(DESTDIR)'
	@DESTDIR='$(DESTDIR)' meson install -C $(BUILD) --no-rebuild --quiet

## make uninstall  removes what install put there
uninstall:
	@test ! -f $(BUILD)/build.ninja || ninja -C $(BUILD) uninstall >/dev/null
	@sh packaging/dirs.sh remove $(BUILD)

## make demo       from a fresh machine to nginx behind the ingress
demo:
	@PREFIX=$(PREFIX) sh examples/demo.sh

## make test       lint, unit, fault and end-to-end tests with sanitizers
test: deps-test
	@$(PYTHON) tests/run.py --build $(TESTBUILD)

## make bench      the benchmarks of docs/performance.md
bench: build
	@sh tests/bench/run-all.sh

## make freebsd    builds every program for FreeBSD (ARCH=x86_64 or aarch64), to be copied there from build-freebsd/stage
ARCH ?= x86_64
freebsd:
	@sh packaging/deps.sh build freebsd
	@$(PYTHON) packaging/freebsd/cross.py --arch $(ARCH)

## make test-freebsd  the scenes on a FreeBSD machine: FREEBSD_IMAGE or FREEBSD_HOST says which
test-freebsd:
	@$(PYTHON) -m pytest -v -rs -p no:cacheprovider tests/host/freebsd

deps:
	@sh packaging/deps.sh build

deps-test:
	@sh packaging/deps.sh build test freebsd

## make format     clang-format over the tree
format:
	@git ls-files '*.c' '*.h' | xargs clang-format -i

clean:
	rm -rf $(BUILD) $(TESTBUILD) build-freebsd
