/* SPDX-License-Identifier: MIT */
/*
 * The kernel log goes to standard error, one line as it comes, without its level.
 *
 * Left out: the kernel's own conversions (%pS, %pV, %pU …), which print a pointer;
 * log levels are not filtered; pr_debug() prints nothing.
 */
#ifndef SHRINKER_LINUX_PRINTK_H
#define SHRINKER_LINUX_PRINTK_H

#include <stdio.h>
#include <linux/compiler.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Levels are an escape and a digit, which printk() takes off. */
#define KERN_SOH "\001"
#define KERN_EMERG KERN_SOH "0"
#define KERN_ALERT KERN_SOH "1"
#define KERN_CRIT KERN_SOH "2"
#define KERN_ERR KERN_SOH "3"
#define KERN_WARNING KERN_SOH "4"
#define KERN_NOTICE KERN_SOH "5"
#define KERN_INFO KERN_SOH "6"
#define KERN_DEBUG KERN_SOH "7"
#define KERN_DEFAULT ""
#define KERN_CONT KERN_SOH "c"

#ifndef pr_fmt
#define pr_fmt(format) format
#endif

int shrinker_kit_printk(const char *format, ...)
	__attribute__((format(printf, 1, 2)));
#define printk(...) shrinker_kit_printk(__VA_ARGS__)

#define pr_emerg(format, ...) printk(KERN_EMERG pr_fmt(format), ##__VA_ARGS__)
#define pr_alert(format, ...) printk(KERN_ALERT pr_fmt(format), ##__VA_ARGS__)
#define pr_crit(format, ...) printk(KERN_CRIT pr_fmt(format), ##__VA_ARGS__)
#define pr_err(format, ...) printk(KERN_ERR pr_fmt(format), ##__VA_ARGS__)
#define pr_warn(format, ...) printk(KERN_WARNING pr_fmt(format), ##__VA_ARGS__)
#define pr_notice(format, ...) printk(KERN_NOTICE pr_fmt(format), ##__VA_ARGS__)
#define pr_info(format, ...) printk(KERN_INFO pr_fmt(format), ##__VA_ARGS__)
#define pr_cont(format, ...) printk(KERN_CONT format, ##__VA_ARGS__)
#define no_printk(...)                                                         \
	do {                                                                   \
		if (0)                                                         \
			printk(__VA_ARGS__);                                   \
	} while (0)
#define pr_debug(format, ...) no_printk(KERN_DEBUG pr_fmt(format), ##__VA_ARGS__)
#define pr_devel(format, ...) pr_debug(format, ##__VA_ARGS__)

#define SHRINKER_KIT_PRINT_ONCE(call)                                          \
	do {                                                                   \
		static bool once_;                                             \
		if (!__atomic_exchange_n(&once_, true, __ATOMIC_RELAXED))      \
			call;                                                  \
	} while (0)
#define printk_once(...) SHRINKER_KIT_PRINT_ONCE(printk(__VA_ARGS__))
#define pr_err_once(...) SHRINKER_KIT_PRINT_ONCE(pr_err(__VA_ARGS__))
#define pr_warn_once(...) SHRINKER_KIT_PRINT_ONCE(pr_warn(__VA_ARGS__))
#define pr_info_once(...) SHRINKER_KIT_PRINT_ONCE(pr_info(__VA_ARGS__))

/* Nothing is held back here. */
#define printk_ratelimit() 1
#define printk_ratelimited(...) printk(__VA_ARGS__)
#define pr_err_ratelimited(...) pr_err(__VA_ARGS__)
#define pr_warn_ratelimited(...) pr_warn(__VA_ARGS__)
#define pr_notice_ratelimited(...) pr_notice(__VA_ARGS__)
#define pr_info_ratelimited(...) pr_info(__VA_ARGS__)
#define pr_debug_ratelimited(...) pr_debug(__VA_ARGS__)

#define dump_stack() printk("dump_stack(): not here\n")

#ifdef __cplusplus
}
#endif

#endif /* SHRINKER_LINUX_PRINTK_H */
