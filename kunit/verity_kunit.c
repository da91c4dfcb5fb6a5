// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of modules/verity/verity_core.c: records, names and superblocks that
 * are whole, and those that are not.
 */
#if !IS_ENABLED(CONFIG_KUNIT)
#error "this kernel has CONFIG_KUNIT off: the suite would load there and run nothing"
#endif

#include <kunit/test.h>
#include <linux/crc32c.h>
#include <linux/errno.h>
#include <linux/limits.h>
#include <linux/module.h>
#include <linux/prandom.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/unaligned.h>

#include "../modules/verity/verity_core.h"

#define DESCRIPTOR_SIZE	300

static const struct verity_id id = { .ino = 0x123456789aULL, .generation = 0xfedcba98 };

/* A record with a descriptor of random bytes behind it. */
static struct verity_record *make_record(struct kunit *test, size_t *size)
{
	struct verity_record *record;
	struct rnd_state random;

	*size = sizeof(*record) + DESCRIPTOR_SIZE;
	record = kunit_kzalloc(test, *size, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, record);
	prandom_seed_state(&random, 1);
	prandom_bytes_state(&random, record + 1, DESCRIPTOR_SIZE);
	verity_record_fill(record, &id, 8192, DESCRIPTOR_SIZE);
	return record;
}

static void record_whole(struct kunit *test)
{
	size_t size, descriptor_size;
	struct verity_record *record = make_record(test, &size);

	KUNIT_EXPECT_EQ(test, verity_record_check(record, size, &id), 0);
	KUNIT_EXPECT_PTR_EQ(test, verity_record_descriptor(record, &descriptor_size),
			    (const void *)(record + 1));
	KUNIT_EXPECT_EQ(test, descriptor_size, (size_t)DESCRIPTOR_SIZE);
	KUNIT_EXPECT_EQ(test, le64_to_cpu(record->tree_size), 8192ULL);
}

/* The format is what other machines read: bytes, whatever this one's order is. */
static void record_has_format_of_docs(struct kunit *test)
{
	size_t size;
	const u8 *bytes = (const u8 *)make_record(test, &size);

	KUNIT_EXPECT_MEMEQ(test, bytes, "uplverit\x01\x00\x28\x00", 12);
	KUNIT_EXPECT_EQ(test, get_unaligned_le32(bytes + 12), (u32)DESCRIPTOR_SIZE);
	KUNIT_EXPECT_EQ(test, get_unaligned_le64(bytes + 16), id.ino);
	KUNIT_EXPECT_EQ(test, get_unaligned_le32(bytes + 24), id.generation);
	KUNIT_EXPECT_EQ(test, get_unaligned_le64(bytes + 32), 8192ULL);
}

static void record_any_bit_flipped(struct kunit *test)
{
	size_t size, bit;
	u8 *bytes = (u8 *)make_record(test, &size);

	for (bit = 0; bit < size * 8; bit++) {
		int err;

		bytes[bit / 8] ^= 1 << (bit % 8);
		err = verity_record_check((struct verity_record *)bytes, size, &id);
		KUNIT_EXPECT_NE_MSG(test, err, 0, "bit %zu", bit);
		bytes[bit / 8] ^= 1 << (bit % 8);
	}
	KUNIT_EXPECT_EQ(test, verity_record_check((struct verity_record *)bytes, size, &id), 0);
}

static void record_cut_off(struct kunit *test)
{
	size_t size, cut;
	struct verity_record *record = make_record(test, &size);

	for (cut = 0; cut < size; cut++)
		KUNIT_EXPECT_EQ(test, verity_record_check(record, cut, &id), -EBADMSG);
}

static void record_of_another_inode(struct kunit *test)
{
	struct verity_id other = id;
	size_t size;
	struct verity_record *record = make_record(test, &size);

	other.generation++;
	KUNIT_EXPECT_EQ(test, verity_record_check(record, size, &other), -ENODATA);
	other = id;
	other.ino++;
	KUNIT_EXPECT_EQ(test, verity_record_check(record, size, &other), -ENODATA);
}

