# The commands of this project.  They need a C compiler, Python 3.11 or later with
# venv, and a package index; everything else they make themselves, in .venv.

PYTHON ?= python3
# Each Python that is named has a venv of its own: `make test PYTHON=python3.13`.
VENV := .venv$(patsubst %,-%,$(filter-out python3,$(notdir $(PYTHON))))
BIN := $(CURDIR)/$(VENV)/bin
CC ?= cc
# Options of `make bench` and `make bench-*`, such as BENCH=--fast.
BENCH ?=
RESULTS := bench-results
STRESS_SECONDS ?= 2
# Processes that compile and test.  One more than cores: some tests wait.
JOBS ?= $(shell echo $$(($$(nproc) + 1)))

SOURCES := pyproject.toml setup.py build_ffi.py MANIFEST.in README.md LICENSE \
	$(shell find csrc shrinker -name '*.[ch]' -o -name '*.in' -o -name '*.py' -o -name '*.xz')

.PHONY: build
build: build/in-place
	@echo 'Here $(VENV)/bin/python imports shrinker, as any Python with cffi does.'

.PHONY: help
help:
	@echo 'make            the extension in place: Python that has cffi, such as'
	@echo '                .venv/bin/python, imports shrinker in this directory'
	@echo 'make test       what anyone runs: style, types, C tests, Python tests of the'
	@echo '                wheel, examples; a few minutes'
	@echo 'make check      everything, in under an hour: make test, then each of'
	@echo '  make test-core       the tests of the sdist, with cffi, pytest, setuptools'
	@echo '  make test-dist       the tag of the wheel, and the stable ABI'
	@echo '  make coverage        lines and branches of C and Python that no test reaches;'
	@echo '                       COVERED=95 percent are wanted'
	@echo '  make check-asan      the C tests and the Python tests under ASan and UBSan'
	@echo '  make check-tsan      the C tests and stresses under TSan'
	@echo '  make check-valgrind  the C tests under memcheck'
	@echo '  make fuzz            each fuzz target for SECONDS=60 (needs clang)'
	@echo 'make check-vm   limits, sources, survival, recordings on four kernels under qemu'
	@echo '                (root, Debian); VM_OPTIONS="--kernels 6.12 --jobs limits"'
	@echo 'make test-python  the Python tests; PYTEST_OPTIONS="-k lru" for some'
	@echo 'make test-c       the C tests; lint, types: what they say'
	@echo 'make test PYTHON=python3.13  with another Python that is installed'
	@echo 'make check-pythons  the Python tests on those of Debian sid (root, mmdebstrap)'
	@echo 'make bench      the reclaim loop measured; BENCH=--fast for a short run'
	@echo 'make bench-native, bench-threads, bench-neighbours, bench-memcg,'
	@echo '     bench-trampolines  the rest measured: docs/performance.md'
	@echo 'make example-c  a shrinker in the style of the kernel, built and run'
	@echo 'make example-driver  a driver and its test, under ASan and TSan'
	@echo 'make example-service  a service under a limit, alone and as four processes (root)'
	@echo 'make wheel      dist/*.whl'
	@echo 'make wheels     build/wheels/*: manylinux and musllinux, x86-64 and aarch64'
	@echo 'make docs       the site, build/site/index.html; every warning is an error'
	@echo 'make release    everything checked, built and tagged; uploads nothing'
	@echo 'make clean      remove all that was made'

# --- environments -------------------------------------------------------------

# One marker for what builds, one for the tools, which change seldom, and one for
# the package.
$(VENV)/python: pyproject.toml
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/pip install -q --upgrade 'pip>=25.1'
	$(BIN)/pip install -q 'cffi>=1.17' 'setuptools>=77'
	touch $@

$(VENV)/tools: $(VENV)/python
	$(BIN)/pip install -q --group test
	touch $@

build/in-place: $(VENV)/python $(SOURCES)
	$(BIN)/python setup.py -q build_clib build_ext --inplace
	touch $@

