# Everything a commit or a box needs, by name; `make help` lists it. Longer recipes live in scripts/.

CARGO ?= cargo
PREFIX ?= /usr/local
DESTDIR ?=
ARGS ?=
TIME ?= 60
N ?= 3
SEED ?= 1
ROUNDS ?= 3
QUICK ?=
OUT ?=
TARGET ?= $(shell uname -m)-unknown-linux-musl
# The program that make install puts in place; make dist has that of TARGET instead.
PROGRAM ?= bin/memento
SYSTEMD ?= $(PREFIX)/lib/systemd/system
# Whether make install brings libmemento, which is built for this machine; make dist does without.
FFI ?= yes

NAMES = memento memento-cli memento-benchmark
BINARIES = $(NAMES:%=bin/%)
# Cargo is asked only when one of these is newer than the binary: an up-to-date tree costs no start of cargo.
SOURCES := $(shell find src -type f) Cargo.toml Cargo.lock Makefile
FFI_SOURCES := $(shell find ffi/src ffi/include -type f) ffi/Cargo.toml ffi/libmemento.map scripts/build-ffi.sh

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:

.PHONY: all
all: $(BINARIES) ## Build the program under its three names in bin/ (the default).

.PHONY: memento
memento: bin/memento ## Build bin/memento, the server.

.PHONY: memento-cli
memento-cli: bin/memento-cli ## Build bin/memento-cli, the command line client.

.PHONY: memento-benchmark
memento-benchmark: bin/memento-benchmark ## Build bin/memento-benchmark, the benchmark.

# The C library is linked in (crt-static), so that one file runs on any box of this architecture. Cargo is given its
# target by name although it is the host's own: without one the flag would reach build scripts and macros as well.
bin/memento: $(SOURCES)
	@mkdir -p bin
	host=$$(rustc -vV | sed -n 's/^host: //p') && \
	RUSTFLAGS="$${RUSTFLAGS:-} -C target-feature=+crt-static" \
	    $(CARGO) build --locked --release --bin memento --target "$$host" && \
	cp -f "$${CARGO_TARGET_DIR:-target}/$$host/release/memento" bin/memento.new
	@mv -f bin/memento.new bin/memento

bin/memento-cli bin/memento-benchmark: bin/memento
	@ln -f bin/memento $@

.PHONY: ffi
ffi: bin/ffi/libmemento.a ## Build libmemento, memento from C, into bin/ffi/: libmemento.a, libmemento.so, memento.h.

bin/ffi/libmemento.a: $(SOURCES) $(FFI_SOURCES)
	@CARGO="$(CARGO)" scripts/build-ffi.sh

.PHONY: run
run: bin/memento ## Build, then serve on 127.0.0.1:6737; options go in ARGS='...'.
	bin/memento $(ARGS)

.PHONY: cluster
cluster: all ## Start a cluster of N (3) nodes on 127.0.0.1; scripts/cluster.sh stop ends it.
	@scripts/cluster.sh start $(N)

.PHONY: test
test: all ffi ## Build, then run every test there is; the last line counts them.
	@scripts/test.sh

.PHONY: check
check: ## What every commit must pass: formatting, clippy without a warning, shellcheck where it exists.
	@scripts/check.sh

.PHONY: bench
bench: all ## Measure, beside redis-server: tables in Markdown. ROUNDS=n, QUICK=1 to try it, OUT=FILE.
	@python3 scripts/bench.py --rounds $(ROUNDS) $(if $(QUICK),--quick) $(if $(OUT),--out "$(OUT)")

.PHONY: bench-readme
bench-readme: all ## Measure, and write the tables into README.md.
	@python3 scripts/bench.py --rounds $(ROUNDS) --readme

.PHONY: bench-ffi
bench-ffi: all ffi ## Measure SETs in pipelines through libmemento beside hiredis (libhiredis-dev).
	@scripts/bench-ffi.sh $(ROUNDS)

.PHONY: instructions
instructions: all ## Count the instructions of a request under callgrind, and compare with the ceilings.
	@scripts/instructions.py

.PHONY: test32
test32: ## Run the tests of store, protocol and system calls on a 32-bit target.
	@scripts/test32.sh

.PHONY: fuzz
fuzz: ## Feed each fuzz target with random bytes for TIME seconds; needs nightly and cargo-fuzz.
	@scripts/fuzz.sh "" $(TIME)

.PHONY: sim
sim: ## Tell all that happens to the simulated cluster under SEED.
	@scripts/sim.sh "$(SEED)"

.PHONY: static
static: ## Build bin/static/PROCESSOR/ against musl, as small as can be; TARGET=aarch64-unknown-linux-musl for others.
	@scripts/build-static.sh "$(TARGET)"

