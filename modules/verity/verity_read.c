// SPDX-License-Identifier: GPL-2.0
/*
 * Reading files with verity into the page cache: where XFS says that the data is, in
 * bios of our own, whose pages fs/verity checks before anybody sees them.
 *
 * The mapping of such a file has pages only, no larger folios. A page that is not all
 * in one extent, or not all on disk, is read piece by piece, and waited for.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/iomap.h>
#include <linux/migrate.h>
#include <linux/pagemap.h>

#include "uplift.h"
#include "verity_fs.h"

#define VERITY_BIOS	32

/**
 * struct verity_bio - a bio under way
 * @work: checks its pages
 * @fs: the filesystem
 * @bio: the bio; last
 */
struct verity_bio {
	struct work_struct work;
	struct verity_fs *fs;
	struct bio bio;
};

/**
 * struct verity_read - what is being read by one call
 * @inode: of the file
 * @fs: the filesystem
 * @end: of what is to be read, bytes
 * @map: where XFS said last that data is
 * @bio: not submitted yet; NULL if there is none
 * @next: the sector behind it
 * @opf: for bios
 */
struct verity_read {
	struct inode *inode;
	struct verity_fs *fs;
	loff_t end;
	struct iomap map;
	struct bio *bio;
	sector_t next;
	blk_opf_t opf;
};

static struct bio_set verity_bios;
static const struct iomap_ops *xfs_ops;
static const struct address_space_operations *xfs_aops;

/* --- when data has come --- */

static void read_begins(struct verity_fs *fs)
{
	atomic_inc(&fs->reads);
}

static void read_ends(struct verity_fs *fs)
{
	/* The last one may be waited for by who frees the filesystem: under RCU. */
	rcu_read_lock();
	if (atomic_dec_and_test(&fs->reads))
		wake_up(&fs->idle);
	rcu_read_unlock();
}

/* One page is wrong, or a tree's page cannot be read: which one? */
static void verity_end_each(struct bio *bio)
{
	struct folio_iter fi;

	bio_for_each_folio_all(fi, bio)
		folio_end_read(fi.folio, fsverity_verify_folio(fi.folio));
}

static void verity_end_all(struct bio *bio, bool success)
{
	struct folio_iter fi;

	bio_for_each_folio_all(fi, bio)
		folio_end_read(fi.folio, success);
}

static bool bio_has_one_page(const struct bio *bio)
{
	return bio->bi_vcnt == 1 && bio->bi_io_vec->bv_len == PAGE_SIZE;
}

static void verity_bio_work(struct work_struct *work)
{
	struct verity_bio *read = container_of(work, struct verity_bio, work);
	struct verity_fs *fs = read->fs;
	struct bio *bio = &read->bio;

	fsverity_verify_bio(bio);
	if (bio->bi_status && !bio_has_one_page(bio))
		verity_end_each(bio);
	else
		verity_end_all(bio, !bio->bi_status);
	bio_put(bio);
	read_ends(fs);
}

static void verity_bio_end(struct bio *bio)
{
	struct verity_bio *read = container_of(bio, struct verity_bio, bio);
	struct verity_fs *fs = read->fs;

	if (!bio->bi_status) {
		INIT_WORK(&read->work, verity_bio_work);
		fsverity_enqueue_verify_work(&read->work);
		return;
	}
	verity_end_all(bio, false);
	bio_put(bio);
	read_ends(fs);
}

/* --- where it is --- */

static int read_map(struct verity_read *read, loff_t pos)
{
	struct iomap source = {};

	if (read->map.length && pos >= read->map.offset &&
	    pos < read->map.offset + read->map.length)
		return 0;
	memset(&read->map, 0, sizeof(read->map));
	return xfs_ops->iomap_begin(read->inode, pos, max_t(loff_t, read->end - pos, PAGE_SIZE),
				    0, &read->map, &source);
}

/* --- page by page --- */

/*
 * Not folio_zero_range(): what that is made of becomes a function of the module
 * with a name that the kernel has, too.
 */
static void verity_zero(struct folio *folio, size_t from, size_t to)
{
	while (from < to) {
		size_t len = min(to - from, PAGE_SIZE - offset_in_page(from));
		void *at = kmap_local_folio(folio, from);

		memset(at, 0, len);
		kunmap_local(at);
		from += len;
	}
	flush_dcache_folio(folio);
}

