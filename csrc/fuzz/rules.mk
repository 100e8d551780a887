# SPDX-License-Identifier: MIT
# Fuzzing; a part of csrc/Makefile.
#
#   make fuzz SECONDS=60   each target for so long, under ASan and UBSan; needs a
#                          clang with libFuzzer
#   make fuzz-merge        adds new inputs to the corpus in the tree, and reduces it to
#                          one input for each edge
#   make fuzz-corpus       runs the corpus as a test, with any compiler; a part of
#                          `make check`
#
# A finding ends the run; its input is written to build/fuzz.

FUZZ_TARGETS = pass registry replay
FUZZ_BUILD = ../build/fuzz
FUZZ_CC = clang
SECONDS = 60
FUZZ_OPTIONS_pass = -max_len=256
FUZZ_OPTIONS_registry = -max_len=1024
FUZZ_OPTIONS_replay = -max_len=1024 -dict=fuzz/replay.dict

FUZZ_SOURCES_registry = $(wildcard fuzz/registry_*.c)
FUZZ_HEADERS = $(wildcard *.h replay/*.h fuzz/*.h include/*/*.h)
FUZZ_PROGRAMS = $(FUZZ_TARGETS:%=$(FUZZ_BUILD)/fuzz_%)
FUZZ_TESTS = $(FUZZ_TARGETS:%=$(BUILD)/fuzz_%)
FUZZ_ENVIRONMENT = ASAN_OPTIONS=detect_stack_use_after_return=1 \
	UBSAN_OPTIONS=print_stacktrace=1

.PHONY: fuzz fuzz-merge fuzz-corpus

$(FUZZ_BUILD)/fuzz_%: $(SOURCES) $(wildcard fuzz/*.c) $(FUZZ_HEADERS)
	mkdir -p $(FUZZ_BUILD)/corpus/$*
	@echo 'int LLVMFuzzerTestOneInput(const void *d, long n); int LLVMFuzzerTestOneInput(const void *d, long n) { return d == (void *)n; }' | \
		$(FUZZ_CC) -fsanitize=fuzzer,address,undefined -x c - -o $@.probe || \
		{ echo 'make fuzz needs clang with libFuzzer (Debian: clang libclang-rt-dev)' >&2; exit 1; }
	@rm $@.probe
	$(FUZZ_CC) -std=c11 -O1 -g -Wall -Wextra -Wconversion -Wshadow -Werror \
		-fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
		-fno-omit-frame-pointer -D_GNU_SOURCE -Iinclude -I. -o $@ \
		fuzz/fuzz_$*.c $(FUZZ_SOURCES_$*) $(SOURCES) -lpthread

fuzz: $(FUZZ_PROGRAMS)
	set -e; $(foreach target,$(FUZZ_TARGETS),\
		$(FUZZ_ENVIRONMENT) $(FUZZ_BUILD)/fuzz_$(target) \
			-max_total_time=$(SECONDS) -timeout=20 -print_final_stats=1 \
			-verbosity=0 -print_coverage=0 \
			-artifact_prefix=$(FUZZ_BUILD)/$(target)- \
			$(FUZZ_OPTIONS_$(target)) $(FUZZ_BUILD)/corpus/$(target) \
			fuzz/corpus/$(target);)

fuzz-merge: $(FUZZ_PROGRAMS)
	set -e; $(foreach target,$(FUZZ_TARGETS),\
		rm -rf $(FUZZ_BUILD)/merged; mkdir -p $(FUZZ_BUILD)/merged; \
		$(FUZZ_BUILD)/fuzz_$(target) -merge=1 -use_counters=0 $(FUZZ_OPTIONS_$(target)) \
			$(FUZZ_BUILD)/merged fuzz/corpus/$(target) \
			$(FUZZ_BUILD)/corpus/$(target); \
		rm -rf fuzz/corpus/$(target); \
		mv $(FUZZ_BUILD)/merged fuzz/corpus/$(target);)

$(BUILD)/fuzz_%: fuzz/fuzz_%.c fuzz/run_files.c $(wildcard fuzz/registry_*.c) \
		$(BUILD)/libshrinker.a $(FUZZ_HEADERS) | $(BUILD)
	$(COMPILE) -D_GNU_SOURCE -I. -o $@ $< fuzz/run_files.c \
		$(FUZZ_SOURCES_$*) $(BUILD)/libshrinker.a -lpthread

fuzz-corpus: $(FUZZ_TESTS)
	set -e; $(foreach target,$(FUZZ_TARGETS),\
		$(ENVIRONMENT) $(RUNNER) $(BUILD)/fuzz_$(target) \
			fuzz/corpus/$(target);)
