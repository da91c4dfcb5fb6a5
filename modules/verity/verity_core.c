// SPDX-License-Identifier: GPL-2.0
/*
 * The on-disk format: the record in a file's attribute, the names of the files
 * that have trees, and what XFS's superblock says that is of interest here.
 */
#include <linux/crc32.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include <linux/unaligned.h>

#include "verity_core.h"

/* --- the record --- */

static u32 record_crc(const struct verity_record *record, size_t descriptor_size)
{
	struct verity_record header = *record;
	u32 crc;

	header.crc = 0;
	crc = crc32_le(~0, (const u8 *)&header, sizeof(header));
	return ~crc32_le(crc, (const u8 *)(record + 1), descriptor_size);
}

/**
 * verity_record_fill - make a record
 * @record: the record; behind it is the descriptor
 * @id: the inode that it belongs to
 * @tree_size: bytes of its tree
 * @descriptor_size: bytes of its descriptor
 *
 * Context: any.
 */
void verity_record_fill(struct verity_record *record, const struct verity_id *id,
			u64 tree_size, size_t descriptor_size)
{
	memset(record, 0, sizeof(*record));
	memcpy(record->magic, VERITY_MAGIC, sizeof(record->magic));
	record->format = cpu_to_le16(VERITY_FORMAT);
	record->header_size = cpu_to_le16(sizeof(*record));
	record->descriptor_size = cpu_to_le32(descriptor_size);
	record->ino = cpu_to_le64(id->ino);
	record->generation = cpu_to_le32(id->generation);
	record->tree_size = cpu_to_le64(tree_size);
	record->crc = cpu_to_le32(record_crc(record, descriptor_size));
}

/**
 * verity_record_check - is a record whole, and an inode's own?
 * @record: what was found in the attribute
 * @size: bytes of it
 * @id: the inode
 *
 * Context: any.
 * Return: 0; -ENODATA if it is of another inode, -EOPNOTSUPP if it is of a format
 * that is not known here, -EBADMSG if it is damaged.
 */
int verity_record_check(const struct verity_record *record, size_t size,
			const struct verity_id *id)
{
	u32 descriptor_size;

	if (size < sizeof(*record) || memcmp(record->magic, VERITY_MAGIC, sizeof(record->magic)))
		return -EBADMSG;
	if (le16_to_cpu(record->format) != VERITY_FORMAT)
		return -EOPNOTSUPP;
	descriptor_size = le32_to_cpu(record->descriptor_size);
	if (le16_to_cpu(record->header_size) != sizeof(*record) ||
	    descriptor_size != size - sizeof(*record) ||
	    descriptor_size < VERITY_DESCRIPTOR_MIN || descriptor_size > VERITY_DESCRIPTOR_MAX ||
	    le32_to_cpu(record->crc) != record_crc(record, descriptor_size))
		return -EBADMSG;
	if (le64_to_cpu(record->ino) != id->ino ||
	    le32_to_cpu(record->generation) != id->generation)
		return -ENODATA;
	return 0;
}

/**
 * verity_record_descriptor - the descriptor behind a record
 * @record: a record that verity_record_check() accepts
 * @size: set to the descriptor's size, bytes
 *
 * Context: any.
 * Return: the descriptor.
 */
const void *verity_record_descriptor(const struct verity_record *record, size_t *size)
{
	*size = le32_to_cpu(record->descriptor_size);
	return record + 1;
}

/* --- names --- */

/**
 * verity_name - the name of the file that has an inode's tree
 * @id: the inode
 * @name: set to the name
 *
 * Context: any.
 */
void verity_name(const struct verity_id *id, char name[VERITY_NAME_SIZE])
{
	snprintf(name, VERITY_NAME_SIZE, "%llu.%u", id->ino, id->generation);
}

/**
 * verity_name_parse - the inode that a tree is of
 * @name: a name, not terminated
 * @len: bytes of it
 * @id: set to the inode
 *
 * Context: any.
 * Return: true if it is a name that verity_name() gives.
 */
bool verity_name_parse(const char *name, size_t len, struct verity_id *id)
{
	char copy[VERITY_NAME_SIZE], again[VERITY_NAME_SIZE];
	char *dot;

	if (len >= sizeof(copy))
		return false;
	memcpy(copy, name, len);
	copy[len] = '\0';
	dot = strchr(copy, '.');
	if (!dot)
		return false;
	*dot = '\0';
	if (kstrtou64(copy, 10, &id->ino) || kstrtou32(dot + 1, 10, &id->generation))
		return false;
	*dot = '.';
	/* No sign, no leading zero: there is one name for an inode. */
	verity_name(id, again);
	return !strcmp(copy, again);
}

/* --- the superblock --- */

