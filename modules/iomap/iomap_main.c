// SPDX-License-Identifier: GPL-2.0
#include <linux/module.h>
#include <linux/percpu.h>
#include "gen/iomap_gen.h"
#include "redirect.h"
DEFINE_PER_CPU(struct uplift_count, uplift_iomap_count);
static int __init iomap_init(void)
{
	int err = 0;
#ifdef UPLIFT_IOMAP_NEW
	err = uplift_iomap_null_bind() ?: uplift_iomap_new_bind();
#endif
	return err;
}
static void __exit iomap_exit(void)
{
}
module_init(iomap_init);
module_exit(iomap_exit);
MODULE_DESCRIPTION("x");
MODULE_LICENSE("GPL");