# The wheel is made from the sdist, so what is tested came from there.
dist/built: $(VENV)/tools $(SOURCES)
	rm -rf dist *.egg-info
	$(BIN)/python -m build -q --no-isolation .
	touch $@

$(VENV)/installed: dist/built
	$(BIN)/pip install -q --force-reinstall --no-deps dist/*.whl
	$(BIN)/pip install -q "shrinker[cli,plot,prometheus] @ file://$$(echo $(CURDIR)/dist/*.whl)"
	touch $@

.PHONY: wheel
wheel: dist/built

# --- tests --------------------------------------------------------------------

.PHONY: test
test:
	+@.ci/steps $(VENV)/installed lint \
		'-s -Otarget -j$(JOBS) types test-c example-c example-driver' '-s test-python'

.PHONY: check
check:
	+@.ci/run --as-is

# Tests run against what was installed, from a directory that is not ours.  Where no
# bytecode is written each process would compile all tests again.
# $(call PYTEST,how pytest is run,options,some of tests/ or nothing for all)
OUTSIDE := build/outside
PYTEST = mkdir -p $(OUTSIDE) && cd $(OUTSIDE) && \
	SHRINKER_TEST_INSTALLED=1 PYTHONDONTWRITEBYTECODE= $(1) \
	-c $(CURDIR)/pyproject.toml --rootdir $(CURDIR) -p no:cacheprovider -q $(2) \
	$(or $(addprefix $(CURDIR)/tests/,$(3)),$(CURDIR)/tests)

# Tests marked `alone` first.  Then all others on all cores, each file in one process,
# which makes once what its tests share; and beside them those marked `one_thread`, in a
# process without xdist.  A worker of xdist that dies ends the run: with a new one in its
# place xdist 3.8 can wait for ever.  pytest exits with 5 where none is chosen.
# $(call TESTS,how pytest is run,more of the marker expression,options,some of tests/)
TESTS = mkdir -p build && \
	{ ( $(call PYTEST,$(1),-m "alone$(2)" $(3) $(PYTEST_OPTIONS),$(4)) ) || [ $$? = 5 ]; } && { \
		( $(call PYTEST,$(1),-m "one_thread$(2)" $(3) $(PYTEST_OPTIONS),$(4)) ) \
			> build/one-thread.log 2>&1 & one_thread=$$!; \
		trap "kill $$one_thread" INT TERM; \
		( $(call PYTEST,$(1),-m "not alone and not one_thread$(2)" -n $(JOBS) --dist loadfile \
			--no-loadscope-reorder --max-worker-restart=0 $(3) $(PYTEST_OPTIONS),$(4)); ); \
		others=$$?; \
		wait $$one_thread; one_thread=$$?; \
		cat build/one-thread.log; \
		{ [ $$one_thread = 0 ] || [ $$one_thread = 5 ]; } && \
			{ [ $$others = 0 ] $(if $(PYTEST_OPTIONS),|| [ $$others = 5 ]); }; }

.PHONY: test-python
test-python: $(VENV)/installed
	$(call TESTS,$(BIN)/pytest)

.PHONY: lint
lint: $(VENV)/tools
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*

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

.PHONY: example-driver
example-driver: $(VENV)/installed
	$(MAKE) -C csrc example-driver \
		INCLUDE="$$($(BIN)/python -P -c 'import shrinker; print(shrinker.get_include())')" \
		LIBRARY="$$($(BIN)/python -P -c 'import shrinker; print(shrinker.get_library())')"

# Makes a memory cgroup, so it wants root.
.PHONY: example-service
example-service: $(VENV)/installed
	mkdir -p $(RESULTS)
	$(BIN)/python examples/service/run.py --plot $(RESULTS)/service.png \
		--json $(RESULTS)/service.json
	$(BIN)/python examples/service/workers.py --plot $(RESULTS)/service-workers.png \
		--json $(RESULTS)/service-workers.json

# What was published, sources and tests, where nothing else can be there by accident.
.PHONY: test-core
test-core: dist/built
	rm -rf build/sdist && mkdir -p build/sdist
	tar -xzf dist/*.tar.gz -C build/sdist --strip-components=1
	$(PYTHON) -m venv --clear .venv-core
	.venv-core/bin/pip install -q --upgrade 'pip>=25.1'
	.venv-core/bin/pip install -q --group test-core 'setuptools>=77' dist/*.tar.gz
	.venv-core/bin/pip list
	cd build && $(CURDIR)/.venv-core/bin/pytest -q -rs -c sdist/pyproject.toml \
		--rootdir sdist -p no:cacheprovider sdist/tests

.PHONY: test-dist
test-dist: dist/built
	ls dist
	ls dist/*.whl | grep -q -- '-cp311-abi3-'
	$(BIN)/abi3audit --strict --assume-minimum-abi3 3.11 dist/*.whl

# Pythons of Debian's development release, which has the newest, in build/sid.
SID_PYTHONS := 3.14 3.15
.PHONY: check-pythons
check-pythons: dist/built
	OPTIONS='$(PYTEST_OPTIONS)' tests/pythons/check dist/*.tar.gz build/sid $(SID_PYTHONS)

include checks.mk

# --- measuring ----------------------------------------------------------------

.PHONY: bench
bench: $(VENV)/installed
	mkdir -p $(RESULTS)
	$(BIN)/shrinker bench -o $(RESULTS)/bench.json $(BENCH)

# What is for developers: benchmarks/, which the package does not have.
bench-native: SCRIPT = native
bench-threads: SCRIPT = two_threads
bench-neighbours: SCRIPT = busy_threads
bench-memcg: SCRIPT = memcg
bench-trampolines: SCRIPT = trampolines
.PHONY: bench-native bench-threads bench-neighbours bench-memcg bench-trampolines
bench-native bench-threads bench-neighbours bench-memcg bench-trampolines: \
		$(VENV)/installed
	mkdir -p $(RESULTS)
	$(BIN)/python benchmarks/$(SCRIPT).py -o $(RESULTS)/$@.json $(BENCH)

# --- wheels for an index ------------------------------------------------------

$(VENV)/wheel-tools: $(VENV)/python
	$(BIN)/pip install -q --group wheels
	touch $@

# manylinux and musllinux, x86-64 and aarch64, from the sdist, beside the sdist.
.PHONY: wheels
wheels: dist/built $(VENV)/wheel-tools
	rm -rf build/wheels && mkdir -p build/wheels
	$(BIN)/python .ci/wheels.py dist/*.tar.gz build/wheels
	$(BIN)/abi3audit --strict --assume-minimum-abi3 3.11 build/wheels/*.whl
	cp dist/*.tar.gz build/wheels

# --- the site -----------------------------------------------------------------

DOCS_VENV := .venv-docs
SITE := build/site

$(DOCS_VENV)/tools: pyproject.toml
	$(PYTHON) -m venv --clear $(DOCS_VENV)
	$(DOCS_VENV)/bin/pip install -q --upgrade 'pip>=25.1'
	$(DOCS_VENV)/bin/pip install -q --group docs
	touch $@

# Links between pages and their headings are checked, and that no public name is missing
# (docs/conf.py).  Examples are run by tests/test_readme.py.
.PHONY: docs
docs: $(DOCS_VENV)/tools build/in-place
	rm -rf $(SITE)
	PYTHONPATH=$(CURDIR) $(DOCS_VENV)/bin/python -m sphinx -q -E -W --keep-going \
		-b html -d build/doctrees docs $(SITE)
	@echo 'The site is $(SITE)/index.html.'

# --- releasing ----------------------------------------------------------------

# The first call says early what the last one would refuse.
.PHONY: release
release: $(VENV)/tools
	$(BIN)/python .ci/release.py
	$(MAKE) check wheels
	$(BIN)/twine check --strict build/wheels/*
	$(BIN)/python .ci/release.py --tag

.PHONY: clean
clean:
	rm -rf .venv .venv-* build dist *.egg-info $(RESULTS) shrinker/_shrinker*.so \
		shrinker/lib .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
