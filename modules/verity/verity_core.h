/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the module keeps on disk, see docs/verity.md. Pure logic: no filesystem is
 * needed, so that KUnit can run it anywhere.
 */
#ifndef _UPLIFT_VERITY_CORE_H
#define _UPLIFT_VERITY_CORE_H

#include <linux/build_bug.h>
#include <linux/types.h>

/* The attribute of a file that has verity, and the directory that has its tree. */
#define VERITY_XATTR		"trusted.uplift.verity"
#define VERITY_DIR		".uplift-verity"

#define VERITY_MAGIC		"uplverit"
#define VERITY_FORMAT		1

/* "18446744073709551615.4294967295" */
#define VERITY_NAME_SIZE	32

/* As struct fsverity_descriptor of the kernel's begins, with a signature behind it. */
#define VERITY_DESCRIPTOR_MIN	256
#define VERITY_DESCRIPTOR_MAX	16384

/**
 * struct verity_record - the attribute's value; the descriptor follows it
 * @magic: VERITY_MAGIC
 * @format: VERITY_FORMAT
 * @header_size: bytes of this structure
 * @descriptor_size: bytes of fs/verity's descriptor behind it, signature included
 * @ino: number of the inode that it belongs to
 * @generation: and its generation
 * @crc: CRC-32 of all that is here and of the descriptor, with 0 in its place
 * @tree_size: bytes of the file that has the tree
 *
 * The inode's number is here so that an attribute that was copied to another file
 * is not taken for that file's own.
 */
struct verity_record {
	__u8 magic[8];
	__le16 format;
	__le16 header_size;
	__le32 descriptor_size;
	__le64 ino;
	__le32 generation;
	__le32 crc;
	__le64 tree_size;
} __packed;
static_assert(sizeof(struct verity_record) == 40);

#define VERITY_RECORD_MAX	(sizeof(struct verity_record) + VERITY_DESCRIPTOR_MAX)

/**
 * struct verity_id - an inode, as long as its number is not given to another file
 * @ino: its number
 * @generation: its generation
 */
struct verity_id {
	u64 ino;
	u32 generation;
};

void verity_record_fill(struct verity_record *record, const struct verity_id *id,
			u64 tree_size, size_t descriptor_size);
int verity_record_check(const struct verity_record *record, size_t size,
			const struct verity_id *id);
const void *verity_record_descriptor(const struct verity_record *record, size_t *size);

void verity_name(const struct verity_id *id, char name[VERITY_NAME_SIZE]);
bool verity_name_parse(const char *name, size_t len, struct verity_id *id);

const char *verity_superblock_refusal(const void *superblock, size_t size,
				      unsigned int page_size);

u32 verity_inode_place(const void *superblock, u64 ino, u64 *pos);
bool verity_inode_damaged(const void *inode, u32 size);

#endif /* _UPLIFT_VERITY_CORE_H */