static void record_of_later_format(struct kunit *test)
{
	size_t size;
	struct verity_record *record = make_record(test, &size);

	record->format = cpu_to_le16(VERITY_FORMAT + 1);
	KUNIT_EXPECT_EQ(test, verity_record_check(record, size, &id), -EOPNOTSUPP);
}

static void record_descriptor_too_small(struct kunit *test)
{
	size_t size;
	struct verity_record *record = make_record(test, &size);

	verity_record_fill(record, &id, 8192, VERITY_DESCRIPTOR_MIN - 1);
	KUNIT_EXPECT_EQ(test, verity_record_check(record, sizeof(*record) +
						  VERITY_DESCRIPTOR_MIN - 1, &id), -EBADMSG);
}

static void name_of_limits(struct kunit *test)
{
	struct verity_id largest = { .ino = U64_MAX, .generation = U32_MAX }, found;
	char name[VERITY_NAME_SIZE];

	verity_name(&largest, name);
	KUNIT_EXPECT_STREQ(test, name, "18446744073709551615.4294967295");
	KUNIT_ASSERT_TRUE(test, verity_name_parse(name, strlen(name), &found));
	KUNIT_EXPECT_EQ(test, found.ino, U64_MAX);
	KUNIT_EXPECT_EQ(test, found.generation, U32_MAX);
}

static void name_parsed_without_end(struct kunit *test)
{
	struct verity_id found;

	KUNIT_ASSERT_TRUE(test, verity_name_parse("131.7999", 5, &found));
	KUNIT_EXPECT_EQ(test, found.ino, 131ULL);
	KUNIT_EXPECT_EQ(test, found.generation, 7U);
}

static void name_refused(struct kunit *test)
{
	static const char * const names[] = {
		"", ".", "..", "1", "1.", ".1", "1.2.3", "01.2", "1.02", "+1.2", "-1.2", "1.-2",
		"1. 2", "1.2\n", "0x1.2", "1.4294967296", "18446744073709551616.1", "notes",
		"1.2.new", "000000000000000000000000000000001.2",
	};
	struct verity_id found;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		KUNIT_EXPECT_FALSE_MSG(test, verity_name_parse(names[i], strlen(names[i]), &found),
				       "%s", names[i]);
}

/* As mkfs.xfs makes it: blocks of 4k, version 5, finobt, rmapbt, reflink. */
static u8 *make_superblock(struct kunit *test)
{
	u8 *superblock = kunit_kzalloc(test, 512, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, superblock);
	memcpy(superblock, "XFSB", 4);
	put_unaligned_be32(4096, superblock + 4);
	put_unaligned_be16(0xb4a5, superblock + 100);
	put_unaligned_be32(0xf, superblock + 212);
	put_unaligned_be32(0xeb, superblock + 216);
	return superblock;
}

static void superblock_taken(struct kunit *test)
{
	KUNIT_EXPECT_NULL(test, verity_superblock_refusal(make_superblock(test), 512, 4096));
}

static void expect_refusal(struct kunit *test, const u8 *superblock, size_t size, const char *word)
{
	const char *refusal = verity_superblock_refusal(superblock, size, 4096);

	KUNIT_ASSERT_NOT_NULL_MSG(test, refusal, "%s", word);
	KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(refusal, word), "%s: %s", word, refusal);
}

static void superblock_refused(struct kunit *test)
{
	u8 *superblock = make_superblock(test);

	expect_refusal(test, superblock, 200, "no superblock");
	superblock[3]++;
	expect_refusal(test, superblock, 512, "no superblock");
	superblock = make_superblock(test);
	put_unaligned_be16(0xb4a4, superblock + 100);
	expect_refusal(test, superblock, 512, "version 5");
	superblock = make_superblock(test);
	put_unaligned_be32(0x1f, superblock + 212);
	expect_refusal(test, superblock, 512, "own verity");
	superblock = make_superblock(test);
	put_unaligned_be32(0x2eb, superblock + 216);
	expect_refusal(test, superblock, 512, "zoned");
	superblock = make_superblock(test);
	put_unaligned_be32(16384, superblock + 4);
	expect_refusal(test, superblock, 512, "larger than a page");
}

