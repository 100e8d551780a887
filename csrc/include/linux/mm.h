/* SPDX-License-Identifier: MIT */
/*
 * Pages, as far as shrinkers handle them.
 *
 * Left out: address spaces of processes, mappings, the page cache, swapping.  A folio is
 * the first of its pages.
 */
#ifndef SHRINKER_LINUX_MM_H
#define SHRINKER_LINUX_MM_H

#include <linux/kit.h>
#include <linux/bitops.h>
#include <linux/bug.h>
#include <linux/completion.h>
#include <linux/gfp.h>
#include <linux/kernel.h>
#include <linux/list.h>
#include <linux/mm_types.h>
#include <linux/mutex.h>
#include <linux/nodemask.h>
#include <linux/rbtree.h>
#include <linux/rwsem.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/wait_bit.h>

enum {
	PG_locked,
	PG_referenced,
	PG_dirty,
	PG_private,
	PG_active,
	PG_uptodate,
	PG_writeback,
	PG_reclaim,
	PG_workingset,
	PG_unevictable,
	PG_private_2,
	PG_owner_priv_1,
	PG_checked = PG_owner_priv_1
};

/* Of a process: its lock, and references. */
struct mm_struct {
	struct rw_semaphore mmap_lock;
	atomic_t mm_users, mm_count;
	unsigned long flags;
};
struct vm_area_struct {
	unsigned long vm_start, vm_end, vm_flags, vm_pgoff;
	struct mm_struct *vm_mm;
	struct file *vm_file;
	void *vm_private_data;
	const struct vm_operations_struct *vm_ops;
};
struct vm_fault {
	struct vm_area_struct *vma;
	unsigned long address;
	pgoff_t pgoff;
	struct page *page;
};
struct vm_operations_struct {
	void (*open)(struct vm_area_struct *vma);
	void (*close)(struct vm_area_struct *vma);
	vm_fault_t (*fault)(struct vm_fault *fault);
};
#define VM_FAULT_SIGBUS 2U
#define VM_FAULT_OOM 1U
#define VM_WRITE 2UL
#define VM_READ 1UL
#define VM_MAYWRITE 0x20UL
#define VM_DONTCOPY 0x20000UL
#define VM_MIXEDMAP 0x10000000UL
#define vm_flags_set(vma, bits) ((void)((vma)->vm_flags |= (bits)))
#define vm_flags_clear(vma, bits) ((void)((vma)->vm_flags &= ~(bits)))
#define vm_flags_mod(vma, set, clear)                                          \
	((void)((vma)->vm_flags = ((vma)->vm_flags | (set)) & ~(clear)))
#define mmap_read_lock(mm) down_read(&(mm)->mmap_lock)
#define mmap_read_trylock(mm) down_read_trylock(&(mm)->mmap_lock)
#define mmap_read_unlock(mm) up_read(&(mm)->mmap_lock)
#define mmap_write_lock(mm) down_write(&(mm)->mmap_lock)
#define mmap_write_trylock(mm) down_write_trylock(&(mm)->mmap_lock)
#define mmap_write_unlock(mm) up_write(&(mm)->mmap_lock)
#define mmap_assert_locked(mm) lockdep_assert_held(&(mm)->mmap_lock)
#define mmgrab(mm) atomic_inc(&(mm)->mm_count)
#define mmdrop(mm) ((void)atomic_dec_return(&(mm)->mm_count))
#define mmget_not_zero(mm) atomic_inc_not_zero(&(mm)->mm_users)
#define mmput(mm) ((void)atomic_dec_return(&(mm)->mm_users))
#define mmput_async(mm) mmput(mm)
#define vma_lookup(mm, address) ((void)(mm), (void)(address), (struct vm_area_struct *)NULL)
#define find_vma(mm, address) vma_lookup(mm, address)
#define lock_vma_under_rcu(mm, address) vma_lookup(mm, address)
#define vma_end_read(vma) ((void)(vma))
#define zap_page_range_single(vma, address, size, details) ((void)(vma), (void)(address))
#define vm_insert_page(vma, address, page) ((void)(vma), (void)(address), (void)(page), shrinker_kit_zero())

#define PAGE_ALIGN(size) ALIGN((unsigned long)(size), PAGE_SIZE)
#define offset_in_page(pointer) ((unsigned long)(pointer) & ~PAGE_MASK)

