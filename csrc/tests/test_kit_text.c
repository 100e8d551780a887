/* SPDX-License-Identifier: MIT */
/* The driver test kit: numbers and words in text, checksums, orders of bytes. */

#include "check.h"
#include "kit_failures.h"

#include <linux/crc32.h>
#include <linux/debugfs.h>
#include <linux/math.h>
#include <linux/siphash.h>
#include <linux/sysfs.h>
#include <linux/uaccess.h>
#include <linux/unaligned.h>
#include <linux/uuid.h>
#include <net/checksum.h>

/* Numbers in text are read whole or not at all. */
static void numbers_in_text(void)
{
	unsigned long number = 0;
	bool yes = false;
	int small;
	char to[4];

	CHECK_EQ(kstrtoul("123\n", 0, &number), 0);
	CHECK_EQ(number, 123);
	CHECK_EQ(kstrtoul("0x10", 0, &number), 0);
	CHECK_EQ(number, 16);
	CHECK_EQ(kstrtoul("12 ", 0, &number), -EINVAL);
	CHECK_EQ(kstrtoul("", 0, &number), -EINVAL);
	CHECK_EQ(kstrtoul("-1", 0, &number), -EINVAL);
	CHECK_EQ(kstrtoul("99999999999999999999999", 0, &number), -ERANGE);
	CHECK_EQ(kstrtoint("4294967296", 0, &small), -ERANGE);
	CHECK_EQ(kstrtoint("-5", 0, &small), 0);
	CHECK_EQ(small, -5);
	CHECK_EQ(kstrtobool("on", &yes), 0);
	CHECK(yes);
	CHECK_EQ(kstrtobool("off", &yes), 0);
	CHECK(!yes);
	CHECK_EQ(kstrtobool("x", &yes), -EINVAL);
	CHECK_EQ(strscpy(to, "abc"), 3);
	CHECK_EQ(strscpy(to, "abcd", sizeof(to)), -E2BIG);
	CHECK_TEXT(to, "abc");
	CHECK_EQ(scnprintf(to, sizeof(to), "%d", 12345), 3);
}

/* Signed and small numbers in text. */
static void signed_and_small_numbers(void)
{
	unsigned int small = 0;
	long number = 0;
	bool yes;

	CHECK_EQ(kstrtol("-12", 0, &number), 0);
	CHECK_EQ(number, -12);
	CHECK_EQ(kstrtol("+5", 0, &number), 0);
	CHECK_EQ(kstrtol(" 5", 0, &number), -EINVAL);
	CHECK_EQ(kstrtol("99999999999999999999", 0, &number), -ERANGE);
	CHECK_EQ(kstrtouint("7", 10, &small), 0);
	CHECK_EQ(small, 7);
	CHECK_EQ(kstrtouint("4294967296", 10, &small), -ERANGE);
	CHECK_EQ(kstrtouint("x", 10, &small), -EINVAL);
	CHECK_EQ(kstrtobool("y", &yes), 0);
	CHECK(yes);
	CHECK_EQ(kstrtobool("0", &yes), 0);
	CHECK(!yes);
	CHECK_EQ(shrinker_kit_strscpy(NULL, "", 0), -E2BIG);
	CHECK_TEXT(kbasename("a/b.c"), "b.c");
	CHECK(IS_ERR(debugfs_create_dir("name", NULL)));
}

/* Numbers with signs, in other bases, at the edge; words for yes and no. */
static void words_and_edges(void)
{
	static const char *const yes[] = { "y", "Y", "1", "on", "ON", "oN", "true", "T" };
	static const char *const no[] = { "n", "N", "0", "f", "F", "off", "oF" };
	static const char *const neither[] = { "", "o", "ox", "oy", "o1", "2" };
	unsigned int small;
	unsigned long big;
	long number;
	size_t i;
	char to[4];
	bool is;
	int n;

	for (i = 0; i < LENGTH(yes); i++) {
		CHECK_EQ(kstrtobool(yes[i], &is), 0);
		CHECK(is);
	}
	for (i = 0; i < LENGTH(no); i++) {
		CHECK_EQ(kstrtobool(no[i], &is), 0);
		CHECK(!is);
	}
	for (i = 0; i < LENGTH(neither); i++)
		CHECK_EQ(kstrtobool(neither[i], &is), -EINVAL);
	CHECK_EQ(kstrtobool(NULL, &is), -EINVAL);
	CHECK_EQ(kstrtoul("+7", 10, &big), 0);
	CHECK_EQ(kstrtoul("7", 37, &big), -EINVAL);
	CHECK_EQ(kstrtoul("18446744073709551616", 10, &big), -ERANGE);
	CHECK_EQ(kstrtol("-9223372036854775809", 10, &number), -ERANGE);
	CHECK_EQ(kstrtol("-", 10, &number), -EINVAL);
	CHECK_EQ(kstrtoint("-2147483649", 10, &n), -ERANGE);
	CHECK_EQ(kstrtoint("2147483648", 10, &n), -ERANGE);
	CHECK_EQ(kstrtoint("-2147483648", 10, &n), 0);
	CHECK_EQ(kstrtoint("x", 10, &n), -EINVAL);
	CHECK_EQ(kstrtouint("4294967295", 10, &small), 0);
	CHECK_EQ(scnprintf(to, 0, "%d", 1), 0);
	CHECK_EQ(scnprintf(to, 4, "%d", 1), 1);
	CHECK_TEXT(kbasename("plain"), "plain");
	CHECK(!sysfs_streq("one", "two"));
}

