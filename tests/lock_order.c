/* SPDX-License-Identifier: MIT */
/*
 * Watches in which order threads take the GIL and the core's locks, as lockdep does
 * in a kernel: a possible deadlock is found without that it happens, by one thread
 * that breaks a rule.  That ends the process at once, with a message:
 *
 *   1. No thread goes into Python while it holds a lock of the core.  fork() takes
 *      all of these locks with the GIL held, and destructors take some, so a thread
 *      that held one and waited for the GIL could wait for ever.
 *   2. No thread waits for callbacks while it holds the GIL, a lock of the core, or
 *      a lock of the package's Python code.
 *   3. Locks of one domain are taken in the order of csrc/domain.h.  Only fork()
 *      takes locks of two domains, under domains_lock.
 *   4. The core has no other locks.
 *
 * lock_order.py loads this library.  A shared object calls another one through its
 * own table of addresses.  This library rewrites these tables: the extension's for
 * locks, those of all objects for ways into Python.
 */
#define _GNU_SOURCE 1

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "domain.h"

/* The interpreter's; declared here with an int for the enum PyGILState_STATE and
 * with void * for PyThreadState *. */
int PyGILState_Check(void);
int PyGILState_Ensure(void);
void *PyGILState_GetThisThreadState(void);
void PyEval_AcquireThread(void *state);
void PyEval_RestoreThread(void *state);

enum { DOMAINS_LOCK, NR_LOCKS = 6, MOST_DOMAINS = 256, MOST_HELD = 64 };

/* In the order in which they may be taken, with the offset in a domain. */
static const struct {
	const char *name;
	size_t offset;
} locks[NR_LOCKS] = {
	[DOMAINS_LOCK] = { "domains_lock", 0 },
	{ "memcg_lock", offsetof(struct reclaim_domain, memcg_lock) },
	{ "tree_lock", offsetof(struct reclaim_domain, tree_lock) },
	{ "registry_lock", offsetof(struct reclaim_domain, registry_lock) },
	{ "dying_lock", offsetof(struct reclaim_domain, dying_lock) },
	{ "id_lock", offsetof(struct reclaim_domain, id_lock) },
};

struct held {
	const pthread_mutex_t *mutex;
	const char *domain;
	int lock;
};

static _Thread_local struct held held[MOST_HELD];
static _Thread_local int nr_held;
static _Thread_local int nr_held_in_python;

static uintptr_t extension;
/* Addresses of domains, the latest last; a later domain may have an earlier
 * one's. */
static const char *_Atomic domains[MOST_DOMAINS];
static atomic_int nr_domains;

static atomic_ulong nr_taken[NR_LOCKS], nr_taken_with_gil[NR_LOCKS];
static atomic_ulong nr_ways_into_python, nr_waits;

/* See park(). */
static atomic_int to_park_at = -1;
static const pthread_mutex_t *_Atomic parked_at;
static atomic_bool is_wanted;

static _Noreturn void broken(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	for (int i = 0; i < nr_held; i++)
		fprintf(stderr, "%s%s", i ? ", " : ", with ",
			locks[held[i].lock].name);
	fprintf(stderr, nr_held ? " held\n" : "\n");
	_exit(3);
}

/* --- functions that replace the originals ----------------------------------- */

/* The size tells an allocation of a domain from others. */
static void *watched_aligned_alloc(size_t alignment, size_t size)
{
	void *memory = aligned_alloc(alignment, size);

	if (memory && size == sizeof(struct reclaim_domain)) {
		int i = atomic_fetch_add(&nr_domains, 1);

		if (i >= MOST_DOMAINS)
			broken("more domains than can be watched");
		atomic_store(&domains[i], memory);
	}
	return memory;
}

static struct held identify(const pthread_mutex_t *mutex)
{
	struct held found = { .mutex = mutex };
	Dl_info where;

	for (int i = atomic_load(&nr_domains); i--;) {
		found.domain = atomic_load(&domains[i]);
		for (int lock = 1; lock < NR_LOCKS && found.domain; lock++)
			if ((const char *)mutex == found.domain + locks[lock].offset) {
				found.lock = lock;
				return found;
			}
	}
	if (!dladdr(mutex, &where) || (uintptr_t)where.dli_fbase != extension)
		broken("a lock that csrc/domain.h does not name");
	found.domain = NULL;
	found.lock = DOMAINS_LOCK;
	return found;
}

