/* SPDX-License-Identifier: MIT */
/*
 * A cursor that moves over the text of a line and never past its end.  Each
 * take_*() returns whether something was there, and moves only then.
 *
 * To be included first: memmem() must be asked for before any other header.
 */
#ifndef SHRINKER_TRACE_CURSOR_H
#define SHRINKER_TRACE_CURSOR_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1 /* memmem() */
#endif

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct cursor {
	const char *at;
	const char *end;
};

static inline size_t left(const struct cursor *c)
{
	return (size_t)(c->end - c->at);
}

static inline bool is_blank(char ch)
{
	return ch == ' ' || ch == '\t';
}

static inline bool is_digit(char ch)
{
	return ch >= '0' && ch <= '9';
}

/* True at least once in front of something: a separator was there. */
static inline bool skip_blanks(struct cursor *c)
{
	const char *from = c->at;

	while (c->at < c->end && is_blank(*c->at))
		c->at++;
	return c->at > from;
}

static inline bool take_text(struct cursor *c, const char *text, size_t length)
{
	if (left(c) < length || memcmp(c->at, text, length) != 0)
		return false;
	c->at += length;
	return true;
}

#define take_literal(c, text) take_text((c), (text), sizeof(text) - 1)

static inline bool take_char(struct cursor *c, char ch)
{
	if (c->at == c->end || *c->at != ch)
		return false;
	c->at++;
	return true;
}

/* Decimal digits, at least one, no more than fit. */
static inline bool take_u64(struct cursor *c, uint64_t max, uint64_t *value)
{
	uint64_t v = 0;
	const char *p = c->at;

	for (; p < c->end && is_digit(*p); p++) {
		uint64_t digit = (uint64_t)(*p - '0');

		if (digit > max || v > (max - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	if (p == c->at)
		return false;
	c->at = p;
	*value = v;
	return true;
}

static inline bool take_signed(struct cursor *c, int64_t min, int64_t max,
			int64_t *value)
{
	bool negative = take_char(c, '-');
	uint64_t v;

	/* 0 - (uint64_t)min is |min| without the overflow of -min. */
	if (!take_u64(c, negative ? 0 - (uint64_t)min : (uint64_t)max, &v))
		return false;
	*value = negative ? (int64_t)(0 - v) : (int64_t)v;
	return true;
}

static inline bool take_i64(struct cursor *c, int64_t *value)
{
	return take_signed(c, INT64_MIN, INT64_MAX, value);
}

static inline bool take_i32(struct cursor *c, int32_t min, int32_t *value)
{
	int64_t v;

	if (!take_signed(c, min, INT32_MAX, &v))
		return false;
	*value = (int32_t)v;
	return true;
}

static inline int hex_digit(char ch)
{
	if (is_digit(ch))
		return ch - '0';
	if (ch >= 'a' && ch <= 'f')
		return ch - 'a' + 10;
	if (ch >= 'A' && ch <= 'F')
		return ch - 'A' + 10;
	return -1;
}

/* Hexadecimal digits, with or without 0x, at most 16 of them. */
static inline bool take_hex(struct cursor *c, uint64_t *value)
{
	uint64_t v = 0;
	int digits = 0;
	struct cursor p = *c;

	if (!take_literal(&p, "0x"))
		take_literal(&p, "0X");
	for (; p.at < p.end && hex_digit(*p.at) >= 0; p.at++) {
		if (++digits > 16)
			return false;
		v = v << 4 | (uint64_t)hex_digit(*p.at);
	}
	if (!digits)
		return false;
	c->at = p.at;
	*value = v;
	return true;
}

static inline const char *find(struct cursor in, const char *text,
			       size_t length)
{
	if (left(&in) < length)
		return NULL;
	return memmem(in.at, left(&in), text, length);
}

#endif /* SHRINKER_TRACE_CURSOR_H */