.PHONY: test-static
test-static: static ## Run the smoke tests on the static program, in an empty root too.
	@scripts/test-static.sh "$$(echo "$(TARGET)" | sed 's/gc-.*//; s/-.*//')"

# What has no musl-dev for the machine's own packages gets it into target/ first.
.PHONY: test-foreign
test-foreign: all ## Build for aarch64, armv7, s390x and riscv64, and run the smoke tests under qemu.
	@for pair in aarch64:arm64 armv7:armhf s390x:s390x riscv64:riscv64; do \
	    scripts/musl-parts.sh "$${pair#*:}" || exit 1; \
	done
	@scripts/build-static.sh aarch64-unknown-linux-musl
	@scripts/build-static.sh armv7-unknown-linux-musleabihf
	@scripts/build-static.sh s390x-unknown-linux-musl
	@scripts/build-static.sh riscv64gc-unknown-linux-musl
	@scripts/test-static.sh aarch64 armv7 s390x riscv64

.PHONY: size
size: static ## Print the size of the static program, and its memory while it idles in a cluster.
	@scripts/size.sh

.PHONY: man
man: all ## Write the manual pages into bin/man/.
	@scripts/man.py bin/man

# The units name the program where it is installed.
.PHONY: install
install: all man $(if $(filter yes,$(FFI)),ffi) ## Install programs, libmemento, manual pages and units under PREFIX (/usr/local), below DESTDIR if given.
	install -d "$(DESTDIR)$(PREFIX)/bin" "$(DESTDIR)$(PREFIX)/share/man/man1" "$(DESTDIR)$(PREFIX)/share/man/man5" \
	    "$(DESTDIR)$(SYSTEMD)" "$(DESTDIR)$(PREFIX)/share/memento"
	install -m 755 "$(PROGRAM)" "$(DESTDIR)$(PREFIX)/bin/memento"
	cd "$(DESTDIR)$(PREFIX)/bin" && for name in memento-cli memento-benchmark; do \
	    ln -f memento "$$name" 2>/dev/null || ln -sf memento "$$name" || exit 1; done
	install -m 644 bin/man/*.1 "$(DESTDIR)$(PREFIX)/share/man/man1"
	install -m 644 bin/man/*.5 "$(DESTDIR)$(PREFIX)/share/man/man5"
	for script in memento.init memento.procd; do \
	    sed 's|/usr/local/bin/|$(PREFIX)/bin/|' "scripts/$$script" >"$(DESTDIR)$(PREFIX)/share/memento/$$script" && \
	    chmod 755 "$(DESTDIR)$(PREFIX)/share/memento/$$script" || exit 1; done
	install -m 755 scripts/build_cluster.py "$(DESTDIR)$(PREFIX)/share/memento/build_cluster.py"
	for unit in memento.service memento.socket; do \
	    sed 's|/usr/local/bin/|$(PREFIX)/bin/|' "scripts/$$unit" >"$(DESTDIR)$(SYSTEMD)/$$unit" && \
	    chmod 644 "$(DESTDIR)$(SYSTEMD)/$$unit" || exit 1; done
ifeq ($(FFI),yes)
	scripts/install-ffi.sh "$(DESTDIR)" "$(PREFIX)"
endif

.PHONY: uninstall
uninstall: ## Remove what install put there.
	rm -f $(NAMES:%="$(DESTDIR)$(PREFIX)/bin/%") $(NAMES:%="$(DESTDIR)$(PREFIX)/share/man/man1/%.1") \
	    "$(DESTDIR)$(PREFIX)/share/man/man5/memento.conf.5" \
	    "$(DESTDIR)$(SYSTEMD)/memento.service" "$(DESTDIR)$(SYSTEMD)/memento.socket"
	rm -rf "$(DESTDIR)$(PREFIX)/share/memento"
	rm -f "$(DESTDIR)$(PREFIX)/include/memento.h" "$(DESTDIR)$(PREFIX)"/lib/libmemento.a \
	    "$(DESTDIR)$(PREFIX)"/lib/libmemento.so* "$(DESTDIR)$(PREFIX)/lib/pkgconfig/memento.pc"

.PHONY: dist
dist: static man ## Make bin/dist/memento-VERSION-PROCESSOR.tar.gz: the static program of TARGET with all that install brings.
	@scripts/dist.sh "$(TARGET)"

.PHONY: clean
clean: ## Remove everything that was built.
	$(CARGO) clean
	rm -rf bin

.PHONY: help
help: ## Say what can be made.
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "%-18s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