static void check_order(const struct held *next)
{
	for (int i = 0; i < nr_held; i++) {
		const struct held *before = &held[i];

		if (next->lock == DOMAINS_LOCK)
			broken("domains_lock out of order");
		if (before->lock == DOMAINS_LOCK)
			continue;
		if (before->domain == next->domain ? before->lock >= next->lock :
						     held[0].lock != DOMAINS_LOCK)
			broken("%s out of order", locks[next->lock].name);
	}
}

static int watched_lock(pthread_mutex_t *mutex)
{
	struct held next = identify(mutex);
	bool gil = PyGILState_Check();
	int result, lock = next.lock;

	check_order(&next);
	if (nr_held == MOST_HELD)
		broken("more locks than can be watched");
	atomic_fetch_add(&nr_taken[lock], 1);
	if (gil) {
		atomic_fetch_add(&nr_taken_with_gil[lock], 1);
		if (atomic_load(&parked_at) == mutex)
			atomic_store(&is_wanted, true);
	}
	result = pthread_mutex_lock(mutex);
	held[nr_held++] = next;
	if (!gil && atomic_compare_exchange_strong(&to_park_at, &lock, -1)) {
		atomic_store(&parked_at, mutex);
		while (!atomic_load(&is_wanted))
			sched_yield();
		atomic_store(&parked_at, NULL);
	}
	return result;
}

static int watched_unlock(pthread_mutex_t *mutex)
{
	int i = nr_held;

	do
		if (!i--)
			broken("an unlock of a lock that the thread does not hold");
	while (held[i].mutex != mutex);
	held[i] = held[--nr_held];
	return pthread_mutex_unlock(mutex);
}

static int watched_wait(pthread_cond_t *condition, pthread_mutex_t *mutex)
{
	if (PyGILState_Check())
		broken("a wait for callbacks with the GIL");
	if (nr_held_in_python)
		broken("a wait for callbacks with a lock of the Python code");
	if (nr_held != 1 || held[0].mutex != mutex)
		broken("a wait for callbacks");
	atomic_fetch_add(&nr_waits, 1);
	return pthread_cond_wait(condition, mutex);
}

/* Also for a thread that holds the GIL: Python code gives it up and takes it
 * again. */
static void into_python(const char *way)
{
	atomic_fetch_add(&nr_ways_into_python, 1);
	if (nr_held)
		broken("%s()", way);
}

static int watched_ensure(void)
{
	into_python("PyGILState_Ensure");
	return PyGILState_Ensure();
}

/* cffi begins calls of extern "Python" functions with this. */
static void *watched_this_thread_state(void)
{
	into_python("PyGILState_GetThisThreadState");
	return PyGILState_GetThisThreadState();
}

static void watched_acquire_thread(void *state)
{
	into_python("PyEval_AcquireThread");
	PyEval_AcquireThread(state);
}

static void watched_restore_thread(void *state)
{
	into_python("PyEval_RestoreThread");
	PyEval_RestoreThread(state);
}

/* --- replacing the originals ------------------------------------------------ */

static const struct {
	const char *name;
	void *instead;
	bool everywhere;
} calls[] = {
	{ "aligned_alloc", (void *)watched_aligned_alloc, false },
	{ "pthread_mutex_lock", (void *)watched_lock, false },
	{ "pthread_mutex_unlock", (void *)watched_unlock, false },
	{ "pthread_cond_wait", (void *)watched_wait, false },
	{ "PyGILState_Ensure", (void *)watched_ensure, true },
	{ "PyGILState_GetThisThreadState", (void *)watched_this_thread_state, true },
	{ "PyEval_AcquireThread", (void *)watched_acquire_thread, true },
	{ "PyEval_RestoreThread", (void *)watched_restore_thread, true },
};

static void put_instead(void **slot, const char *name, bool is_extension)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		if (strcmp(name, calls[i].name) ||
		    !(calls[i].everywhere || is_extension))
			continue;
		/* The dynamic linker may have made the table read-only. */
		if (mprotect((void *)((uintptr_t)slot & ~(page - 1)), page,
			     PROT_READ | PROT_WRITE))
			broken("mprotect");
		*slot = calls[i].instead;
	}
}

