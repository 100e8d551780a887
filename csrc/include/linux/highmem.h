/* SPDX-License-Identifier: MIT */
/* All memory has an address. */
#ifndef SHRINKER_LINUX_HIGHMEM_H
#define SHRINKER_LINUX_HIGHMEM_H

#include <linux/mm.h>

#define kmap(page) page_address(page)
#define kunmap(page) ((void)(page))
#define kmap_local_page(page) page_address(page)
#define kunmap_local(address) ((void)(address))
#define kmap_atomic(page) page_address(page)
#define kunmap_atomic(address) ((void)(address))
#define kmap_local_folio(folio_, offset) ((char *)page_address(folio_) + (offset))
#define kmap_local_pfn(pfn) page_address(pfn_to_page(pfn))
#define kmap_local_page_try_from_panic(page) page_address(page)
#define kmap_to_page(address) virt_to_page(address)
#define kmap_flush_unused() ((void)0)
#define zero_user(page, offset, length)                                        \
	((void)memset((char *)page_address(page) + (offset), 0, (length)))
#define zero_user_segment(page, from, to) zero_user(page, from, (to) - (from))
#define memzero_page(page, offset, length) zero_user(page, offset, length)
#define memset_page(page, offset, byte, length)                                \
	((void)memset((char *)page_address(page) + (offset), (byte), (length)))
#define memcpy_page(to, to_offset, from, from_offset, length)                  \
	((void)memcpy((char *)page_address(to) + (to_offset),                  \
		      (char *)page_address(from) + (from_offset), (length)))
#define clear_user_highpage(page, address) clear_page(page_address(page))
#define copy_user_highpage(to, from, address, vma) copy_highpage(to, from)
#define alloc_zeroed_user_highpage_movable(vma, address) alloc_page(GFP_HIGHUSER_MOVABLE | __GFP_ZERO)
#define clear_highpage(page) clear_page(page_address(page))
#define copy_highpage(to, from) copy_page(page_address(to), page_address(from))
#define memcpy_to_page(page, offset, from, length)                             \
	memcpy((char *)page_address(page) + (offset), (from), (length))
#define memcpy_from_page(to, page, offset, length)                             \
	memcpy((to), (char *)page_address(page) + (offset), (length))

#endif /* SHRINKER_LINUX_HIGHMEM_H */
