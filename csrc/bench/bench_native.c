/* SPDX-License-Identifier: MIT */
/*
 * What native passes and walks cost, as ratios to two loops that are measured
 * beside them: C2, one indirect call and two atomic operations, and C4, with two
 * more.  Each round measures every row, right after its loop, so that whatever
 * slows the machine down for a while slows both.
 *
 *   bench_native [rounds, 101 if there is none [cpu, 1]]
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <shrinker/trace.h>

#include "bench_callbacks.h"
#include "domain.h"

/* One measurement; long against the clock, short against the noise. */
#define STEPS 20000
#define SHARED_SHRINKERS 1000

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static void die(const char *what)
{
	fprintf(stderr, "bench_native: %s\n", what);
	exit(1);
}

/* Goes on where it is when the machine has no such core. */
static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values, int nr)
{
	qsort(values, (size_t)nr, sizeof(*values), compare);
	return nr % 2 ? values[nr / 2] :
			(values[nr / 2 - 1] + values[nr / 2]) / 2;
}

/* --- a machine with shrinkers -------------------------------------------- */

struct machine {
	struct reclaim_domain *domain;
	struct shrinker **shrinker;
	int nr;
};

static struct shrinker *add_shrinker(struct reclaim_domain *domain)
{
	struct shrinker *shrinker = reclaim_shrinker_alloc(domain, 0, "bench");

	if (!shrinker)
		die("out of memory");
	shrinker->count_objects = bench_count_1000;
	shrinker->scan_objects = bench_scan;
	shrinker_register(shrinker);
	return shrinker;
}

static void machine_open(struct machine *machine, int nr)
{
	machine->domain = reclaim_domain_create(1, RECLAIM_STALL_LIMIT,
						RECLAIM_MEMCG | RECLAIM_KMEM);
	machine->shrinker = calloc((size_t)nr, sizeof(*machine->shrinker));
	if (!machine->domain || !machine->shrinker)
		die("out of memory");
	for (machine->nr = 0; machine->nr < nr; machine->nr++)
		machine->shrinker[machine->nr] = add_shrinker(machine->domain);
}

static void machine_close(struct machine *machine)
{
	while (machine->nr)
		shrinker_free(machine->shrinker[--machine->nr]);
	free(machine->shrinker);
	reclaim_domain_put(machine->domain);
}

/* --- rows: one core ------------------------------------------------------- */

/**
 * struct row - one thing to measure
 * @unit: 2 or 4: the loop that it is compared with
 * @goal: ratio; 0: none
 * @nr: shrinkers to walk over; 0: passes over one, without a walk; BARE: their
 *	calls alone
 * @priority: of pass or walk; scan calls where @nr is BARE
 * @reset: forget deferred work before each pass
 * @start: deferred objects at the start of the row
 */
struct row {
	const char *name;
	int unit;
	double goal;
	int nr;
	int priority;
	bool reset;
	int64_t start;
};

/* Rows of what no pass can be faster than have no goal. */
#define BARE -1

static const struct row rows[] = {
	{ "pass, counter reset, priority 12", 2, 1.15, 0, 12, true, 0 },
	{ "pass, counter reset, priority 3", 2, 1.3, 0, 3, true, 0 },
	{ "pass, counter reset, priority 0", 2, 4.3, 0, 0, true, 0 },
	{ "pass, carried over, priority 12, from 0", 2, 1.5, 0, 12, false, 0 },
	{ "pass, carried over, priority 12, from 100", 2, 1.5, 0, 12, false, 100 },
	{ "pass, carried over, priority 3", 2, 1.95, 0, 3, false, 0 },
	{ "pass, carried over, priority 0", 2, 5.4, 0, 0, false, 0 },
	{ "bare calls: a count", 2, 0, BARE, 0, false, 0 },
	{ "bare calls: a count, 1 scan, 1 addition", 2, 0, BARE, 1, false, 0 },
	{ "bare calls: a count, 15 scans, 1 addition", 2, 0, BARE, 15, false, 0 },
	{ "walk of 1, priority 12", 4, 0.75, 1, 12, false, 0 },
	{ "walk of 10, priority 12", 4, 0.75, 10, 12, false, 0 },
	{ "walk of 100, priority 12", 4, 0.75, 100, 12, false, 0 },
	{ "walk of 1,000, priority 12", 4, 0.75, 1000, 12, false, 0 },
	{ "walk of 10,000, priority 12", 4, 0.9, 10000, 12, false, 0 },
	{ "walk of 1, priority 0", 4, 2.9, 1, 0, false, 0 },
	{ "walk of 100, priority 0", 4, 2.9, 100, 0, false, 0 },
	{ "walk of 1,000, priority 0", 4, 2.9, 1000, 0, false, 0 },
};
#define NR_ROWS ((int)(sizeof(rows) / sizeof(rows[0])))

