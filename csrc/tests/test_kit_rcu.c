/* SPDX-License-Identifier: MIT */
/* The driver test kit: readers, and what waits for them. */

#include "check.h"
#include "kit_failures.h"

#include <linux/delay.h>
#include <linux/srcu.h>
#include <net/net_namespace.h>

static struct rcu_head *freed_head;

static void note_head(struct rcu_head *head)
{
	freed_head = head;
}

struct in_rcu {
	int before;
	struct rcu_head rcu;
};

/* A function waits for readers, and kfree_rcu() frees the whole object. */
static void calls_wait_for_readers(void)
{
	struct rcu_head head;
	struct in_rcu *object;

	freed_head = NULL;
	rcu_read_lock();
	call_rcu(&head, note_head);
	rcu_read_lock();
	rcu_read_unlock();
	CHECK(!freed_head);
	rcu_read_unlock();
	CHECK(freed_head == &head);
	object = kmalloc(sizeof(*object), GFP_KERNEL);
	rcu_read_lock();
	kfree_rcu(object, rcu);
	CHECK(shrinker_test_bytes() >= sizeof(*object));
	rcu_read_unlock();
	rcu_barrier();
}

/* What is given to kfree_rcu() is looked at there. */
static void freed_after_readers(void)
{
	struct in_rcu *object;

	begin();
	object = kmalloc(sizeof(*object), GFP_KERNEL);
	rcu_read_lock();
	kfree_rcu(object, rcu);
	kfree(object);
	CHECK(failed_with("and freed at"));
	kfree_rcu(object, rcu);
	CHECK(failed_with("kfree_rcu() of"));
	rcu_read_unlock();
	end();
}

static int srcu_called;

static void note_srcu(struct rcu_head *head)
{
	(void)head;
	srcu_called++;
}

/* Readers that may block, and calls after them. */
static void sleeping_readers(void)
{
	static DEFINE_SRCU(srcu);
	struct rcu_head head;
	int index;

	begin();
	index = srcu_read_lock(&srcu);
	msleep(0);
	srcu_read_unlock(&srcu, index);
	call_srcu(&srcu, &head, note_srcu);
	CHECK_EQ(srcu_called, 1);
	end();
}

int main(void)
{
	RUN(calls_wait_for_readers);
	RUN(freed_after_readers);
	RUN(sleeping_readers);
	return checks_report("test_kit_rcu");
}