static int read_piece(struct verity_read *read, struct folio *folio, size_t offset, size_t len)
{
	struct bio *bio;
	int err;

	/* A hole, and blocks that are allocated only. */
	if (read->map.type != IOMAP_MAPPED) {
		verity_zero(folio, offset, offset + len);
		return 0;
	}
	bio = bio_alloc(read->map.bdev, 1, REQ_OP_READ, GFP_NOFS);
	bio->bi_iter.bi_sector = iomap_sector(&read->map, folio_pos(folio) + offset);
	bio_add_folio_nofail(bio, folio, len, offset);
	err = submit_bio_wait(bio);
	bio_put(bio);
	return err;
}

/* Of a page's part inside the file, in blocks; the rest of it is zero. */
static int read_pieces(struct verity_read *read, struct folio *folio)
{
	loff_t pos = folio_pos(folio), end = pos + folio_size(folio);
	loff_t size = round_up(i_size_read(read->inode), i_blocksize(read->inode));
	int err = 0;

	if (size < end)
		verity_zero(folio, size > pos ? size - pos : 0, folio_size(folio));
	end = min(end, size);
	while (pos < end && !err) {
		size_t len;

		err = read_map(read, pos);
		if (err)
			break;
		len = min(read->map.offset + (loff_t)read->map.length, end) - pos;
		err = read_piece(read, folio, offset_in_folio(folio, pos), len);
		pos += len;
	}
	return err;
}

static int read_slowly(struct verity_read *read, struct folio *folio)
{
	int err = read_pieces(read, folio);

	if (!err && !fsverity_verify_folio(folio))
		err = -EIO;
	folio_end_read(folio, !err);
	return err;
}

/* --- many pages at once --- */

static void read_submit(struct verity_read *read)
{
	if (!read->bio)
		return;
	read_begins(read->fs);
	submit_bio(read->bio);
	read->bio = NULL;
}

static void read_new_bio(struct verity_read *read, sector_t sector, unsigned int pages)
{
	struct bio *bio;

	bio = bio_alloc_bioset(read->map.bdev, bio_max_segs(pages), read->opf, GFP_NOFS,
			       &verity_bios);
	bio->bi_iter.bi_sector = sector;
	bio->bi_end_io = verity_bio_end;
	container_of(bio, struct verity_bio, bio)->fs = read->fs;
	read->bio = bio;
}

static void read_add(struct verity_read *read, struct folio *folio)
{
	sector_t sector = iomap_sector(&read->map, folio_pos(folio));
	size_t len = folio_size(folio);

	if (read->bio && (read->next != sector || !bio_add_folio(read->bio, folio, len, 0)))
		read_submit(read);
	else if (read->bio)
		goto added;
	if (!read->bio) {
		read_new_bio(read, sector, DIV_ROUND_UP(read->end - folio_pos(folio), PAGE_SIZE));
		bio_add_folio_nofail(read->bio, folio, len, 0);
	}
added:
	read->next = sector + (len >> SECTOR_SHIFT);
}

static int read_folio(struct verity_read *read, struct folio *folio)
{
	loff_t pos = folio_pos(folio), end = pos + folio_size(folio);
	loff_t size = round_up(i_size_read(read->inode), i_blocksize(read->inode));
	int err;

	err = read_map(read, pos);
	if (err) {
		folio_end_read(folio, false);
		return err;
	}
	if (end <= size && read->map.type == IOMAP_MAPPED &&
	    end <= read->map.offset + (loff_t)read->map.length) {
		read_add(read, folio);
		return 0;
	}
	read_submit(read);
	return read_slowly(read, folio);
}

/* --- what the page cache calls --- */

static int verity_read_folio(struct file *file, struct folio *folio)
{
	struct inode *inode = folio->mapping->host;
	int section = srcu_read_lock(&verity_srcu);
	struct verity_read read = {
		.inode	= inode,
		.fs	= verity_fs_of(inode->i_sb),
		.end	= folio_pos(folio) + folio_size(folio),
		.opf	= REQ_OP_READ,
	};
	int err;

	err = read_folio(&read, folio);
	read_submit(&read);
	srcu_read_unlock(&verity_srcu, section);
	return err;
}

static void verity_readahead(struct readahead_control *rac)
{
	struct inode *inode = rac->mapping->host;
	int section = srcu_read_lock(&verity_srcu);
	struct verity_read read = {
		.inode	= inode,
		.fs	= verity_fs_of(inode->i_sb),
		.end	= readahead_pos(rac) + readahead_length(rac),
		.opf	= REQ_OP_READ | REQ_RAHEAD,
	};
	struct folio *folio;

	while ((folio = readahead_folio(rac)))
		read_folio(&read, folio);
	read_submit(&read);
	srcu_read_unlock(&verity_srcu, section);
}

/* --- the tree --- */

