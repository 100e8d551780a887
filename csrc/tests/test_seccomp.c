/* SPDX-License-Identifier: MIT */
/* Freeing shrinkers, and waiting for lists, after a seccomp filter has taken system
 * calls from the process. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <shrinker/list_lru.h>

#include "threads.h"

#define WALKERS 2
#define FREES 50
#define USES 20000

static _Atomic(bool) frees_over;

/* From now on the process gets EPERM for these calls.  False: no filters here. */
static bool forbid(unsigned int first, unsigned int second)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, first, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, second, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {
		.len = LENGTH(filter),
		.filter = filter,
	};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static void *walk_until_the_end(void *arg)
{
	while (!atomic_load(&frees_over))
		walk(arg, 0);
	return NULL;
}

/* Frees shrinkers beside walks.  Each cache's memory goes after the free. */
static void free_beside_walks(struct reclaim_domain *domain)
{
	pthread_t walker[WALKERS];
	int i;

	threads_start(walker, WALKERS, walk_until_the_end, domain);
	for (i = 0; i < FREES; i++) {
		struct cache *cache = malloc(sizeof(*cache));

		CHECK(cache);
		cache_open(cache, domain, 'c', 1000);
		sched_yield();
		shrinker_free(cache->shrinker);
		memset(cache, 0xff, sizeof(*cache));
		free(cache);
	}
	atomic_store(&frees_over, true);
	threads_join(walker, WALKERS);
	CHECK_EQ(reclaim_domain_nr_lingering(domain), 0);
}

static struct list_lru contended;

/* Adds and deletes one item of its own, again and again. */
static void *use_list(void *arg)
{
	struct list_head item;
	int i;

	(void)arg;
	INIT_LIST_HEAD(&item);
	for (i = 0; i < USES; i++) {
		CHECK(list_lru_add(&contended, &item, 0, NULL));
		CHECK(list_lru_del(&contended, &item, 0, NULL));
	}
	return NULL;
}

static enum lru_status sleep_under_lock(struct list_head *item,
					struct list_lru_one *list, void *arg)
{
	(void)item;
	(void)list;
	(void)arg;
	usleep(20000);
	return LRU_SKIP;
}

/* Threads that wait for the lock of a list, some asleep, get it. */
static void wait_for_list(struct reclaim_domain *domain)
{
	unsigned long budget = 2;
	struct list_head item;
	pthread_t user[WALKERS];

	INIT_LIST_HEAD(&item);
	CHECK_EQ(list_lru_init_domain(&contended, domain, NULL), 0);
	CHECK(list_lru_add(&contended, &item, 0, NULL));
	threads_start(user, WALKERS, use_list, NULL);
	list_lru_walk_one(&contended, 0, NULL, sleep_under_lock, NULL, &budget);
	threads_join(user, WALKERS);
	CHECK_EQ(list_lru_count_node(&contended, 0), 1);
	list_lru_destroy(&contended);
}

/* A domain that was made before the filter goes on freeing. */
static void check_without(unsigned int first, unsigned int second)
{
	struct reclaim_domain *domain = domain_new(1);
	pid_t child = fork();
	cpu_set_t before, after;
	int status;

	CHECK(child >= 0);
	if (!child) {
		alarm(TEST_SECONDS);
		CHECK_EQ(sched_getaffinity(0, sizeof(before), &before), 0);
		if (forbid(first, second)) {
			CHECK_EQ(syscall(SYS_membarrier, 0, 0, 0), -1);
			free_beside_walks(domain);
			wait_for_list(domain);
			CHECK_EQ(sched_getaffinity(0, sizeof(after), &after), 0);
			CHECK(CPU_EQUAL(&before, &after));
		}
		leave_child();
	}
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
	domain_close(domain);
}

static void frees_without_membarrier(void)
{
	check_without(SYS_membarrier, SYS_membarrier);
}

static void frees_without_affinities(void)
{
	check_without(SYS_membarrier, SYS_sched_setaffinity);
}

int main(void)
{
	RUN(frees_without_membarrier);
	RUN(frees_without_affinities);
	return checks_report("test_seccomp");
}
