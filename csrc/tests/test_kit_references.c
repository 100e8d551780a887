/* SPDX-License-Identifier: MIT */
/* The driver test kit: references, and the structures that have them. */

#include "check.h"
#include "kit_failures.h"

#include <linux/cpuhotplug.h>
#include <linux/fs.h>
#include <linux/hrtimer.h>
#include <linux/idr.h>
#include <linux/interrupt.h>
#include <linux/jump_label.h>
#include <linux/llist.h>
#include <linux/notifier.h>
#include <linux/percpu-refcount.h>
#include <linux/percpu_counter.h>
#include <linux/radix-tree.h>
#include <linux/scatterlist.h>
#include <linux/srcu.h>
#include <linux/sysfs.h>
#include <net/net_namespace.h>

/* References that are not there are told. */
static void references(void)
{
	struct kref kref;

	begin();
	kref_init(&kref);
	CHECK_EQ(refcount_dec_and_test(&kref.refcount), true);
	CHECK(!kref_get_unless_zero(&kref));
	kref_get(&kref);
	CHECK_EQ(shrinker_test_warnings(), 1);
	CHECK(WARN_ON(1));
	CHECK_EQ(shrinker_test_warnings(), 2);
	CHECK_EQ(shrinker_test_end(), 1);
	BUG_ON(kref_read(&kref) == 1);
	CHECK(failed_with("BUG_ON(kref_read(&kref) == 1)"));
	begin();
	end();
}

static int told;

static int tell(struct notifier_block *block, unsigned long action, void *data)
{
	(void)data;
	told += block->priority;
	return action == 1 ? NOTIFY_STOP : NOTIFY_OK;
}

static void ref_gone(struct percpu_ref *ref)
{
	(void)ref;
	told++;
}

static enum hrtimer_restart fire_twice(struct hrtimer *timer)
{
	(void)timer;
	return ++told < 2 ? HRTIMER_RESTART : HRTIMER_NORESTART;
}

static void run_tasklet(struct tasklet_struct *tasklet)
{
	(void)tasklet;
	told++;
}

/* References, notifiers, timers and tasklets do what their names say. */
static void references_and_calls(void)
{
	struct notifier_block low = { tell, NULL, 1 }, high = { tell, NULL, 10 };
	static BLOCKING_NOTIFIER_HEAD(chain);
	DEFINE_STATIC_KEY_FALSE(key);
	struct tasklet_struct tasklet;
	struct percpu_counter counter;
	struct percpu_ref ref;
	struct lockref lockref;
	struct hrtimer timer;

	begin();
	CHECK_EQ(blocking_notifier_chain_register(&chain, &low), 0);
	CHECK_EQ(blocking_notifier_chain_register(&chain, &high), 0);
	CHECK_EQ(blocking_notifier_call_chain(&chain, 1, NULL), NOTIFY_STOP);
	CHECK_EQ(told, 10);
	blocking_notifier_call_chain(&chain, 0, NULL);
	CHECK_EQ(told, 21);
	CHECK_EQ(blocking_notifier_chain_unregister(&chain, &high), 0);
	CHECK_EQ(blocking_notifier_chain_unregister(&chain, &high), -ENOENT);
	CHECK_EQ(percpu_ref_init(&ref, ref_gone, 0, GFP_KERNEL), 0);
	CHECK(percpu_ref_tryget_live(&ref));
	percpu_ref_kill(&ref);
	CHECK(!percpu_ref_tryget_live(&ref) && percpu_ref_tryget(&ref));
	percpu_ref_put(&ref);
	told = 0;
	percpu_ref_put(&ref);
	CHECK(told == 1 && percpu_ref_is_zero(&ref));
	lockref_init(&lockref);
	CHECK(lockref_get_not_zero(&lockref) && lockref_put_or_lock(&lockref));
	CHECK(!lockref_put_or_lock(&lockref));
	lockref_mark_dead(&lockref);
	spin_unlock(&lockref.lock);
	CHECK(!lockref_get_not_dead(&lockref));
	CHECK(!static_branch_unlikely(&key));
	static_branch_enable(&key);
	CHECK(static_branch_likely(&key));
	told = 0;
	timer.function = fire_twice;
	hrtimer_init(&timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL);
	hrtimer_start(&timer, ms_to_ktime(5), HRTIMER_MODE_REL);
	shrinker_test_advance(50);
	CHECK_EQ(told, 2);
	tasklet_setup(&tasklet, run_tasklet);
	tasklet_schedule(&tasklet);
	CHECK_EQ(told, 3);
	CHECK_EQ(percpu_counter_init(&counter, 5, GFP_KERNEL), 0);
	CHECK(percpu_counter_limited_add(&counter, 6, 1));
	CHECK(!percpu_counter_limited_add(&counter, 6, 1));
	CHECK(percpu_counter_limited_add(&counter, 0, -6));
	CHECK_EQ(percpu_counter_compare(&counter, 0), 0);
	CHECK_EQ(percpu_counter_compare(&counter, 1), -1);
	CHECK_EQ(percpu_counter_compare(&counter, -1), 1);
	percpu_counter_sub(&counter, 3);
	CHECK_EQ(percpu_counter_sum_positive(&counter), 0);
	percpu_counter_set(&counter, 4);
	CHECK_EQ(percpu_counter_read_positive(&counter), 4);
	percpu_counter_destroy(&counter);
	CHECK(!percpu_counter_initialized(&counter));
	shrinker_test_fail_allocation(1);
	CHECK_EQ(percpu_counter_init(&counter, 0, GFP_KERNEL), -ENOMEM);
	end();
}