/* Checksums and orders of bytes are those of the world. */
static void bytes(void)
{
	const char text[] = "123456789";
	unsigned char to[8];
	siphash_key_t key = { { 1, 2 } };
	char copy[4] = { 0 };
	loff_t at = 7;

	begin();
	CHECK_EQ(crc32_le(~0U, text, 9) ^ ~0U, 0xcbf43926);
	CHECK_EQ(__crc32c_le(~0U, text, 9) ^ ~0U, 0xe3069283);
	CHECK_EQ(crc32_be(~0U, text, 9), 0x0376e6e7);
	CHECK_EQ(csum_fold(csum_partial("\x01\x02\x03\x04", 4, 0)), 0xf9fb);
	put_unaligned_le32(0x01020304, to + 1);
	CHECK(to[1] == 4 && get_unaligned_be32(to + 1) == 0x04030201);
	CHECK(siphash(text, 9, &key) != siphash(text, 8, &key));
	CHECK(siphash_2u64(1, 2, &key) == siphash_2u64(1, 2, &key));
	CHECK_EQ(simple_read_from_buffer(copy, 4, &at, text, 9), 2);
	CHECK_EQ(simple_read_from_buffer(copy, 4, &at, text, 9), 0);
	CHECK_EQ(copy_from_user(copy, text, 4), 0);
	CHECK(sysfs_streq("on\n", "on") && !sysfs_streq("on", "off"));
	end();
}

/* Memory of a process is copied as far as it is asked for, and errors are pointers. */
static void memory_of_a_process(void)
{
	char to[4] = "xyz";
	loff_t at = -1;
	void *copy;

	begin();
	CHECK_EQ(strncpy_from_user(to, "ab", 4), 2);
	CHECK_TEXT(to, "ab");
	CHECK_EQ(strncpy_from_user(to, "123456", 3), 3);
	CHECK(!memcmp(to, "123", 4));
	CHECK_EQ(simple_read_from_buffer(to, 4, &at, "text", 4), -EINVAL);
	copy = memdup_user("text", 5);
	CHECK_TEXT((char *)copy, "text");
	kfree(copy);
	shrinker_test_fail_allocation(1);
	CHECK_EQ(PTR_ERR(memdup_user("text", 5)), -ENOMEM);
	end();
}

/* A random identifier says that it is one; halves are rounded away from 0. */
static void identifiers_and_divisions(void)
{
	uuid_t one, two;
	int i;

	for (i = 0; i < 50; i++) {
		uuid_gen(&one);
		uuid_gen(&two);
		CHECK(one.b[6] >> 4 == 4 && one.b[8] >> 6 == 2);
		CHECK(!uuid_equal(&one, &two));
	}
	CHECK_EQ(DIV_ROUND_CLOSEST(7, 2), 4);
	CHECK_EQ(DIV_ROUND_CLOSEST(-7, 2), -4);
	CHECK_EQ(DIV_ROUND_CLOSEST(-8, 3), -3);
	CHECK_EQ(DIV_ROUND_CLOSEST(8, -3), -3);
	CHECK_EQ(DIV_ROUND_CLOSEST(7U, 4U), 2);
}

int main(void)
{
	RUN(numbers_in_text);
	RUN(signed_and_small_numbers);
	RUN(words_and_edges);
	RUN(bytes);
	RUN(memory_of_a_process);
	RUN(identifiers_and_divisions);
	return checks_report("test_kit_text");
}
