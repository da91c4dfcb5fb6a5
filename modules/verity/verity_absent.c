// SPDX-License-Identifier: GPL-2.0
/*
 * uplift_verity.ko where it cannot work: it says why, and refuses.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>

#include "change.h"

static int verity_probe(struct uplift_change *change)
{
	change->verdict.kind = UPLIFT_UNSUPPORTED;
	change->verdict.why = VERITY_ABSENT;
	return 0;
}

static struct uplift_change verity_change = {
	.name	= "verity",
	.owner	= THIS_MODULE,
	.probe	= verity_probe,
};
module_uplift_change(verity_change);

MODULE_DESCRIPTION("uplift: fs-verity for a stock XFS (not for this kernel)");
MODULE_LICENSE("GPL");