/*
 * fs/verity marks pages, and trusts the marks: a page must be a folio of its own.
 * Larger ones come from before the file was woken only, and were dropped then.
 */
static struct page *tree_page(struct folio *folio)
{
	if (!folio_test_large(folio))
		return folio_page(folio, 0);
	folio_put(folio);
	return ERR_PTR(-EIO);
}

static void tree_read_ahead(struct address_space *mapping, pgoff_t index, unsigned long ahead)
{
	DEFINE_READAHEAD(control, NULL, NULL, mapping, index);

	page_cache_ra_unbounded(&control, ahead, 0);
}

/**
 * verity_read_tree - a page of a file's tree
 * @inode: the file's inode, awake
 * @index: of the page
 * @ahead: how many are wanted soon
 *
 * Context: process context, may sleep.
 * Return: the page, for put_page(); an error pointer.
 */
struct page *verity_read_tree(struct inode *inode, pgoff_t index, unsigned long ahead)
{
	struct verity_file *file = xa_load(&verity_fs_of(inode->i_sb)->files, inode->i_ino);
	struct inode *side = file ? READ_ONCE(file->side) : NULL;
	struct folio *folio;

	if (!side || index >= DIV_ROUND_UP(i_size_read(side), PAGE_SIZE))
		return ERR_PTR(-EIO);
	folio = __filemap_get_folio(side->i_mapping, index, FGP_ACCESSED, 0);
	if (!IS_ERR(folio) && folio_test_uptodate(folio))
		return tree_page(folio);
	if (!IS_ERR(folio))
		folio_put(folio);
	else if (ahead > 1)
		tree_read_ahead(side->i_mapping, index, ahead);
	folio = read_mapping_folio(side->i_mapping, index, NULL);
	return IS_ERR(folio) ? ERR_CAST(folio) : tree_page(folio);
}

/* --- which operations a file has --- */

/* As XFS's, but for those that write: nothing of such a file is ever dirty. */
static const struct address_space_operations verity_aops = {
	.read_folio		= verity_read_folio,
	.readahead		= verity_readahead,
	.dirty_folio		= noop_dirty_folio,
	.release_folio		= iomap_release_folio,
	.invalidate_folio	= iomap_invalidate_folio,
	.migrate_folio		= filemap_migrate_folio,
	.is_partially_uptodate	= iomap_is_partially_uptodate,
	.error_remove_folio	= generic_error_remove_folio,
};

/**
 * verity_can_check - can reads of a file be checked?
 * @inode: its inode
 *
 * Context: any.
 * Return: true if the page cache reads it as that of a plain file of XFS's.
 */
bool verity_can_check(const struct inode *inode)
{
	return inode->i_mapping->a_ops == xfs_aops;
}

/**
 * verity_read_checked - check what is read of a file, or do not
 * @inode: its inode, whose mapping nothing reads into at the moment
 * @checked: which of both
 *
 * Context: any.
 */
void verity_read_checked(struct inode *inode, bool checked)
{
	WRITE_ONCE(inode->i_mapping->a_ops, checked ? &verity_aops : xfs_aops);
}

static int read_resolve(void)
{
	unsigned long ops, aops;

	if ((uplift_resolve("xfs:xfs_read_iomap_ops", &ops) &&
	     uplift_resolve("xfs_read_iomap_ops", &ops)) ||
	    (uplift_resolve("xfs:xfs_address_space_operations", &aops) &&
	     uplift_resolve("xfs_address_space_operations", &aops))) {
		pr_err("unsupported: no symbol xfs_read_iomap_ops or xfs_address_space_operations (CONFIG_KALLSYMS_ALL)\n");
		return -ENOEXEC;
	}
	xfs_ops = (const struct iomap_ops *)ops;
	xfs_aops = (const struct address_space_operations *)aops;
	/* Where a mapping has to be given back nobody here would. */
	if (!xfs_ops->iomap_end)
		return 0;
	pr_err("unsupported: XFS's mappings for reading have to be ended in this kernel\n");
	return -ENOEXEC;
}

/**
 * verity_read_init - get ready for reading
 *
 * Context: process context, may sleep; XFS cannot go.
 * Return: 0; after a line in the log -ENOEXEC, or -ENOMEM.
 */
int verity_read_init(void)
{
	int err = read_resolve();

	if (err)
		return err;
	return bioset_init(&verity_bios, VERITY_BIOS, offsetof(struct verity_bio, bio),
			   BIOSET_NEED_BVECS);
}

/**
 * verity_read_exit - undo verity_read_init()
 *
 * Context: process context, may sleep; nothing is read any more.
 */
void verity_read_exit(void)
{
	bioset_exit(&verity_bios);
}
