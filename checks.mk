# Instrumented builds: coverage, sanitizers, valgrind; a part of the Makefile.
#
# Each has a copy of the sources under build/, and a venv of its own beside it that
# borrows the tools of .venv and has its own package.  A compiler that adds its
# flags last makes that build: setuptools would put -O2 behind them.

PYVERSION = $(shell $(BIN)/python -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
# The compilers that are there; gcc is taken to be.
COMPILERS := gcc $(if $(shell command -v clang),clang)
# Each stress under each sanitizer and gcc; with clang STRESS_SECONDS.
CHECK_STRESS_SECONDS ?= 60
# Of fuzzing, for each of the three targets.
SECONDS ?= 60

# $(call INSTRUMENT,directory,flags): sources, compiler and venv in the directory.
define INSTRUMENT
	rm -rf $(1) && mkdir -p $(1)/src
	cp -r --parents $(SOURCES) csrc shrinker $(1)/src
	printf '#!/bin/sh\nexec gcc "$$@" %s\n' '$(2)' > $(1)/cc
	chmod +x $(1)/cc
	$(BIN)/python -m venv --without-pip $(1)/venv
	echo $(CURDIR)/$(VENV)/lib/$(PYVERSION)/site-packages \
		> $(1)/venv/lib/$(PYVERSION)/site-packages/tools.pth
	CC=$(CURDIR)/$(1)/cc $(1)/venv/bin/python -m pip install -q \
		--no-build-isolation --no-deps --ignore-installed ./$(1)/src
endef

# $(call PYTEST_IN,directory,how Python is run,options,some of tests/)
PYTEST_IN = $(call PYTEST,$(CURDIR)/$(1)/venv/bin/python -P $(2) -m pytest,$(3),$(4))

# --- coverage -----------------------------------------------------------------
#
# Nothing is measured twice: Python is while the tests of the wheel run, which
# is the everyday one, and C by the C tests and those Python tests that reach what
# they cannot, in an instrumented build, where nobody traces Python.

COVERAGE := build/coverage
COVERAGE_PYTHON := build/coverage-python
# Percent, of lines and branches, of C and Python each.
COVERED = 95
COVERAGE_FLAGS = --coverage -O0 -fprofile-update=atomic
# Many times what it takes; a test that hangs shows where after five minutes.
COVERAGE_SECONDS = 3600
# What reaches csrc/python, and how Python programs use the rest.
COVERAGE_C_TESTS = $(addsuffix .py,$(addprefix test_,control trampolines exceptions \
	hostile_callbacks native memory_errors no_memory_in_python refusals greenlets \
	imported_twice forks memcg list_lru tracing trace_replay bench_peers))

$(COVERAGE)/built: $(VENV)/installed checks.mk
	$(call INSTRUMENT,$(COVERAGE),$(COVERAGE_FLAGS))
	touch $@

.PHONY: coverage
coverage: coverage-python coverage-c
	$(MAKE) coverage-report

# Processes that tests start are measured too.  Tests marked untraced run by
# themselves, measured by nobody.
.PHONY: coverage-python
coverage-python: $(VENV)/installed
	rm -rf $(COVERAGE_PYTHON) && mkdir -p $(COVERAGE_PYTHON)
	export COVERAGE_FILE=$(CURDIR)/$(COVERAGE_PYTHON)/data; \
	$(call PYTEST,timeout -k 9 $(COVERAGE_SECONDS) $(BIN)/python -P -m coverage run \
		--rcfile=$(CURDIR)/pyproject.toml -m pytest,-m "not untraced" \
		-o faulthandler_timeout=300)
	$(call PYTEST,$(BIN)/pytest,-m untraced)

.PHONY: coverage-c
coverage-c: $(COVERAGE)/built
	find $(COVERAGE) -name '*.gcda' -delete
	set -e; for fences in '' ' -DSHRINKER_NO_MEMBARRIER'; do \
		$(MAKE) -C $(COVERAGE)/src/csrc check CC=gcc STRESS_SECONDS=1 \
			CFLAGS="$(COVERAGE_FLAGS) -DTESTS_COVERAGE$$fences"; \
	done
	$(call PYTEST_IN,$(COVERAGE),,,$(COVERAGE_C_TESTS))

.PHONY: coverage-report
coverage-report:
	cd $(COVERAGE_PYTHON) && COVERAGE_FILE=data $(BIN)/python -m coverage combine -q \
		--append --rcfile=$(CURDIR)/pyproject.toml
	cd $(COVERAGE_PYTHON) && COVERAGE_FILE=data $(BIN)/python -m coverage json -q \
		--rcfile=$(CURDIR)/pyproject.toml -o python.json
	$(BIN)/gcovr --config gcovr.cfg --root $(COVERAGE)/src/csrc \
		--json $(COVERAGE)/c.json $(COVERAGE)/src
	$(BIN)/python .ci/coverage_report.py --least $(COVERED) \
		$(COVERAGE_PYTHON)/python.json $(COVERAGE)/c.json

# --- sanitizers ---------------------------------------------------------------

ASAN := build/asan
ASAN_FLAGS = -O1 -g -fsanitize=address,undefined -fno-omit-frame-pointer

$(ASAN)/built: $(VENV)/installed checks.mk
	$(call INSTRUMENT,$(ASAN),$(ASAN_FLAGS))
	grep -q __asan_report $(ASAN)/venv/lib/$(PYVERSION)/site-packages/shrinker/_shrinker.*.so
	touch $@

# The C tests with each compiler, then the Python tests with such an extension.  With
# malloc() behind Python's objects, what C does to them is seen as well.
.PHONY: check-asan
check-asan: check-asan-c check-asan-python

.PHONY: check-asan-c
check-asan-c:
	set -e; for cc in $(COMPILERS); do \
		$(MAKE) -C csrc check CC=$$cc SANITIZE=address,undefined STRESS_SECONDS=$$( \
			test $$cc = gcc && echo $(CHECK_STRESS_SECONDS) || echo $(STRESS_SECONDS)); \
	done

# Left out, for what the sanitizer does to them:
# - `shrinker bench` as a whole, minutes of measuring: what it measures and shows is
#   tested piece by piece, and test_bench_peers.py runs the command;
# - rounds that have to be made within some time;
# - figures of memory: what is freed goes into quarantine, and each byte has a shadow;
# - a model alone, without any C;
# - greenlets, which copy C's stack with all that the sanitizer has put between.
ASAN_LEFT_OUT = --ignore=$(CURDIR)/tests/test_reference_model.py \
	--ignore=$(CURDIR)/tests/test_greenlets.py \
	$(addprefix --deselect=tests/, \
	test_bench.py::test_the_result_is_pyperfs \
	test_bench.py::test_pyperfs_own_commands_take_it \
	test_bench.py::test_the_table_has_every_row \
	test_bench_memcg.py::test_the_result_is_pyperfs \
	test_bench_memcg.py::test_the_tables_have_every_row \
	test_bench_lines.py::test_the_command \
	test_bench.py::test_interruption_keeps_complete_rounds \
	test_bench_memcg.py::test_memory_is_what_the_process_grows_by \
	test_lifetime.py::test_memory_stays_flat \
	test_reclaimer.py::test_real_memory_is_given_back \
	test_example_service.py::test_unprotected_is_killed \
	test_example_service.py::test_same_load \
	test_example_service.py::test_protected_reclaims \
	test_example_service.py::test_protected_serves_everything)
# Loaded first: the sanitizer, and what throws in the extensions of others.
PRELOAD = $(shell gcc -print-file-name=libasan.so) \
	$(shell gcc -print-file-name=libstdc++.so)

# use_tls=0: LeakSanitizer takes some thread-local blocks of dlopen()ed libraries for
# ones with a header, reads an address there and crashes.  What the library keeps in
# thread-local variables is reached by others too.
.PHONY: check-asan-python
check-asan-python: $(ASAN)/built
	rm -f $(ASAN)/log.*
	( export PYTHONMALLOC=malloc LD_PRELOAD="$(PRELOAD)" \
		LSAN_OPTIONS=exitcode=0:use_tls=0 \
		ASAN_OPTIONS=detect_leaks=1:log_path=$(CURDIR)/$(ASAN)/log \
		UBSAN_OPTIONS=print_stacktrace=1:log_path=$(CURDIR)/$(ASAN)/log; \
	$(call PYTEST_IN,$(ASAN),,$(ASAN_LEFT_OUT) $(PYTEST_OPTIONS)) ); tests=$$?; \
	$(BIN)/python .ci/sanitizer_logs.py $(ASAN) && exit $$tests

# The C tests and the stresses, with both orders of accesses in walks
# (csrc/holding.c): each for as long with gcc.
.PHONY: check-tsan
check-tsan:
	set -e; for cc in $(COMPILERS); do \
		seconds=$$(test $$cc = gcc && echo $(CHECK_STRESS_SECONDS) || \
			echo $(STRESS_SECONDS)); \
		for fences in '' -DSHRINKER_NO_MEMBARRIER; do \
			$(MAKE) -C csrc check CC=$$cc SANITIZE=thread CFLAGS=$$fences \
				STRESS_SECONDS=$$seconds; \
		done; \
	done

.PHONY: check-valgrind
check-valgrind:
	$(MAKE) -C csrc check-valgrind CC=gcc

# --- fuzzing ------------------------------------------------------------------

.PHONY: fuzz
fuzz:
	$(MAKE) -C csrc fuzz SECONDS=$(SECONDS)
