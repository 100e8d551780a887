/* SPDX-License-Identifier: MIT */
/*
 * Files of text that a driver writes as they are read.  They go to a stream of the
 * C library: a test gives struct seq_file one and calls the show function.
 */
#ifndef SHRINKER_LINUX_SEQ_FILE_H
#define SHRINKER_LINUX_SEQ_FILE_H

#include <stdio.h>
#include <linux/fs.h>
#include <linux/types.h>

/**
 * struct seq_file - where a show function writes to
 * @file: the stream
 * @private: what the file is about (private_ in C++)
 */
struct seq_file {
	FILE *file;
#ifdef __cplusplus
	void *private_;
#else
	void *private;
#endif
};

struct seq_operations {
	void *(*start)(struct seq_file *m, loff_t *pos);
	void (*stop)(struct seq_file *m, void *v);
	void *(*next)(struct seq_file *m, void *v, loff_t *pos);
	int (*show)(struct seq_file *m, void *v);
};

#define seq_printf(m, ...) ((void)fprintf((m)->file, __VA_ARGS__))
#define seq_puts(m, text) ((void)fputs((text), (m)->file))
#define seq_putc(m, c) ((void)fputc((c), (m)->file))
#define seq_write(m, data, size) ((int)fwrite((data), (size), 1, (m)->file) - 1)
#define SEQ_START_TOKEN ((void *)1)

#ifndef __cplusplus
#define DEFINE_SHOW_ATTRIBUTE(name)                                            \
	static __maybe_unused const struct file_operations name##_fops = {     \
		.show = name##_show,                                           \
	}
#endif

#endif /* SHRINKER_LINUX_SEQ_FILE_H */
