/* SPDX-License-Identifier: MIT */
/*
 * The bytes of one input as a script: each decision takes the next byte.  After the
 * last byte all decisions get 0.
 */
#ifndef FUZZ_BYTES_H
#define FUZZ_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Works with NDEBUG too.  libFuzzer reports abort() as a finding. */
#define EXPECT(condition)                                                      \
	do {                                                                   \
		if (!(condition)) {                                            \
			fprintf(stderr, "%s:%d: failed: %s\n", __FILE__,       \
				__LINE__, #condition);                         \
			abort();                                               \
		}                                                              \
	} while (0)

#define EXPECT_EQ(a, b)                                                        \
	expect_equal(__FILE__, __LINE__, #a " == " #b, (long long)(a),         \
		     (long long)(b))

static inline void expect_equal(const char *file, int line, const char *what,
				long long a, long long b)
{
	if (a == b)
		return;
	fprintf(stderr, "%s:%d: failed: %s: %lld, %lld\n", file, line, what, a,
		b);
	abort();
}

struct bytes {
	const uint8_t *at;
	const uint8_t *end;
};

static inline unsigned int take(struct bytes *bytes)
{
	return bytes->at < bytes->end ? *bytes->at++ : 0;
}

/* 0 to @below - 1. */
static inline int take_below(struct bytes *bytes, int below)
{
	return (int)(take(bytes) % (unsigned int)below);
}

static inline uint64_t take_word(struct bytes *bytes)
{
	uint64_t word = 0;
	int i;

	for (i = 0; i < 8; i++)
		word |= (uint64_t)take(bytes) << 8 * i;
	return word;
}

/* A number near an interesting one: small, a power of two, an end of the range. */
static inline uint64_t take_number(struct bytes *bytes)
{
	unsigned int how = take(bytes);

	switch (how % 8) {
	case 0:
		return how / 8;
	case 1:
		return take(bytes);
	case 2:
		return take(bytes) * 256 + take(bytes);
	case 3:
		return (UINT64_C(1) << how / 8 * 2) + take(bytes) - 128;
	case 4:
		return (UINT64_C(2) << how / 8 * 2) + take(bytes) - 128;
	case 5:
		return UINT64_MAX - how / 8;
	case 6:
		return (uint64_t)take(bytes) << how / 8 * 2;
	default:
		return take_word(bytes);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif /* FUZZ_BYTES_H */