#define page_address(page_) ((page_)->virtual_address)
#define page_to_virt(page) page_address(page)
#define page_to_nid(page) ((void)(page), shrinker_kit_zero())
#define page_to_pfn(page) ((unsigned long)page_address(page) >> PAGE_SHIFT)
#define pfn_to_page(pfn) virt_to_page((void *)((unsigned long)(pfn) << PAGE_SHIFT))
#define virt_to_head_page(address) virt_to_page(address)
/* The first of the pages that were allocated together. */
#define compound_head(page_) ((page_)->head)
#define compound_order(page_) ((page_)->order)
#define PageHighMem(page) ((void)(page), shrinker_kit_zero())

#define SHRINKER_PAGE_FLAG(Name, flag)                                         \
	static inline int Page##Name(const struct page *page)                  \
	{                                                                      \
		return test_bit(flag, &page->flags);                           \
	}                                                                      \
	static inline void SetPage##Name(struct page *page)                    \
	{                                                                      \
		set_bit(flag, &page->flags);                                   \
	}                                                                      \
	static inline void ClearPage##Name(struct page *page)                  \
	{                                                                      \
		clear_bit(flag, &page->flags);                                 \
	}
SHRINKER_PAGE_FLAG(Locked, PG_locked)
SHRINKER_PAGE_FLAG(Referenced, PG_referenced)
SHRINKER_PAGE_FLAG(Dirty, PG_dirty)
SHRINKER_PAGE_FLAG(Private, PG_private)
SHRINKER_PAGE_FLAG(Active, PG_active)
SHRINKER_PAGE_FLAG(Uptodate, PG_uptodate)
SHRINKER_PAGE_FLAG(Writeback, PG_writeback)
SHRINKER_PAGE_FLAG(Reclaim, PG_reclaim)
SHRINKER_PAGE_FLAG(Workingset, PG_workingset)
SHRINKER_PAGE_FLAG(Unevictable, PG_unevictable)
SHRINKER_PAGE_FLAG(Private2, PG_private_2)
SHRINKER_PAGE_FLAG(Checked, PG_checked)
#define PageAnon(page) ((void)(page), shrinker_kit_zero())
#define PageSlab(page) ((void)(page), shrinker_kit_zero())
#define PageLRU(page) ((void)(page), shrinker_kit_zero())
#define PageSwapCache(page) ((void)(page), shrinker_kit_zero())
#define PageReserved(page) ((void)(page), shrinker_kit_zero())
#define PageHuge(page) ((void)(page), shrinker_kit_zero())
#define PageCompound(page_) ((page_)->head->order > 0)
#define PageHead(page_) ((page_)->head == (page_) && (page_)->order > 0)
#define PageTail(page_) ((page_)->head != (page_))
#define __SetPageMovable(page, ops) ((void)(page))
#define __ClearPageMovable(page) ((void)(page))

static inline bool trylock_page(struct page *page)
{
	return !test_and_set_bit(PG_locked, &page->flags);
}

static inline void unlock_page(struct page *page)
{
	clear_and_wake_up_bit(PG_locked, &page->flags);
}

static inline void lock_page(struct page *page)
{
	wait_on_bit_lock(&page->flags, PG_locked, TASK_UNINTERRUPTIBLE);
}

static inline int page_count(const struct page *page)
{
	return atomic_read(&page->_refcount);
}

static inline void get_page(struct page *page)
{
	atomic_inc(&page->_refcount);
}

static inline bool get_page_unless_zero(struct page *page)
{
	return atomic_inc_not_zero(&page->_refcount);
}

#define put_page(page)                                                         \
	shrinker_kit_free_pages((page), -1, SHRINKER_KIT_PLACE)
#define put_page_testzero(page_) atomic_dec_and_test(&(page_)->_refcount)

#ifndef __cplusplus
#define page_private(page_) ((page_)->private)
#define set_page_private(page_, value) ((void)((page_)->private = (value)))
static inline void attach_page_private(struct page *page, void *data)
{
	get_page(page);
	set_page_private(page, (unsigned long)data);
	SetPagePrivate(page);
}
#endif

