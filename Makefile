# The commands of this project.  `make test` and `make bench` need a C compiler,
# Python 3.11 or later with venv, and a package index; everything else they make
# themselves, in .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
CC ?= cc
# Options of `make bench`, such as BENCH=--fast.
BENCH ?=
RESULTS := bench-results
STRESS_SECONDS ?= 2

SOURCES := pyproject.toml setup.py build_ffi.py MANIFEST.in README.md LICENSE \
	$(shell find csrc shrinker -name '*.[ch]' -o -name '*.py' -o -name '*.xz')

# Tests run against what was installed, from a directory that is not ours.
# $(call PYTEST,how pytest is run,options,some of tests/ or nothing for all)
OUTSIDE := build/outside
PYTEST = mkdir -p $(OUTSIDE) && cd $(OUTSIDE) && $(1) -c $(CURDIR)/pyproject.toml \
	--rootdir $(CURDIR) -p no:cacheprovider -q $(2) \
	$(or $(addprefix $(CURDIR)/tests/,$(3)),$(CURDIR)/tests)

.PHONY: help
help:
	@echo 'make test       everything: style, types, C tests, Python tests, examples,'
	@echo '                and that they reach 95 % of the lines and branches'
	@echo 'make bench      the reclaim loop measured; BENCH=--fast for a short run'
	@echo 'make test-python  the Python tests alone; PYTEST_OPTIONS="-k lru" for some'
	@echo 'make test-core  the tests with nothing installed but cffi, pytest, setuptools'
	@echo 'make test-dist  wheel and sdist: tag, stable ABI, tests of both'
	@echo 'make coverage   the Python tests, and which lines and branches of C and Python'
	@echo '                no test reaches; COVERED=95 percent are wanted'
	@echo 'make check-asan the C tests and the Python tests under ASan and UBSan'
	@echo 'make check-tsan the C tests and stresses under TSan'
	@echo 'make check-valgrind  the C tests under memcheck'
	@echo 'make fuzz       each fuzz target for SECONDS=60 (needs clang)'
	@echo 'make example-c  a shrinker in the style of the kernel, built and run'
	@echo 'make example-service  a service under a limit, unprotected and protected (root)'
	@echo 'make wheel      dist/*.whl'
	@echo 'make clean      remove all that was made'

# --- environments -------------------------------------------------------------

# One marker for the tools, which change seldom, and one for the package.
$(VENV)/tools: pyproject.toml
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/pip install -q --upgrade 'pip>=25.1'
	$(BIN)/pip install -q --group test 'cffi>=1.17' 'setuptools>=77'
	touch $@

dist/built: $(VENV)/tools $(SOURCES)
	rm -rf dist build/lib* build/bdist* build/temp* *.egg-info
	$(BIN)/python -m build -q --no-isolation .
	touch $@

$(VENV)/installed: dist/built
	$(BIN)/pip install -q --force-reinstall --no-deps dist/*.whl
	$(BIN)/pip install -q "shrinker[cli,plot,prometheus] @ file://$$(echo $(CURDIR)/dist/*.whl)"
	touch $@

.PHONY: wheel
wheel: dist/built

# --- tests --------------------------------------------------------------------

# The Python tests run once, as a part of coverage (checks.mk).
.PHONY: test
test: lint types test-c example-c coverage

.PHONY: test-python
test-python: $(VENV)/installed
	$(call PYTEST,$(BIN)/pytest,$(PYTEST_OPTIONS))

.PHONY: lint
lint: $(VENV)/tools
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

.PHONY: types
types: $(VENV)/installed
	$(BIN)/mypy

.PHONY: test-c
test-c:
	$(MAKE) -C csrc check CC=gcc STRESS_SECONDS=$(STRESS_SECONDS)

.PHONY: example-c
example-c: $(VENV)/installed
	$(MAKE) -C csrc example \
		INCLUDE="$$($(BIN)/python -P -c 'import shrinker; print(shrinker.get_include())')" \
		LIBRARY="$$($(BIN)/python -P -c 'import shrinker; print(shrinker.get_library())')"

# Makes a memory cgroup, so it wants root.
.PHONY: example-service
example-service: $(VENV)/installed
	mkdir -p $(RESULTS)
	$(BIN)/python examples/service/run.py --plot $(RESULTS)/service.png \
		--json $(RESULTS)/service.json

# A venv of their own, so that nothing can be there by accident.
.PHONY: test-core
test-core: dist/built
	$(PYTHON) -m venv --clear .venv-core
	.venv-core/bin/pip install -q --upgrade 'pip>=25.1'
	.venv-core/bin/pip install -q --group test-core 'setuptools>=77' dist/*.whl
	.venv-core/bin/pip list
	$(call PYTEST,$(CURDIR)/.venv-core/bin/pytest,-rs)

.PHONY: test-dist
test-dist: dist/built
	ls dist
	ls dist/*.whl | grep -q -- '-cp311-abi3-'
	$(BIN)/abi3audit --strict --assume-minimum-abi3 3.11 dist/*.whl
	rm -rf build/sdist && mkdir -p build/sdist
	tar -xzf dist/*.tar.gz -C build/sdist --strip-components=1
	$(PYTHON) -m venv --clear .venv-sdist
	.venv-sdist/bin/pip install -q --upgrade 'pip>=25.1'
	.venv-sdist/bin/pip install -q --group test-core dist/*.tar.gz
	cd build && $(CURDIR)/.venv-sdist/bin/pytest -q -c sdist/pyproject.toml \
		--rootdir sdist -p no:cacheprovider sdist/tests

include checks.mk

# --- measuring ----------------------------------------------------------------

.PHONY: bench
bench: $(VENV)/installed
	mkdir -p $(RESULTS)
	$(BIN)/shrinker bench -o $(RESULTS)/bench.json $(BENCH)

.PHONY: clean
clean:
	rm -rf .venv .venv-core .venv-sdist build dist *.egg-info $(RESULTS) \
		.mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
