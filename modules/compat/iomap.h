/* SPDX-License-Identifier: GPL-2.0 */
/* What the body of an iteration tells an iomap_iter. */
#ifndef _UPLIFT_COMPAT_IOMAP_H
#define _UPLIFT_COMPAT_IOMAP_H

#include <linux/iomap.h>

/* Where struct folio_batch is; renamed in 7.1. */
#ifdef UPLIFT_HAVE_FOLIO_BATCH_HEADER
#include <linux/folio_batch.h>
#else
#include <linux/pagevec.h>
#endif

#ifdef UPLIFT_HAVE_IOMAP_ITER_STATUS

/*
 * Since 6.15 the body moves the iterator on as it goes, and leaves a negative
 * errno or 0.
 */
#define COMPAT_IOMAP_ITER_STATUS	true

static inline void compat_iomap_iter_done(struct iomap_iter *iter, u64 bytes, int error)
{
	iter->pos += bytes;
	iter->len -= bytes;
	iter->status = error;
}

static inline int compat_iomap_iter_status(const struct iomap_iter *iter)
{
	return iter->status;
}

#else

/*
 * Before, it leaves the number of bytes or a negative errno. Such kernels never
 * had the fault, so only the probe comes here. Can go with 6.12.
 */
#define COMPAT_IOMAP_ITER_STATUS	false

static inline void compat_iomap_iter_done(struct iomap_iter *iter, u64 bytes, int error)
{
	iter->processed = error ?: bytes;
}

static inline int compat_iomap_iter_status(const struct iomap_iter *iter)
{
	return iter->processed;
}

#endif

#ifdef UPLIFT_HAVE_IOMAP_ITER_FBATCH

/* Since 6.19: emptied when the mapping that it belongs to is done with. */
#define COMPAT_IOMAP_F_FOLIO_BATCH	IOMAP_F_FOLIO_BATCH

static inline void compat_iomap_set_fbatch(struct iomap_iter *iter, struct folio_batch *fbatch)
{
	iter->fbatch = fbatch;
}

static inline struct folio_batch *compat_iomap_fbatch(const struct iomap_iter *iter)
{
	return iter->fbatch;
}

#else

#define COMPAT_IOMAP_F_FOLIO_BATCH	0

static inline void compat_iomap_set_fbatch(struct iomap_iter *iter, struct folio_batch *fbatch)
{
}

static inline struct folio_batch *compat_iomap_fbatch(const struct iomap_iter *iter)
{
	return NULL;
}

#endif

#endif /* _UPLIFT_COMPAT_IOMAP_H */
