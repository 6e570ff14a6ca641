# Every target does its own set-up: a fresh clone needs CPython 3.11 or later, a C compiler and GNU make.
#   make demo    fills a registry of its own with good and forged images, and verifies them all
#   make test    the whole suite and one turn of each benchmark on the compiled back end, then what uses the native
#                parts on the pure one
#   make check   ruff, mypy, import-linter, stubtest: all that is said without running the code
#   make parity  the compiled modules against their pure twins
#   make interop cosign and plimsoll verify what the other signed; tests/interop/README.md says what it takes
#   make bench   the benchmarks; benchmarks/README.md says how to read them
#   make dist    sdist and wheel into dist/, then the tests against the installed wheel
#   make format  lets ruff lay the code out
#   make clean   takes away everything that the others made
# Variables: PYTHON (the interpreter for the venv), PYTEST_ARGS, DEMO_ARGS, WHEEL_TESTS, WORKERS (empty: one process).

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test check parity interop bench dist format clean
MAKEFLAGS += --no-builtin-rules

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV PLIMSOLL_BACKEND PLIMSOLL_NO_EXTENSIONS

VENV := .venv
BIN := $(VENV)/bin
WHEEL := build/wheel-test
WHEEL_TESTS ?= tests
# One process for each processor; a file stays in one of them, as its tests share keys that were made for it.
WORKERS ?= --numprocesses auto --dist loadfile
# Untimed, over few images: that they still run. A path in PYTEST_ARGS takes the place of these.
WITH_BENCHMARKS := -o testpaths='tests benchmarks' -o python_files='test_*.py bench_*.py' -o python_functions='test_* bench_*'
NATIVE_STUBS = $(patsubst src/plimsoll/native/%.pyi,plimsoll.native.%,$(filter-out %/__init__.pyi,$(wildcard src/plimsoll/native/_*.pyi)))

help:
	@sed -n 's/^#   //p' Makefile

# --- the venv: one stamp for each thing that can be stale ----------------------------------------------------------
ifneq ($(PYTHON),)
ifneq ($(shell cat $(VENV)/asked-for 2>/dev/null),$(PYTHON))
.PHONY: $(VENV)/made  # another interpreter is asked for than the venv was made from
endif
endif

$(VENV)/made:
	@set -e; python="$$(.ci/find-python '$(PYTHON)')"; echo "venv: $(VENV) from $$python"; \
	"$$python" -m venv --clear $(VENV)
	@echo '$(PYTHON)' > $(VENV)/asked-for
	@touch $@

$(VENV)/installed-%: pyproject.toml .ci/requirements $(VENV)/made
	@$(BIN)/python .ci/requirements $* > $(VENV)/requirements-$*.txt
	$(BIN)/python -m pip install --quiet --requirement $(VENV)/requirements-$*.txt
	@touch $@

# Editable: the tests read the tree. The dependencies are there already, so this builds ext/ and nothing else.
$(VENV)/built: pyproject.toml setup.py $(wildcard ext/*) $(VENV)/installed-run
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	@touch $@

# --- the targets ---------------------------------------------------------------------------------------------------
demo: $(VENV)/built
	$(BIN)/plimsoll demo $(DEMO_ARGS)

test: $(VENV)/built $(VENV)/installed-test
	BENCH_IMAGES=40 $(BIN)/python -m pytest $(WITH_BENCHMARKS) $(WORKERS) $(PYTEST_ARGS)
	PLIMSOLL_BACKEND=python $(BIN)/python -m pytest tests/unit tests/parity $(WORKERS) $(PYTEST_ARGS)

check: $(VENV)/built $(VENV)/installed-check
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/mypy tests/typing
	$(BIN)/lint-imports
	@test -n "$(NATIVE_STUBS)" || { echo "src/plimsoll/native has no stubs to hold against the binaries" >&2; exit 1; }
	$(BIN)/stubtest --mypy-config-file pyproject.toml --allowlist tests/typing/stubtest.txt $(NATIVE_STUBS)

format: $(VENV)/installed-check
	$(BIN)/ruff format

parity: $(VENV)/built $(VENV)/installed-test
	$(BIN)/python -m pytest tests/parity $(PYTEST_ARGS)
	PLIMSOLL_BACKEND=python $(BIN)/python -m pytest tests/parity $(PYTEST_ARGS)

# Exit 77 of set-up: this machine lacks what cannot be installed here, and set-up said what.
interop: $(VENV)/built $(VENV)/installed-test
	@code=0; bash tests/interop/set-up build/interop $(BIN)/python || code=$$?; \
	if [ $$code = 77 ]; then exit 0; elif [ $$code != 0 ]; then exit $$code; fi; \
	set -x; PLIMSOLL_INTEROP=build/interop $(BIN)/python -m pytest tests/interop $(PYTEST_ARGS)

bench: $(VENV)/built $(VENV)/installed-test $(VENV)/installed-bench
	@mkdir -p build
	$(BIN)/python -m pytest benchmarks -o python_files='bench_*.py' -o python_functions='bench_*' -p no:randomly --timeout 900 \
		--benchmark-enable --benchmark-json build/benchmarks.json $(PYTEST_ARGS)

# The wheel is built from the sdist and tested by the sdist's own tests and pages, which proves that the sdist is whole;
# and where no source tree is in reach.
dist: $(VENV)/made $(VENV)/installed-check $(VENV)/installed-test
	rm -rf dist $(WHEEL)
	$(BIN)/python -m build --outdir dist
	mkdir -p $(WHEEL)
	tar -xzf dist/*.tar.gz -C $(WHEEL) --strip-components=1 --exclude='*/src' --exclude='*/ext' --exclude='*/setup.py'
	$(BIN)/python -m venv $(WHEEL)/venv
	$(WHEEL)/venv/bin/python -m pip install --quiet dist/*.whl --requirement $(VENV)/requirements-test.txt
	cd $(WHEEL) && venv/bin/python -I -c 'import plimsoll; assert "site-packages" in plimsoll.__file__, plimsoll.__file__'
	cd $(WHEEL) && venv/bin/python -m pytest $(WHEEL_TESTS) $(WORKERS) $(PYTEST_ARGS)

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .benchmarks .coverage
	rm -rf src/*.egg-info src/plimsoll/native/*.so src/plimsoll/native/_build.py
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
