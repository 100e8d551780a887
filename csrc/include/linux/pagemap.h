/* SPDX-License-Identifier: MIT */
/* Left out: the page cache.  What handles one page or folio is in mm.h. */
#ifndef SHRINKER_LINUX_PAGEMAP_H
#define SHRINKER_LINUX_PAGEMAP_H

#include <linux/err.h>
#include <linux/fs.h>
#include <linux/mm.h>

#define read_cache_page(mapping, index, filler, data) ((struct page *)ERR_PTR(-EIO))
#define truncate_inode_pages(mapping, from) ((void)(mapping))
#define invalidate_mapping_pages(mapping, from, to) ((void)(mapping), 0UL)
#define filemap_lock_folio(mapping, index) ((struct folio *)ERR_PTR(-ENOENT))

#endif /* SHRINKER_LINUX_PAGEMAP_H */