static void kobject_gone(struct kobject *object)
{
	(void)object;
	told++;
}

/* Inodes, objects with names, pages and tables of them. */
static void structures(void)
{
	static const struct kobj_type type = { kobject_gone, NULL, NULL };
	struct kobject object = { 0 }, *made;
	struct sg_table table;
	struct scatterlist *sg;
	struct inode inode;
	struct page *pages;
	struct folio *folio;
	int i, n = 0;

	begin();
	inode_init_once(&inode);
	CHECK(igrab(&inode) == &inode);
	iput(&inode);
	inode.i_state = I_FREEING;
	CHECK(!igrab(&inode));
	inode_lock(&inode);
	CHECK(inode_is_locked(&inode));
	inode_unlock(&inode);
	CHECK_EQ(kobject_init_and_add(&object, &type, NULL, "name-%d", 5), 0);
	CHECK_TEXT(kobject_name(&object), "name-5");
	told = 0;
	kobject_put(kobject_get(&object));
	kobject_put(&object);
	CHECK_EQ(told, 1);
	made = kobject_create_and_add("made", NULL);
	kobject_put(made);
	shrinker_test_fail_allocation(2);
	CHECK(!kobject_create_and_add("made", NULL));
	folio = folio_alloc(GFP_KERNEL, 1);
	pages = folio_page(folio, 0);
	CHECK(page_folio(pages + 1) == folio && PageTail(pages + 1) && PageHead(pages));
	CHECK_EQ(folio_size(folio), 2 * PAGE_SIZE);
	folio_lock(folio);
	CHECK(!folio_trylock(folio));
	folio_unlock(folio);
	folio_attach_private(folio, &n);
	CHECK(folio_detach_private(folio) == &n && !folio_detach_private(folio));
	CHECK_EQ(sg_alloc_table(&table, 2, GFP_KERNEL), 0);
	for_each_sgtable_sg(&table, sg, i) {
		sg_set_page(sg, pages + i, PAGE_SIZE, 0);
		n++;
	}
	CHECK(n == 2 && sg_virt(table.sgl) == page_address(pages));
	sg_free_table(&table);
	folio_put(folio);
	end();
}

static unsigned int net_id;
static int net_answer, net_left;

static int net_begin(struct net *net)
{
	CHECK(net_generic(net, net_id));
	return net_answer;
}

static void net_end(struct net *net)
{
	(void)net;
	net_left++;
}

static void net_end_all(struct list_head *nets)
{
	CHECK(list_is_singular(nets));
	net_left += 10;
}