#ifndef __cplusplus
static inline void *detach_page_private(struct page *page)
{
	void *data = (void *)page_private(page);

	if (!PagePrivate(page))
		return NULL;
	ClearPagePrivate(page);
	set_page_private(page, 0);
	put_page(page);
	return data;
}
#endif

/* --- folios ----------------------------------------------------------------- */

#define page_folio(page_) ((struct folio *)(void *)compound_head(page_))
#define virt_to_folio(address) page_folio(virt_to_page(address))
#define folio_page(folio_, n) (&(folio_)->page + (n))
#define folio_order(folio_) ((folio_)->order)
#define folio_nr_pages(folio_) (1L << (folio_)->order)
#define folio_size(folio_) (PAGE_SIZE << (folio_)->order)
#define folio_shift(folio_) (PAGE_SHIFT + (folio_)->order)
#define folio_address(folio_) page_address(folio_)
#define folio_pfn(folio_) page_to_pfn(folio_)
#define folio_nid(folio_) page_to_nid(folio_)
#define folio_index(folio_) ((folio_)->index)
#define folio_pos(folio_) ((loff_t)(folio_)->index << PAGE_SHIFT)
#define folio_mapping(folio_) ((folio_)->mapping)
#define folio_ref_count(folio_) page_count(&(folio_)->page)
#define folio_get(folio_) get_page(&(folio_)->page)
#define folio_try_get(folio_) get_page_unless_zero(&(folio_)->page)
#define folio_put(folio_) put_page(&(folio_)->page)
#define folio_lock(folio_) lock_page(&(folio_)->page)
#define folio_trylock(folio_) trylock_page(&(folio_)->page)
#define folio_unlock(folio_) unlock_page(&(folio_)->page)
#define folio_alloc(gfp, order) ((struct folio *)(void *)alloc_pages((gfp), (order)))
#define __folio_alloc(gfp, order, nid, mask) folio_alloc(gfp, order)
#define folio_alloc_node(gfp, order, nid) folio_alloc(gfp, order)
#define vma_alloc_folio(gfp, order, vma, address) ((void)(vma), folio_alloc(gfp, order))
#define folio_test_locked(folio_) PageLocked(&(folio_)->page)
#define folio_set_locked(folio_) SetPageLocked(&(folio_)->page)
#define folio_clear_locked(folio_) ClearPageLocked(&(folio_)->page)
#define folio_test_dirty(folio_) PageDirty(&(folio_)->page)
#define folio_set_dirty(folio_) SetPageDirty(&(folio_)->page)
#define folio_clear_dirty(folio_) ClearPageDirty(&(folio_)->page)
#define folio_test_uptodate(folio_) PageUptodate(&(folio_)->page)
#define folio_set_uptodate(folio_) SetPageUptodate(&(folio_)->page)
#define folio_clear_uptodate(folio_) ClearPageUptodate(&(folio_)->page)
#define folio_test_writeback(folio_) PageWriteback(&(folio_)->page)
#define folio_set_writeback(folio_) SetPageWriteback(&(folio_)->page)
#define folio_clear_writeback(folio_) ClearPageWriteback(&(folio_)->page)
#define folio_test_private(folio_) PagePrivate(&(folio_)->page)
#define folio_set_private(folio_) SetPagePrivate(&(folio_)->page)
#define folio_clear_private(folio_) ClearPagePrivate(&(folio_)->page)
#define folio_test_referenced(folio_) PageReferenced(&(folio_)->page)
#define folio_set_referenced(folio_) SetPageReferenced(&(folio_)->page)
#define folio_clear_referenced(folio_) ClearPageReferenced(&(folio_)->page)
#define folio_test_active(folio_) PageActive(&(folio_)->page)
#define folio_set_active(folio_) SetPageActive(&(folio_)->page)
#define folio_clear_active(folio_) ClearPageActive(&(folio_)->page)
#define folio_test_workingset(folio_) PageWorkingset(&(folio_)->page)
#define folio_set_workingset(folio_) SetPageWorkingset(&(folio_)->page)
#define folio_clear_workingset(folio_) ClearPageWorkingset(&(folio_)->page)
#define folio_test_unevictable(folio_) PageUnevictable(&(folio_)->page)
#define folio_set_unevictable(folio_) SetPageUnevictable(&(folio_)->page)
#define folio_clear_unevictable(folio_) ClearPageUnevictable(&(folio_)->page)
#define folio_test_large(folio_) ((folio_)->order > 0)
#define folio_test_anon(folio_) ((void)(folio_), false)
#define folio_test_swapcache(folio_) ((void)(folio_), false)
#define folio_test_lru(folio_) ((void)(folio_), false)
#define folio_mapped(folio_) ((void)(folio_), false)
#define folio_mark_uptodate(folio_) folio_set_uptodate(folio_)
#define folio_mark_accessed(folio_) folio_set_referenced(folio_)
#define folio_mark_dirty(folio_) (folio_set_dirty(folio_), true)
#define mark_page_accessed(page) SetPageReferenced(page)
#define folio_attach_private(folio_, data) attach_page_private(&(folio_)->page, (data))
#define folio_detach_private(folio_) detach_page_private(&(folio_)->page)
#define folio_get_private(folio_) ((void *)page_private(folio_))

