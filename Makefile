# `make help` lists what there is. Everything made lands in .venv, .cache, dist, ui/node_modules and
# clawdbox/web/static; `make clean` takes it away again.

SHELL = /bin/sh
.DEFAULT_GOAL := help
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
# Test processes: waiting (for ssh, for a browser) outweighs computing, so more than cores.
JOBS ?= 4
# More for `make run`, as in: make run ARGS="--port 9000"
ARGS ?=
# More for the tests, as in: make test T="tests/store -x"
T ?=

# A Python that writes no bytecode compiles every module anew at each start: 2.6 times slower, and tests start it often.
unexport PYTHONDONTWRITEBYTECODE

BIN := .venv/bin
PYTEST = $(BIN)/python -m pytest -n $(JOBS) --dist loadgroup
LOCK = $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate

.PHONY: help
help: ## list these targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r name text; do \
	  printf '  make %-12s %s\n' "$$name" "$$text"; done

.PHONY: run
run: setup ## start the box with its demo server (ARGS="--port 9000")
	@exec $(BIN)/clawdbox serve --demo $(ARGS)

.PHONY: setup
setup: ui ## make what a run needs: .venv with the clawdbox command, and the built UI

.PHONY: deps
deps: ## .venv alone, with the clawdbox command
	@PYTHON='$(PYTHON)' sh packaging/setup.sh run

.PHONY: setup-dev
setup-dev: ui tools ## the same with the tools for checks and tests

.PHONY: tools
tools: ## .venv alone, with the tools for checks and tests
	@PYTHON='$(PYTHON)' sh packaging/setup.sh dev

.PHONY: ui
ui: deps ## build the UI into clawdbox/web/static, if its sources changed
	@$(BIN)/python packaging/build_ui.py build

.PHONY: test
test: setup-dev test-deps ## run the tests (T="tests/store -x" chooses some)
	@$(BIN)/python packaging/build_ui.py test
	@$(PYTEST) $(T)

.PHONY: test-long
test-long: setup-dev test-deps ## run the tests that take long, too
	@$(PYTEST) -m 'long or not long' $(T)

.PHONY: test-security
test-security: setup-dev test-deps ## run the attacks by number, schemathesis over the API and wapiti over the box
	@$(PYTEST) -m 'long or not long' tests/attack tests/web/test_every_route.py tests/web/test_fuzz.py tests/web/test_scan.py $(T)

.PHONY: test-deps
test-deps: ## see that sshd, Chromium and their like are here; root on Debian and Ubuntu gets them
	@sh packaging/test-deps.sh

.PHONY: check
check: tools ## formatting, lint, types and the floors of the house
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy $(wildcard clawdbox tests bench tools)
	cd packaging && ../$(BIN)/mypy --config-file ../pyproject.toml build_ui.py
	$(BIN)/lint-imports
	@$(BIN)/python packaging/build_ui.py check

.PHONY: format
format: tools ## format the Python sources and mend what lint can mend
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

.PHONY: binary
binary: setup-dev ## freeze the box into one file, dist/clawdbox
	@sh packaging/test-deps.sh freeze
	$(BIN)/pyinstaller --log-level WARN --noconfirm --distpath dist --workpath .cache/pyinstaller packaging/clawdbox.spec
	@ls -lh dist/clawdbox

.PHONY: bench
bench: setup-dev test-deps ## measure the box against its peers (ARGS="ssh" chooses a section, --quick)
	@$(BIN)/python -m bench $(ARGS)

.PHONY: lock
lock: tools ## pin what pyproject.toml asks for, with hashes (ARGS=--upgrade: the newest)
	$(LOCK) $(ARGS) pyproject.toml -o requirements/run.txt
	$(LOCK) $(ARGS) --group build -o requirements/build.txt
	$(LOCK) $(ARGS) --group node -o requirements/node.txt
	$(LOCK) $(ARGS) --group bench -o requirements/bench.txt
	$(LOCK) $(ARGS) --group scan -o requirements/scan.txt
	$(LOCK) $(ARGS) pyproject.toml --group dev -c requirements/run.txt -c requirements/build.txt -o requirements/dev.txt

.PHONY: schema
schema: deps ## write the sum of the migrations into clawdbox/store/schema.sql
	@$(BIN)/python -m clawdbox.store.schema >.schema.sql && mv .schema.sql clawdbox/store/schema.sql

.PHONY: docs
docs: deps ## write docs/database anew from the migrations and clawdbox/store/notes
	@$(BIN)/python -m tools.database_docs

.PHONY: clean
clean: ## remove everything that was made
	rm -rf .venv .cache dist build ui/node_modules clawdbox/web/static .mypy_cache .ruff_cache .pytest_cache \
	  .import_linter_cache .hypothesis test-results
	find clawdbox tests bench packaging tools -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true
