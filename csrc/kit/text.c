/* SPDX-License-Identifier: MIT */
/* Numbers in text, and strings. */
#define _GNU_SOURCE 1

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <linux/kstrtox.h>
#include <linux/string.h>

/* Whether the number ends where the text does, but for one line end. */
static int ends(const char *text, const char *end, unsigned int base)
{
	if (end == text || base > 36)
		return -EINVAL;
	end += *end == '\n';
	return *end ? -EINVAL : 0;
}

int kstrtoull(const char *text, unsigned int base, unsigned long long *number)
{
	unsigned long long value;
	char *end;
	int error;

	if (*text < '0' && *text != '+')
		return -EINVAL; /* No blanks, no minus. */
	errno = 0;
	value = strtoull(text, &end, (int)base);
	error = ends(text, end, base);
	if (!error && errno)
		error = -ERANGE;
	if (!error)
		*number = value;
	return error;
}

int kstrtoll(const char *text, unsigned int base, long long *number)
{
	long long value;
	char *end;
	int error;

	if (*text < '0' && *text != '+' && *text != '-')
		return -EINVAL;
	errno = 0;
	value = strtoll(text, &end, (int)base);
	error = ends(text, end, base);
	if (!error && errno)
		error = -ERANGE;
	if (!error)
		*number = value;
	return error;
}

int kstrtoul(const char *text, unsigned int base, unsigned long *number)
{
	unsigned long long value;
	int error = kstrtoull(text, base, &value);

	if (!error)
		*number = value;
	return error;
}

int kstrtol(const char *text, unsigned int base, long *number)
{
	long long value;
	int error = kstrtoll(text, base, &value);

	if (!error)
		*number = value;
	return error;
}

int kstrtouint(const char *text, unsigned int base, unsigned int *number)
{
	unsigned long long value;
	int error = kstrtoull(text, base, &value);

	if (!error && value > UINT_MAX)
		error = -ERANGE;
	if (!error)
		*number = (unsigned int)value;
	return error;
}

int kstrtoint(const char *text, unsigned int base, int *number)
{
	long long value;
	int error = kstrtoll(text, base, &value);

	if (!error && (value > INT_MAX || value < INT_MIN))
		error = -ERANGE;
	if (!error)
		*number = (int)value;
	return error;
}

/* "on" and "off" are told apart by their second character. */
int kstrtobool(const char *text, bool *yes)
{
	char c;

	if (!text)
		return -EINVAL;
	c = text[0];
	if (c == 'o' || c == 'O') {
		if (text[1] != 'n' && text[1] != 'N' && text[1] != 'f' && text[1] != 'F')
			return -EINVAL;
		*yes = text[1] == 'n' || text[1] == 'N';
		return 0;
	}
	if (!c || !strchr("yYtT1nNfF0", c))
		return -EINVAL;
	*yes = strchr("yYtT1", c);
	return 0;
}

ssize_t shrinker_kit_strscpy(char *to, const char *from, size_t size)
{
	size_t length = strnlen(from, size);

	if (!size)
		return -E2BIG;
	if (length < size) {
		memcpy(to, from, length + 1);
		return (ssize_t)length;
	}
	memcpy(to, from, size - 1);
	to[size - 1] = 0;
	return -E2BIG;
}

int scnprintf(char *to, size_t size, const char *format, ...)
{
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(to, size, format, arguments);
	va_end(arguments);
	if (length < 0 || !size)
		return 0;
	return (size_t)length < size ? length : (int)size - 1;
}

void *memchr_inv(const void *memory, int byte, size_t size)
{
	const unsigned char *at = memory;

	for (; size; size--, at++)
		if (*at != (unsigned char)byte)
			return (void *)(unsigned long)at;
	return NULL;
}