/* --- statistics, which nothing reads here ------------------------------------- */

enum {
	NR_SLAB_RECLAIMABLE_B,
	NR_SLAB_UNRECLAIMABLE_B,
	NR_KERNEL_MISC_RECLAIMABLE,
	NR_ZSPAGES,
	NR_FREE_PAGES,
	NR_FILE_PAGES,
	NR_ACTIVE_FILE,
	NR_INACTIVE_FILE
};
#define mod_node_page_state(node, item, n) ((void)(n))
#define mod_zone_page_state(zone, item, n) ((void)(n))
#define inc_zone_page_state(page, item) ((void)(page))
#define dec_zone_page_state(page, item) ((void)(page))
#define inc_node_page_state(page, item) ((void)(page))
#define dec_node_page_state(page, item) ((void)(page))
#define global_node_page_state(item) 0UL
#define global_zone_page_state(item) 0UL
#define page_zone(page) ((struct zone *)(void *)(page))
#define page_pgdat(page) ((struct pglist_data *)(void *)(page))
#define count_vm_event(item) ((void)0)
#define count_vm_events(item, n) ((void)(n))
#define set_page_dirty(page) (SetPageDirty(page), true)
#define set_page_dirty_lock(page) (SetPageDirty(page), 0)
#define adjust_managed_page_count(page, n) ((void)(page), (void)(n))
#define page_ref_count(page) page_count(page)
#define page_ref_freeze(page_, n) (atomic_cmpxchg(&(page_)->_refcount, (n), 0) == (n))
#define page_ref_unfreeze(page_, n) atomic_set(&(page_)->_refcount, (n))
#define set_page_count(page_, n) atomic_set(&(page_)->_refcount, (n))
#define nth_page(page, n) ((page) + (n))
#define virt_addr_valid(address) (virt_to_page(address) != NULL)
#define si_mem_available() ((long)totalram_pages())
#define MAX_PAGE_ORDER 10
#define MAX_ORDER MAX_PAGE_ORDER
#define PAGE_ALLOC_COSTLY_ORDER 3
#define PFN_UP(x) (((x) + PAGE_SIZE - 1) >> PAGE_SHIFT)
#define PFN_DOWN(x) ((x) >> PAGE_SHIFT)
#define PFN_PHYS(pfn) ((phys_addr_t)(pfn) << PAGE_SHIFT)
#define page_to_phys(page) ((phys_addr_t)(unsigned long)page_address(page))
#define PAGE_ALIGNED(address) (!((unsigned long)(address) & ~PAGE_MASK))
#define release_pages(pages, n)                                                \
	do {                                                                   \
		int rp_i_;                                                     \
		for (rp_i_ = 0; rp_i_ < (int)(n); rp_i_++)                     \
			put_page((pages)[rp_i_]);                              \
	} while (0)

static inline void clear_page(void *address)
{
	memset(address, 0, PAGE_SIZE);
}

static inline void copy_page(void *to, const void *from)
{
	memcpy(to, from, PAGE_SIZE);
}

static inline int get_order(unsigned long size)
{
	int order = 0;

	while ((PAGE_SIZE << order) < size)
		order++;
	return order;
}

/* Of the machine, in pages. */
unsigned long totalram_pages(void);

static inline void mm_account_reclaimed_pages(unsigned long pages)
{
	(void)pages;
}

#endif /* SHRINKER_LINUX_MM_H */