/* A row, and what came of each round: its ratio, and its and its loop's time. */
struct measured {
	const struct row *row;
	struct machine machine;
	double *ratio, *ns, *loop_ns;
};

/* Keeps the compiler from leaving anything out. */
static volatile uint64_t sink;

static double loop_time(int unit)
{
	double begin = now();

	sink += unit == 2 ? bench_calibrate_c2(STEPS) : bench_calibrate_c4(STEPS);
	return (now() - begin) / STEPS;
}

static double row_time(struct measured *measured)
{
	const struct row *row = measured->row;
	int steps = row->priority < 3 ? STEPS / 4 : STEPS;
	double begin;

	if (row->nr == BARE) {
		begin = now();
		sink += bench_bare_calls(measured->machine.shrinker[0],
					 (unsigned long)row->priority, STEPS);
		return (now() - begin) / STEPS;
	}
	if (!row->nr) {
		begin = now();
		sink += bench_pass(measured->machine.shrinker[0], row->priority,
				   row->reset, (uint64_t)steps);
		return (now() - begin) / steps;
	}
	/* What other rows have left in the caches is gone after the first. */
	if (steps < row->nr * 10)
		steps = row->nr * 10;
	begin = now();
	sink += bench_walk(measured->machine.domain, &row->priority, 1,
			   (unsigned long)(steps / row->nr));
	return (now() - begin) / (steps / row->nr * row->nr);
}

static void measured_open(struct measured *measured, const struct row *row,
			  int rounds)
{
	measured->row = row;
	measured->ratio = calloc((size_t)rounds, sizeof(double));
	measured->ns = calloc((size_t)rounds, sizeof(double));
	measured->loop_ns = calloc((size_t)rounds, sizeof(double));
	if (!measured->ratio || !measured->ns || !measured->loop_ns)
		die("out of memory");
	machine_open(&measured->machine, row->nr > 0 ? row->nr : 1);
	atomic_store(&measured->machine.shrinker[0]->deferred_here, row->start);
	row_time(measured);
}

static void measured_close(struct measured *measured)
{
	machine_close(&measured->machine);
	free(measured->ratio);
	free(measured->ns);
	free(measured->loop_ns);
}

static void measured_print(struct measured *measured, int rounds)
{
	const struct row *row = measured->row;
	double ratio = median(measured->ratio, rounds);
	double ns = median(measured->ns, rounds);

	median(measured->loop_ns, rounds);
	printf("%-44s %7.2f %7.2f %8.2f %8.2f", row->name, ns, measured->ns[0],
	       ratio, measured->ns[0] / measured->loop_ns[0]);
	if (row->goal > 0)
		printf("  %5.2f C%d %s\n", row->goal, row->unit,
		       ratio <= row->goal ? "" : "MISSED");
	else
		printf("     -  C%d\n", row->unit);
}

static void bench_rows(int rounds)
{
	struct measured measured[NR_ROWS];
	int round, i;

	for (i = 0; i < NR_ROWS; i++)
		measured_open(&measured[i], &rows[i], rounds);
	for (round = 0; round < rounds; round++)
		for (i = 0; i < NR_ROWS; i++) {
			double before = loop_time(rows[i].unit);
			double took = row_time(&measured[i]);
			double after = loop_time(rows[i].unit);

			measured[i].ns[round] = took;
			measured[i].loop_ns[round] = before < after ? before :
								      after;
			measured[i].ratio[round] = took * 2 / (before + after);
		}
	printf("%-44s %7s %7s %8s %8s  %s\n", "", "ns", "min ns", "ratio",
	       "of mins", "goal");
	for (i = 0; i < NR_ROWS; i++)
		measured_print(&measured[i], rounds);
	printf("C2 %.2f ns, C4 %.2f ns\n", measured[0].loop_ns[rounds / 2],
	       measured[NR_ROWS - 1].loop_ns[rounds / 2]);
	for (i = 0; i < NR_ROWS; i++)
		measured_close(&measured[i]);
}

/* --- two cores ------------------------------------------------------------- */

struct thread {
	_Alignas(CACHE_LINE) struct reclaim_domain *domain;
	pthread_barrier_t *barrier;
	int cpu;
	int priority;
	unsigned long walks;
	double took;
	pthread_t id;
};

static void *walk_for_a_while(void *arg)
{
	struct thread *thread = arg;
	double begin;

	pin(thread->cpu);
	pthread_barrier_wait(thread->barrier);
	begin = now();
	sink += bench_walk(thread->domain, &thread->priority, 1, thread->walks);
	thread->took = now() - begin;
	return NULL;
}