#define XFS_SB_MAGIC		0x58465342	/* "XFSB" */
#define XFS_SB_BLOCKSIZE	4
#define XFS_SB_VERSION		100
#define XFS_SB_RO_COMPAT	212
#define XFS_SB_INCOMPAT		216
#define XFS_SB_END		224

#define XFS_VERSION_MASK	0x0f
#define XFS_VERSION_5		5
/* The features that 6.12 and 6.18 know. Upstream's verity is a bit above these. */
#define XFS_RO_COMPAT_KNOWN	0x0f
#define XFS_INCOMPAT_ZONED	BIT(9)

/**
 * verity_superblock_refusal - why a filesystem cannot be given verity
 * @superblock: as it is on disk
 * @size: bytes of it
 * @page_size: of this kernel
 *
 * Context: any.
 * Return: the reason, a constant string; NULL if there is none.
 */
const char *verity_superblock_refusal(const void *superblock, size_t size,
				      unsigned int page_size)
{
	unsigned int version;

	if (size < XFS_SB_END || get_unaligned_be32(superblock) != XFS_SB_MAGIC)
		return "no superblock of XFS is on its device";
	version = get_unaligned_be16(superblock + XFS_SB_VERSION) & XFS_VERSION_MASK;
	if (version != XFS_VERSION_5)
		return "its format is older than version 5: mkfs.xfs -m crc=1";
	if (get_unaligned_be32(superblock + XFS_SB_RO_COMPAT) & ~XFS_RO_COMPAT_KNOWN)
		return "it has a feature of later kernels, which may be XFS's own verity";
	if (get_unaligned_be32(superblock + XFS_SB_INCOMPAT) & XFS_INCOMPAT_ZONED)
		return "it is zoned, where XFS needs the field that has a file's verity";
	if (get_unaligned_be32(superblock + XFS_SB_BLOCKSIZE) > page_size)
		return "its blocks are larger than a page";
	return NULL;
}

/* --- an inode on disk --- */

#define XFS_SB_AGBLOCKS		84
#define XFS_SB_AGCOUNT		88
#define XFS_SB_BLOCKLOG		120
#define XFS_SB_INODELOG		122
#define XFS_SB_INOPBLOG		123
#define XFS_SB_AGBLKLOG		124

#define XFS_INODE_MAGIC		0x494e	/* "IN" */
#define XFS_INODE_CRC		100
#define XFS_INODE_MIN		256
#define XFS_INODE_MAX		2048

/**
 * verity_inode_place - where an inode is on disk
 * @superblock: one that verity_superblock_refusal() accepts
 * @ino: the inode's number
 * @pos: set to where, bytes
 *
 * Context: any.
 * Return: bytes of the inode; 0 if there can be none of that number.
 */
u32 verity_inode_place(const void *superblock, u64 ino, u64 *pos)
{
	const u8 *sb = superblock;
	unsigned int block_log = sb[XFS_SB_BLOCKLOG], inode_log = sb[XFS_SB_INODELOG];
	unsigned int per_block_log = sb[XFS_SB_INOPBLOG], group_log = sb[XFS_SB_AGBLKLOG];
	u32 blocks = get_unaligned_be32(sb + XFS_SB_AGBLOCKS);
	u64 group, block;

	if (block_log > 16 || inode_log > 11 || inode_log < 8 || per_block_log > 8 ||
	    group_log > 31)
		return 0;
	group = ino >> (group_log + per_block_log);
	block = (ino >> per_block_log) & ((1ULL << group_log) - 1);
	if (group >= get_unaligned_be32(sb + XFS_SB_AGCOUNT) || block >= blocks)
		return 0;
	*pos = ((group * blocks + block) << block_log) +
	       ((ino & ((1ULL << per_block_log) - 1)) << inode_log);
	return 1U << inode_log;
}

/* Bit by bit: few are ever looked at, and kernels differ in where they have it. */
static u32 inode_crc(u32 crc, u8 byte)
{
	int bit;

	crc ^= byte;
	for (bit = 0; bit < 8; bit++)
		crc = (crc >> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
	return crc;
}

/**
 * verity_inode_damaged - is this an inode that was damaged?
 * @inode: what is on disk where it should be
 * @size: bytes of it
 *
 * Context: any.
 * Return: true if it is one and its checksum is wrong; false if it is whole, or none.
 */
bool verity_inode_damaged(const void *inode, u32 size)
{
	const u8 *bytes = inode;
	u32 crc = ~0, i;

	if (size < XFS_INODE_MIN || size > XFS_INODE_MAX ||
	    get_unaligned_be16(inode) != XFS_INODE_MAGIC)
		return false;
	for (i = 0; i < size; i++)
		crc = inode_crc(crc, i - XFS_INODE_CRC < sizeof(crc) ? 0 : bytes[i]);
	return get_unaligned_le32(inode + XFS_INODE_CRC) != ~crc;
}