/* As mkfs.xfs makes it of 300 MiB: 4 groups of 19200 blocks, 8 inodes in a block. */
static u8 *make_groups(struct kunit *test)
{
	u8 *superblock = make_superblock(test);

	put_unaligned_be32(19200, superblock + 84);
	put_unaligned_be32(4, superblock + 88);
	superblock[120] = 12;
	superblock[122] = 9;
	superblock[123] = 3;
	superblock[124] = 15;
	return superblock;
}

static void inode_has_place(struct kunit *test)
{
	const u8 *superblock = make_groups(test);
	u64 pos;

	/* The root's: the 16th block of the first group. */
	KUNIT_EXPECT_EQ(test, verity_inode_place(superblock, 128, &pos), 512U);
	KUNIT_EXPECT_EQ(test, pos, 16ULL * 4096);
	KUNIT_EXPECT_EQ(test, verity_inode_place(superblock, 131, &pos), 512U);
	KUNIT_EXPECT_EQ(test, pos, 16ULL * 4096 + 3 * 512);
	/* Of another group. */
	KUNIT_EXPECT_EQ(test, verity_inode_place(superblock, (2ULL << 18) + 135, &pos), 512U);
	KUNIT_EXPECT_EQ(test, pos, (2 * 19200ULL + 16) * 4096 + 7 * 512);
}

static void inode_has_no_place(struct kunit *test)
{
	u8 *superblock = make_groups(test);
	u64 pos;

	KUNIT_EXPECT_EQ(test, verity_inode_place(superblock, 4ULL << 18, &pos), 0U);
	KUNIT_EXPECT_EQ(test, verity_inode_place(superblock, 19200 * 8, &pos), 0U);
	KUNIT_EXPECT_EQ(test, verity_inode_place(superblock, U64_MAX, &pos), 0U);
	superblock[124] = 200;
	KUNIT_EXPECT_EQ(test, verity_inode_place(superblock, 128, &pos), 0U);
}

/* The kernel's own CRC-32C tells what is right. */
static void inode_damaged_at_each_bit(struct kunit *test)
{
	u8 *inode = kunit_kzalloc(test, 512, GFP_KERNEL);
	struct rnd_state random;
	int bit;

	KUNIT_ASSERT_NOT_NULL(test, inode);
	KUNIT_EXPECT_FALSE(test, verity_inode_damaged(inode, 512));
	prandom_seed_state(&random, 2);
	prandom_bytes_state(&random, inode, 512);
	memcpy(inode, "IN", 2);
	put_unaligned_le32(0, inode + 100);
	put_unaligned_le32(~crc32c(~0, inode, 512), inode + 100);
	KUNIT_EXPECT_FALSE(test, verity_inode_damaged(inode, 512));
	for (bit = 16; bit < 512 * 8; bit++) {
		inode[bit / 8] ^= 1 << bit % 8;
		KUNIT_EXPECT_TRUE_MSG(test, verity_inode_damaged(inode, 512), "bit %d", bit);
		inode[bit / 8] ^= 1 << bit % 8;
	}
	/* Not an inode: what was one may be data by now. */
	inode[0] = 0;
	KUNIT_EXPECT_FALSE(test, verity_inode_damaged(inode, 512));
}

static struct kunit_case verity_cases[] = {
	KUNIT_CASE(record_whole),
	KUNIT_CASE(record_has_format_of_docs),
	KUNIT_CASE(record_any_bit_flipped),
	KUNIT_CASE(record_cut_off),
	KUNIT_CASE(record_of_another_inode),
	KUNIT_CASE(record_of_later_format),
	KUNIT_CASE(record_descriptor_too_small),
	KUNIT_CASE(name_of_limits),
	KUNIT_CASE(name_parsed_without_end),
	KUNIT_CASE(name_refused),
	KUNIT_CASE(superblock_taken),
	KUNIT_CASE(superblock_refused),
	KUNIT_CASE(inode_has_place),
	KUNIT_CASE(inode_has_no_place),
	KUNIT_CASE(inode_damaged_at_each_bit),
	{}
};

static struct kunit_suite verity_suite = {
	.name = "uplift_verity",
	.test_cases = verity_cases,
};

kunit_test_suite(verity_suite);

MODULE_DESCRIPTION("KUnit tests of what uplift_verity keeps on disk");
MODULE_LICENSE("GPL");