/* Walks per nanosecond of @nr threads together, on the cores from @cpu up. */
static double threads_rate(struct machine **machine, int nr, int cpu,
			   int priority)
{
	pthread_barrier_t barrier;
	struct thread thread[2];
	double rate = 0;
	int i;

	pthread_barrier_init(&barrier, NULL, (unsigned int)nr);
	for (i = 0; i < nr; i++) {
		thread[i] = (struct thread){ .domain = machine[i]->domain,
					     .barrier = &barrier,
					     .cpu = cpu + i,
					     .priority = priority,
					     .walks = priority ? 1000 : 250 };
		if (pthread_create(&thread[i].id, NULL, walk_for_a_while,
				   &thread[i]))
			die("no thread");
	}
	for (i = 0; i < nr; i++) {
		pthread_join(thread[i].id, NULL);
		rate += (double)thread[i].walks / thread[i].took;
	}
	pthread_barrier_destroy(&barrier);
	return rate;
}

static void bench_threads(const char *name, struct machine **machine,
			  int priority, double goal, int rounds)
{
	double *ratio = calloc((size_t)rounds, sizeof(*ratio));
	double middle;
	int round;

	for (round = 0; round < rounds; round++) {
		double one = threads_rate(machine, 1, 0, priority);
		double both = threads_rate(machine, 2, 0, priority);
		double other = threads_rate(machine, 1, 1, priority);

		ratio[round] = 2 * both / (one + other);
	}
	middle = median(ratio, rounds);
	printf("%-44s %7.2f %7.2f %7.2f  %5.2f    %s\n", name, ratio[0], middle,
	       ratio[rounds - 1], goal, middle >= goal ? "" : "MISSED");
	free(ratio);
}

static void bench_two_cores(int rounds)
{
	struct machine a, b;
	struct machine *apart[] = { &a, &b }, *shared[] = { &a, &a };

	machine_open(&a, SHARED_SHRINKERS);
	machine_open(&b, SHARED_SHRINKERS);
	printf("\n%-44s %7s %7s %7s  %s\n", "2 threads, times the rate of 1", "min",
	       "median", "max", "goal");
	bench_threads("different domains, priority 12", apart, 12, 1.8, rounds);
	bench_threads("different domains, priority 0", apart, 0, 1.8, rounds);
	bench_threads("one domain of 1,000, priority 12", shared, 12, 1.3, rounds);
	bench_threads("one domain of 1,000, priority 0", shared, 0, 1.3, rounds);
	machine_close(&b);
	machine_close(&a);
}

/* --- registering and freeing beside walks ----------------------------------- */

struct background {
	struct reclaim_domain *domain;
	_Atomic(bool) over;
	_Atomic(unsigned long) walks;
};

static void *walk_until_over(void *arg)
{
	struct background *background = arg;
	int priority = 12;

	pin(0);
	while (!atomic_load(&background->over)) {
		sink += bench_walk(background->domain, &priority, 1, 1);
		atomic_fetch_add(&background->walks, 1);
	}
	return NULL;
}

static void bench_registering(int nr)
{
	struct machine machine;
	struct background background = { .over = false };
	pthread_t thread;
	double begin, registered, freed;
	int i;

	machine.domain = background.domain =
		reclaim_domain_create(1, RECLAIM_STALL_LIMIT, 0);
	machine.shrinker = calloc((size_t)nr, sizeof(*machine.shrinker));
	if (!machine.domain || !machine.shrinker ||
	    pthread_create(&thread, NULL, walk_until_over, &background))
		die("out of memory");
	while (!atomic_load(&background.walks))
		sched_yield();
	begin = now();
	for (i = 0; i < nr; i++)
		machine.shrinker[i] = add_shrinker(machine.domain);
	machine.nr = nr;
	registered = now();
	/* Oldest first: the walk stands on what goes more often. */
	for (i = 0; i < nr; i++)
		shrinker_free(machine.shrinker[i]);
	freed = now();
	atomic_store(&background.over, true);
	pthread_join(thread, NULL);
	printf("%8d shrinkers: registering %6.0f ns each, freeing %6.0f ns each, "
	       "%lu walks\n",
	       nr, (registered - begin) / nr, (freed - registered) / nr,
	       atomic_load(&background.walks));
	free(machine.shrinker);
	reclaim_domain_put(machine.domain);
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 101;
	int cpu = argc > 2 ? atoi(argv[2]) : 1;

	if (rounds < 1)
		die("rounds from 1 up");
	pin(cpu);
	bench_rows(rounds);
	bench_two_cores(rounds < 31 ? rounds : 31);
	printf("\nbeside a thread that walks\n");
	for (int nr = 1000; nr <= 100000; nr *= 10)
		bench_registering(nr);
	return 0;
}
