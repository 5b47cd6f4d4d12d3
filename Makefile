# Jackdaw: a thin layer over meson. `make run` and `make test` work on a Debian 12 machine that has never seen
# the project; `make help` lists the rest.

BUILD   := build
# Tests are built apart: without link-time optimisation, which every one of them would pay for.
TESTS   := build-test
prefix  ?= /usr/local
DESTDIR ?=
DATA    ?= data
DOMAIN  ?= localhost
FUZZ_SECONDS ?= 30
BENCH_ARGS   ?=
SEEDS        ?= 1000
# A single seed, with everything that happened in it.
SEED         ?=
TEST_ARGS    ?=
# Stops the build at the first warning; CI sets it.
WERROR  ?= false

.PHONY: all run test-build test simulate lint sanitize-build sanitize tsan-build tsan fuzz bench install clean format help
.DEFAULT_GOAL := all

all:
	@tools/deps.sh build
	@tools/configure.sh $(BUILD) -Db_lto=true -Dprefix=$(prefix) -Dwerror=$(WERROR)
	@ninja -C $(BUILD) jackdaw

run:
	@DATA='$(DATA)' DOMAIN='$(DOMAIN)' tools/run.sh

# What the tests run, without running them.
test-build:
	@tools/deps.sh build test
	@tools/configure.sh $(TESTS) -Dtests=true -Dwerror=$(WERROR)
	@ninja -C $(TESTS)

test: test-build
	@/usr/bin/python3 tools/test.py $(TESTS) $(TEST_ARGS)

simulate:
	@tools/deps.sh build test
	@tools/configure.sh $(TESTS) -Dtests=true -Dwerror=$(WERROR)
	@ninja -C $(TESTS) tests/simulator/simulator
	@$(TESTS)/tests/simulator/simulator $(if $(SEED),--seed $(SEED) --story,--seeds $(SEEDS))

lint: test-build
	@tools/deps.sh lint
	@/usr/bin/python3 tools/lint.py $(TESTS)

# Warnings are the plain build's business: instrumented code makes gcc see null pointers everywhere.
sanitize-build:
	@tools/deps.sh build test
	@tools/configure.sh build-asan -Dtests=true -Doptimization=1 -Db_sanitize=address,undefined -Db_lundef=false
	@ninja -C build-asan

# Without the tests that start other people's servers: most of their time is those servers', and no sanitizer sees it.
sanitize: sanitize-build
	@/usr/bin/python3 tools/test.py build-asan --own $(TEST_ARGS)

# What runs on several threads, under ThreadSanitizer.
tsan-build:
	@tools/deps.sh build test
	@tools/configure.sh build-tsan -Dtests=true -Doptimization=1 -Db_sanitize=thread -Db_lundef=false
	@ninja -C build-tsan jackdaw tests/unit/test_link_thread tests/unit/test_loop tests/unit/test_store

tsan: tsan-build
	@tools/tsan.sh build-tsan

fuzz:
	@tools/deps.sh build test fuzz
	@FUZZ_SECONDS=$(FUZZ_SECONDS) tools/fuzz.sh

bench:
	@tools/deps.sh build
	@tools/configure.sh $(BUILD) -Db_lto=true -Dbench=true
	@ninja -C $(BUILD)
	@/usr/bin/python3 bench/run.py --build $(BUILD) $(BENCH_ARGS)

install: all
	@DESTDIR='$(DESTDIR)' meson install -C $(BUILD) --no-rebuild

format:
	@tools/deps.sh lint
	@git ls-files '*.c' '*.h' | xargs clang-format -i

clean:
	rm -rf $(BUILD) $(TESTS) build-asan build-tsan build-fuzz

help:
	@echo 'make            build/jackdaw, optimised'
	@echo 'make run        install what it needs, build, make two accounts, start on localhost'
	@echo 'make test       install what tests need, build, run every test'
	@echo 'make simulate   the whole server with simulated faults: SEEDS=1000 of them, or one SEED=k and its story'
	@echo 'make lint       format, clang-tidy, layers, banned calls, sizes'
	@echo 'make sanitize   every test of our own servers under AddressSanitizer and UBSan'
	@echo 'make tsan       placement threads under ThreadSanitizer'
	@echo 'make fuzz       every fuzzer for FUZZ_SECONDS (30) each'
	@echo 'make bench      cost beside Prosody, ejabberd and jabberd2; writes docs/performance.md'
	@echo 'make install    to $$(DESTDIR)$$(prefix)'
	@echo 'make format     clang-format every file'
	@echo 'make clean      remove what was built (never your data)'