/* A part of each namespace is made and called, and goes. */
static void namespaces(void)
{
	struct pernet_operations more[17] = { 0 };
	unsigned int ids[17], i;
	struct pernet_operations ops = {
		.init = net_begin,
		.pre_exit = net_end,
		.exit = net_end,
		.exit_batch = net_end_all,
		.id = &net_id,
		.size = 100,
	};

	begin();
	CHECK_EQ(register_pernet_subsys(&ops), 0);
	unregister_pernet_subsys(&ops);
	CHECK_EQ(net_left, 12);
	net_answer = -EINVAL;
	CHECK_EQ(register_pernet_subsys(&ops), -EINVAL);
	shrinker_test_fail_allocation(1);
	CHECK_EQ(register_pernet_subsys(&ops), -ENOMEM);
	for (i = 0; i < 17; i++) {
		more[i].id = &ids[i];
		more[i].size = 1;
		CHECK_EQ(register_pernet_subsys(&more[i]), i < 15 ? 0 : -ENOSPC);
	}
	for (i = 0; i < 15; i++)
		unregister_pernet_subsys(&more[i]);
	more[0].id = NULL;
	CHECK_EQ(register_pernet_device(&more[0]), 0);
	unregister_pernet_device(&more[0]);
	end();
}

static void never(struct percpu_ref *ref)
{
	(void)ref;
}

static int answer_of_net;

static int net_fail(struct net *net)
{
	(void)net;
	return answer_of_net;
}

/* What is NULL, dead, used up or without memory. */
static void nothing_there_and_no_memory(void)
{
	struct pernet_operations ops = { .init = net_fail };
	struct lockref ref = { .count = 0 };
	struct kobject object = { 0 };
	struct percpu_counter counter;
	static struct inode inode;
	struct srcu_struct srcu;
	struct percpu_ref dead;
	struct sg_table table;
	struct llist_node nodes[2];
	struct xarray xa;
	unsigned int id;
	void *two[2];
	LLIST_HEAD(list);

	begin();
	CHECK_EQ(PTR_ERR_OR_ZERO(&inode), 0);
	CHECK_EQ(PTR_ERR_OR_ZERO(ERR_PTR(-EIO)), -EIO);
	CHECK(IS_ERR_OR_NULL(NULL) && IS_ERR_OR_NULL(ERR_PTR(-1)) && !IS_ERR_OR_NULL(&id));
	iput(NULL);
	inode_init_once(&inode);
	iput(&inode);
	iput(&inode);
	CHECK_EQ(shrinker_test_warnings(), 1);
	CHECK(!kobject_get(NULL));
	kobject_put(NULL);
	kobject_init(&object, NULL);
	kobject_put(&object);
	shrinker_test_fail_allocation(1);
	CHECK(!kobject_create_and_add("name", NULL));
	shrinker_test_fail_allocation(1);
	CHECK_EQ(sg_alloc_table(&table, 2, GFP_KERNEL), -ENOMEM);
	xa_init(&xa);
	xa_store(&xa, 1, &xa, GFP_KERNEL);
	xa_store(&xa, 2, &xa, GFP_KERNEL);
	CHECK_EQ(radix_tree_gang_lookup(&xa, two, 0, 1), 1);
	CHECK_EQ(radix_tree_gang_lookup(&xa, two, 0, 2), 2);
	shrinker_test_fail_allocation(1);
	CHECK_EQ(radix_tree_insert(&xa, 3, &xa), -ENOMEM);
	xa_destroy(&xa);
	answer_of_net = -EIO;
	CHECK_EQ(register_pernet_subsys(&ops), -EIO);
	ops.id = &id;
	CHECK_EQ(register_pernet_subsys(&ops), -EIO);
	unregister_pernet_subsys(&ops);
	spin_lock_init(&ref.lock);
	CHECK(!lockref_get_not_zero(&ref) && lockref_get_not_dead(&ref));
	CHECK_EQ(percpu_ref_init(&dead, never, PERCPU_REF_INIT_DEAD, GFP_KERNEL), 0);
	CHECK(percpu_ref_is_dying(&dead) && !percpu_ref_tryget(&dead));
	CHECK(llist_add_batch(&nodes[0], &nodes[0], &list));
	init_srcu_struct(&srcu);
	shrinker_test_check_locks(false);
	synchronize_srcu(&srcu);
	shrinker_test_check_locks(true);
	CHECK_EQ(percpu_counter_init(&counter, -5, GFP_KERNEL), 0);
	CHECK_EQ(percpu_counter_read_positive(&counter), 0);
	percpu_counter_destroy(&counter);
	percpu_counter_destroy(&counter);
	{
		void *kept __free(kfree) = ERR_PTR(-ENOMEM);
		void *kept_too __free(kvfree) = NULL;
		void *freed __free(kvfree) = kmalloc(4, GFP_KERNEL);

		CHECK(IS_ERR(kept) && !kept_too && freed);
	}
	{
		guard(rcu)();
		CHECK(rcu_read_lock_held());
	}
	printk("plain\n");
	printk("\001");
	CHECK_EQ(shrinker_test_end(), 1); /* the warning */
	begin();
	end();
}

