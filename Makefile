# Everything sets up what it needs: `make help` lists what there is.
SHELL := /bin/bash
PYTHON ?= $(shell for p in python3.11 python3.12 python3; do if $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; then command -v $$p; break; fi; done)
BIN := .venv/bin
PIP := -qq --disable-pip-version-check --no-input
PYTEST := $(BIN)/pytest
WORKERS ?= 2
# Most tests wait for servers: two files at a time take little more than half the time. Not where browsers or clocks count.
SIDE_BY_SIDE := -n $(WORKERS) --dist loadfile
HOST := tests/e2e/element_call/host
CLIENT_SOURCES := $(shell find web/client -path web/client/node_modules -prune -o -type f -print 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-long check unit format lint types imports web clean lock bench-plane bench-relay bench-calls bench-join sanitize-plane fuzz-plane e2e-element-call

help: ## show this list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /\1\t/' | expand -t 14

demo: setup .venv-synapse/.ready web/static/index.html ## one whole meeting with no one at the keyboard, then open for you (ARGS=--once ends after it)
	@$(BIN)/palabre demo $(ARGS)

test: setup .venv-synapse/.ready .venv-agents/.ready .chromium web/static/index.html tests/e2e/js-matrix/node_modules/.ready tests/e2e/js-livekit/node_modules/.ready $(HOST)/dist/host.js ## every test that runs in minutes: unit, real servers, real browsers
	@echo "── page: unit tests"
	@cd web/client && npm test --silent
	@echo "── unit tests"
	@$(PYTEST) tests/unit -q $(SIDE_BY_SIDE)
	@echo "── real servers and speech"
	@$(PYTEST) tests/integration -q -m "not long and not alone" $(SIDE_BY_SIDE) --durations=10
	@$(PYTEST) tests/integration -q -m "alone and not long" --durations=5
	@echo "── real browsers"
	@$(PYTEST) tests/e2e -q -m "not long" --durations=10

test-long: test ## also what takes longer: soaks, bad networks, random kills
	@$(PYTEST) tests -q -m long --timeout=1800

e2e-element-call: setup .venv-synapse/.ready .chromium web/static/index.html $(HOST)/dist/host.js ## Element Call, unmodified, in real browsers: every release, federated, interrupted
	@$(PYTEST) tests/e2e/element_call -q --timeout=600 --durations=0 $(ARGS)

check: setup web/client/node_modules/.ready ## format, lint, types, import directions, unit tests
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy palabre web bridge appservice media tests
	@$(BIN)/lint-imports --no-cache | tail -n 8
	@cd web/client && npm run --silent check
	@$(PYTEST) tests/unit -q

format: setup ## rewrite the Python sources in the house format
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

web: web/static/index.html ## build the call page

bench-plane: setup ## CPU per packet of both packet paths, as ratios
	@$(BIN)/python tests/bench/bench_plane.py

bench-calls: setup ## people in calls that a core carries: whole calls of 10 and 100 people
	@$(BIN)/python tests/bench/bench_calls.py $(ARGS)

bench-relay: setup .janus ## CPU of a relay process per packet sent, beside Janus and the floor (ARGS="--subscribers 20 --profiles gcm" for a row)
	@$(BIN)/python tests/bench/bench_relay.py $(ARGS)

bench-join: setup ## how long a join takes and what it costs the relay when many come at once
	@$(BIN)/python tests/bench/bench_join.py

SANITIZED := .cache/sanitize
SANITIZE = cc -std=gnu11 -D_GNU_SOURCE -g -O1 -ffp-contract=off -fno-omit-frame-pointer -shared -fPIC \
  -I$$($(PYTHON) -c 'import sysconfig; print(sysconfig.get_path("include"))') media/relay/plane/c/*.c
SANITIZED_TEST = $(BIN)/python -m pytest -q -p tests.support.sanitized_packets --noconftest -p no:cacheprovider
THREAD_TEST := tests/integration/media/relay/test_packet_thread.py

sanitize-plane: setup ## the packet path's tests with the compiled one under AddressSanitizer, UndefinedBehavior- and ThreadSanitizer
	@mkdir -p $(SANITIZED)
	@$(SANITIZE) -fsanitize=address,undefined -fno-sanitize-recover=all -o $(SANITIZED)/_packets_address.so
	@LD_PRELOAD=$$(cc -print-file-name=libasan.so) ASAN_OPTIONS=detect_leaks=0 PYTHONMALLOC=malloc \
	  PALABRE_PACKETS=$(SANITIZED)/_packets_address.so $(SANITIZED_TEST) tests/unit/media/relay/plane $(THREAD_TEST)
	@$(SANITIZE) -fsanitize=thread -o $(SANITIZED)/_packets_thread.so
	@LD_PRELOAD=$$(cc -print-file-name=libtsan.so) TSAN_OPTIONS=exitcode=66 \
	  PALABRE_PACKETS=$(SANITIZED)/_packets_thread.so $(SANITIZED_TEST) $(THREAD_TEST)

FUZZED = $(filter-out %/module.c %/convert.c %/driver.c %/wire.c %/sending.c $(wildcard media/relay/plane/c/core_*.c),$(wildcard media/relay/plane/c/*.c))

fuzz-plane: ## libFuzzer on the compiled packet path, for a minute (SECONDS=…); new inputs go to .cache/fuzz
	@scripts/apt-install clang libclang-rt-dev
	@mkdir -p .cache/fuzz
	@clang -std=gnu11 -D_GNU_SOURCE -g -O1 -ffp-contract=off -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
	  -Imedia/relay/plane/c tests/fuzz/fuzz_plane.c $(FUZZED) -o .cache/fuzz_plane
	@.cache/fuzz_plane -max_total_time=$(or $(SECONDS),60) -max_len=8192 -print_final_stats=1 -artifact_prefix=.cache/ .cache/fuzz tests/fuzz/corpus

lock: ## choose versions anew and pin them by hash
	@$(PYTHON) -m venv .venv-lock && .venv-lock/bin/pip install $(PIP) uv
	@for f in runtime dev synapse agents; do .venv-lock/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --no-annotate $(LOCKARGS) requirements/$$f.in -o requirements/$$f.txt 2>/dev/null; done
	@rm -rf .venv-lock

clean: ## remove environments, builds and caches
	rm -rf .venv .venv-synapse .venv-agents web/static web/client/node_modules tests/e2e/js*/node_modules $(HOST)/node_modules $(HOST)/dist .cache demo-data

setup: .venv/.ready

# The compiled packet path wants a C compiler and Python's headers; without them the one in Python serves.
.venv/.ready: requirements/dev.txt pyproject.toml $(wildcard media/relay/plane/c/*.[ch])
	@test -n "$(PYTHON)" || { echo "Palabre needs Python 3.11 or 3.12 (Debian 12: apt install python3 python3-venv)." >&2; exit 1; }
	@echo "── Python environment ($$($(PYTHON) --version))"
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || scripts/apt-install python3-venv
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/pip install $(PIP) --require-hashes -r requirements/dev.txt
	@{ command -v cc && $(PYTHON) -c 'import os, sysconfig; os.stat(sysconfig.get_path("include") + "/Python.h")'; } >/dev/null 2>&1 \
	  || scripts/apt-install gcc libc6-dev python3-dev || echo "── no compiler: the packet path in Python will serve"
	@$(BIN)/pip install $(PIP) --no-build-isolation --no-deps -e .
	@touch $@

.venv-synapse/.ready: requirements/synapse.txt
	@echo "── Synapse, a real homeserver, in an environment of its own"
	@test -x .venv-synapse/bin/python || $(PYTHON) -m venv .venv-synapse
	@.venv-synapse/bin/pip install $(PIP) --require-hashes -r requirements/synapse.txt
	@touch $@

.venv-agents/.ready: requirements/agents.txt
	@echo "── LiveKit's agents framework, whose agents the relay sends into rooms, in an environment of its own"
	@test -x .venv-agents/bin/python || $(PYTHON) -m venv .venv-agents
	@.venv-agents/bin/pip install $(PIP) --require-hashes -r requirements/agents.txt
	@touch $@

.PHONY: .chromium
.chromium:
	@command -v chromium >/dev/null || { echo "── Chromium"; scripts/apt-install chromium fonts-dejavu-core; }

.PHONY: .janus
.janus:
	@command -v janus >/dev/null || scripts/apt-install janus || echo "── no Janus here: ours is measured without it"

%/node_modules/.ready: %/package-lock.json
	@echo "── npm packages of $*"
	@command -v npm >/dev/null || scripts/apt-install nodejs npm
	@cd $* && npm ci --silent --no-fund --no-audit
	@touch $@

web/static/index.html: web/client/node_modules/.ready $(CLIENT_SOURCES)
	@echo "── call page"
	@cd web/client && npm run --silent build
	@touch $@

$(HOST)/dist/host.js: $(HOST)/node_modules/.ready $(HOST)/build.mjs $(HOST)/index.html $(HOST)/host.css $(wildcard $(HOST)/src/*)
	@echo "── host page for Element Call"
	@cd $(HOST) && npm run --silent build