static uintptr_t base_of(const void *address)
{
	Dl_info info;

	return dladdr(address, &info) ? (uintptr_t)info.dli_fbase : 0;
}

/* Some C libraries do not relocate the addresses of the dynamic section. */
static uintptr_t relocated(uintptr_t base, uintptr_t address)
{
	return address < base ? base + address : address;
}

static int put_into_object(struct dl_phdr_info *info, size_t size, void *unused)
{
	uintptr_t base = info->dlpi_addr, table[2] = { 0, 0 };
	size_t bytes[2] = { 0, 0 };
	const ElfW(Dyn) *dynamic = NULL;
	const ElfW(Sym) *symbols = NULL;
	const char *names = NULL;

	(void)size;
	(void)unused;
	for (int i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_DYNAMIC)
			dynamic = (void *)(base + info->dlpi_phdr[i].p_vaddr);
	/* Not in the interpreter, which may call itself, nor in this library. */
	if (!dynamic || base_of(dynamic) == base_of((void *)PyGILState_Ensure) ||
	    base_of(dynamic) == base_of((void *)put_into_object))
		return 0;
	for (; dynamic->d_tag != DT_NULL; dynamic++) {
		uintptr_t at = relocated(base, dynamic->d_un.d_ptr);

		switch (dynamic->d_tag) {
		case DT_SYMTAB:
			symbols = (void *)at;
			break;
		case DT_STRTAB:
			names = (void *)at;
			break;
		case DT_JMPREL:
			table[0] = at;
			break;
		case DT_PLTRELSZ:
			bytes[0] = dynamic->d_un.d_val;
			break;
		case DT_RELA:
			table[1] = at;
			break;
		case DT_RELASZ:
			bytes[1] = dynamic->d_un.d_val;
			break;
		default:
			break;
		}
	}
	for (int i = 0; i < 2; i++) {
		const ElfW(Rela) *entry = (void *)table[i];
		const ElfW(Rela) *end = (void *)(table[i] + bytes[i]);

		for (; entry && entry < end; entry++) {
			size_t symbol = ELF64_R_SYM(entry->r_info);

			if (symbol)
				put_instead((void **)(base + entry->r_offset),
					    names + symbols[symbol].st_name,
					    base == extension);
		}
	}
	return 0;
}

/* --- for lock_order.py ------------------------------------------------------ */

/* Begins to watch; @inside is an address in the extension, which has no domains
 * yet. */
void watch(const void *inside)
{
	extension = base_of(inside);
	dl_iterate_phdr(put_into_object, NULL);
}

const char *lock_name(int lock)
{
	return lock < NR_LOCKS ? locks[lock].name : NULL;
}

unsigned long taken(int lock)
{
	return nr_taken[lock];
}

unsigned long taken_with_gil(int lock)
{
	return nr_taken_with_gil[lock];
}

unsigned long ways_into_python(void)
{
	return nr_ways_into_python;
}

unsigned long waits(void)
{
	return nr_waits;
}

/*
 * Makes the next thread that takes such a lock without the GIL stop there, until
 * another thread that holds the GIL wants the lock.
 */
void park(int lock)
{
	atomic_store(&is_wanted, false);
	atomic_store(&to_park_at, lock);
}

bool is_parked(void)
{
	return atomic_load(&parked_at);
}

/* Whether a thread with the GIL has wanted the lock since park(). */
bool was_wanted(void)
{
	return atomic_load(&is_wanted);
}

/* The calling thread takes (1) or releases (-1) a lock of the Python code. */
void lock_in_python(int change)
{
	nr_held_in_python += change;
}

int held_in_python(void)
{
	return nr_held_in_python;
}

/*
 * Does what a faulty core would do, step by step: the number of a lock takes it,
 * 'p' goes into Python, 'w' waits for callbacks, 'x' takes an unknown lock.
 */
void misbehave(struct reclaim_domain *domain, const char *steps)
{
	static pthread_mutex_t unknown = PTHREAD_MUTEX_INITIALIZER;

	for (; *steps; steps++)
		switch (*steps) {
		case 'p':
			watched_ensure();
			break;
		case 'w':
			watched_wait(&domain->idle, &domain->dying_lock);
			break;
		case 'x':
			watched_lock(&unknown);
			break;
		default:
			watched_lock((void *)((char *)domain +
					      locks[*steps - '0'].offset));
		}
}
