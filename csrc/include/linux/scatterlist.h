/* SPDX-License-Identifier: MIT */
/*
 * Tables of pieces of memory.
 *
 * Left out: chains of tables.
 */
#ifndef SHRINKER_LINUX_SCATTERLIST_H
#define SHRINKER_LINUX_SCATTERLIST_H

#include <linux/errno.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>

struct scatterlist {
	struct page *page;
	unsigned int offset, length;
	dma_addr_t dma_address;
	bool is_last;
};
struct sg_table {
	struct scatterlist *sgl;
	unsigned int nents, orig_nents;
};

static inline void sg_init_table(struct scatterlist *sg, unsigned int n)
{
	memset(sg, 0, n * sizeof(*sg));
	sg[n - 1].is_last = true;
}

static inline void sg_set_page(struct scatterlist *sg, struct page *page,
			       unsigned int length, unsigned int offset)
{
	sg->page = page;
	sg->length = length;
	sg->offset = offset;
}

static inline struct scatterlist *sg_next(struct scatterlist *sg)
{
	return sg->is_last ? NULL : sg + 1;
}

static inline int sg_alloc_table(struct sg_table *table, unsigned int n, gfp_t gfp)
{
	table->sgl = (struct scatterlist *)kmalloc_array(n, sizeof(*table->sgl), gfp);
	if (!table->sgl)
		return -ENOMEM;
	sg_init_table(table->sgl, n);
	table->nents = table->orig_nents = n;
	return 0;
}

static inline void sg_free_table(struct sg_table *table)
{
	kfree(table->sgl);
	table->sgl = NULL;
}
#define sg_page(sg) ((sg)->page)
#define sg_virt(sg) ((void *)((char *)page_address((sg)->page) + (sg)->offset))
#define sg_dma_address(sg) ((sg)->dma_address)
#define sg_dma_len(sg) ((sg)->length)
#define sg_mark_end(sg) ((void)((sg)->is_last = true))
#define for_each_sg(table, sg, n, i)                                           \
	for ((i) = 0, (sg) = (table); (i) < (n); (i)++, (sg) = sg_next(sg))
#define for_each_sgtable_sg(table, sg, i) for_each_sg((table)->sgl, sg, (int)(table)->orig_nents, i)

#endif /* SHRINKER_LINUX_SCATTERLIST_H */
