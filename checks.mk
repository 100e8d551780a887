# Instrumented builds: coverage, sanitizers, valgrind; and real kernels.  A part of the
# Makefile.
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

# $(call TESTS_IN,directory,more of the marker expression,options,some of tests/)
TESTS_IN = $(call TESTS,$(CURDIR)/$(1)/venv/bin/python -P -m pytest,$(2),$(3),$(4))

# A trace or a sanitizer makes the longest tests several times as long.
SLOW_TESTS = -o faulthandler_timeout=1200

# --- coverage -----------------------------------------------------------------
#
# Python is measured while the tests of the wheel run, C by the C tests and those
# Python tests that reach what they cannot, in an instrumented build, without a trace
# of Python.

COVERAGE := build/coverage
COVERAGE_PYTHON := build/coverage-python
# Percent, of lines and branches, of C and Python each.
COVERED = 95
COVERAGE_FLAGS = --coverage -O0 -fprofile-update=atomic
# Many times what it takes.
COVERAGE_SECONDS = 3600
# What reaches csrc/python, and how Python programs use the rest.
COVERAGE_C_TESTS = core cache replay pressure

$(COVERAGE)/built: $(VENV)/installed checks.mk
	$(call INSTRUMENT,$(COVERAGE),$(COVERAGE_FLAGS))
	touch $@

.PHONY: coverage
coverage: coverage-python coverage-c
	$(MAKE) coverage-report

# Processes that tests start are measured too, and so are those of `-n`.  Tests marked
# untraced are left out: `make test` runs them.
.PHONY: coverage-python
coverage-python: $(VENV)/installed
	rm -rf $(COVERAGE_PYTHON) && mkdir -p $(COVERAGE_PYTHON)
	export COVERAGE_FILE=$(CURDIR)/$(COVERAGE_PYTHON)/data; \
	$(call TESTS,timeout -k 9 $(COVERAGE_SECONDS) $(BIN)/python -P -m coverage run \
		--rcfile=$(CURDIR)/pyproject.toml -m pytest, and not untraced,$(SLOW_TESTS))

.PHONY: coverage-c
coverage-c: $(COVERAGE)/built
	find $(COVERAGE) -name '*.gcda' -delete
	set -e; for fences in '' ' -DSHRINKER_NO_MEMBARRIER'; do \
		$(MAKE) -j$(JOBS) -C $(COVERAGE)/src/csrc check CC=gcc STRESS_SECONDS=1 \
			CFLAGS="$(COVERAGE_FLAGS) -DTESTS_COVERAGE$$fences"; \
	done
	$(call TESTS_IN,$(COVERAGE),,,$(COVERAGE_C_TESTS))

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
		$(MAKE) -j$(JOBS) -C csrc check CC=$$cc SANITIZE=address,undefined STRESS_SECONDS=$$( \
			test $$cc = gcc && echo $(CHECK_STRESS_SECONDS) || echo $(STRESS_SECONDS)); \
	done

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
	$(call TESTS_IN,$(ASAN), and not no_asan,$(SLOW_TESTS)) ); tests=$$?; \
	$(BIN)/python .ci/sanitizer_logs.py $(ASAN) $$(($(JOBS) + 3)) && exit $$tests

# The C tests and the stresses, with both orders of accesses in walks
# (csrc/holding.c): each for as long with gcc.
.PHONY: check-tsan
check-tsan:
	set -e; for cc in $(COMPILERS); do \
		seconds=$$(test $$cc = gcc && echo $(CHECK_STRESS_SECONDS) || \
			echo $(STRESS_SECONDS)); \
		for fences in '' -DSHRINKER_NO_MEMBARRIER; do \
			$(MAKE) -j$(JOBS) -C csrc check CC=$$cc SANITIZE=thread CFLAGS=$$fences \
				STRESS_SECONDS=$$seconds; \
		done; \
	done

.PHONY: check-valgrind
check-valgrind:
	$(MAKE) -j$(JOBS) -C csrc check-valgrind CC=gcc

# --- kernels ------------------------------------------------------------------
#
# What the library says of kernels, on Debian's kernels under qemu without KVM.  Needs
# root on Debian, and packages of it: qemu-system-x86 mmdebstrap e2fsprogs cpio xz-utils.

# What VMs boot is kept here, 2 GB; another place survives `make clean`.
VM ?= build/vm
# Such as VM_OPTIONS="--kernels 6.12 --jobs limits sources".
VM_OPTIONS ?=

.PHONY: check-vm
check-vm: dist/built
	tests/vm/images.sh $(VM)
	$(BIN)/python tests/vm/check_vm.py $(VM) dist/*.whl $(VM_OPTIONS)

# --- fuzzing ------------------------------------------------------------------

.PHONY: fuzz
fuzz:
	$(MAKE) -C csrc fuzz SECONDS=$(SECONDS)