/* A moment is not a time from now; a tasklet that was scheduled runs before it ends. */
static void moments_and_ends(void)
{
	struct tasklet_struct tasklet;
	struct percpu_counter counter;
	struct hrtimer timer;
	DEFINE_IDA(ida);

	begin();
	told = 5;
	timer.function = fire_twice;
	hrtimer_init(&timer, CLOCK_MONOTONIC, HRTIMER_MODE_ABS);
	hrtimer_start(&timer, ktime_add_ms(ktime_get(), 50), HRTIMER_MODE_ABS);
	shrinker_test_advance(20);
	CHECK_EQ(told, 5);
	shrinker_test_advance(50);
	CHECK_EQ(told, 6);
	hrtimer_start(&timer, 0, HRTIMER_MODE_ABS);
	shrinker_test_advance(5);
	CHECK_EQ(told, 7);
	shrinker_test_work(SHRINKER_TEST_WORK_ASKED);
	tasklet_setup(&tasklet, run_tasklet);
	tasklet_schedule(&tasklet);
	tasklet_kill(&tasklet);
	CHECK_EQ(told, 8);
	CHECK_EQ(percpu_counter_init(&counter, 9, GFP_KERNEL), 0);
	CHECK(percpu_counter_limited_add(&counter, 10, 0));
	CHECK(percpu_counter_limited_add(&counter, 5, 0));
	percpu_counter_destroy(&counter);
	ida_free(&ida, 3);
	CHECK_EQ(shrinker_test_warnings(), 1);
	begin();
	end();
}

static int cpu_starts(unsigned int cpu)
{
	CHECK_EQ(cpu, 0);
	told++;
	return 0;
}

static int cpu_fails(unsigned int cpu)
{
	(void)cpu;
	return -EIO;
}

static int node_starts(unsigned int cpu, struct hlist_node *node)
{
	CHECK(!cpu && node);
	told += 100;
	return 0;
}

/* What is set up for each processor is called for the one that there is. */
static void processors(void)
{
	struct hlist_node node;
	int state, multi, many[40], n;

	begin();
	told = 0;
	state = cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, "one", cpu_starts, cpu_starts);
	CHECK(state > 0 && told == 1);
	CHECK_EQ(shrinker_test_end(), 1); /* it was not removed */
	cpuhp_remove_state(state);
	CHECK_EQ(told, 2);
	cpuhp_remove_state(state);
	CHECK(failed_with("no state that cpuhp_setup_state() returned"));
	cpuhp_remove_state(-1);
	CHECK(failed_with("cpuhp_remove_state() with -1"));
	cpuhp_remove_state(1000);
	CHECK(failed_with("cpuhp_remove_state() with 1000"));
	CHECK_EQ(cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, "fails", cpu_fails, NULL), -EIO);
	state = cpuhp_setup_state_nocalls(CPUHP_BP_PREPARE_DYN, "quiet", cpu_fails, cpu_starts);
	cpuhp_remove_state_nocalls(state);
	CHECK_EQ(told, 2);
	multi = cpuhp_setup_state_multi(CPUHP_BP_PREPARE_DYN, "many", node_starts, NULL);
	CHECK_EQ(cpuhp_state_add_instance(multi, &node), 0);
	CHECK_EQ(told, 102);
	CHECK_EQ(cpuhp_state_remove_instance(multi, &node), 0);
	cpuhp_remove_multi_state(multi);
	CHECK_EQ(cpuhp_state_add_instance(multi, &node), -EINVAL);
	CHECK(failed_with("cpuhp_state_add_instance() with"));
	for (n = 0; n < 40; n++) {
		many[n] = cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, "n", NULL, NULL);
		CHECK(n < 32 ? many[n] > 0 : many[n] == -ENOSPC);
	}
	for (n = 0; n < 32; n++)
		cpuhp_remove_state(many[n]);
	end();
}

int main(void)
{
	RUN(references);
	RUN(references_and_calls);
	RUN(structures);
	RUN(namespaces);
	RUN(nothing_there_and_no_memory);
	RUN(moments_and_ends);
	RUN(processors);
	return checks_report("test_kit_references");
}
