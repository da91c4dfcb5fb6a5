// SPDX-License-Identifier: GPL-2.0
/*
 * uplift_iomap.ko: iomap_iter() does not clear what is never read again.
 *
 * Upstream: Linux 7.2. Since 6.15 the mappings of an iterator were cleared
 * before it was looked whether there is more to do; up to then, and again
 * since 7.2, only if there is.
 *
 * Before anything is redirected the module leads the kernel's function and both
 * bodies through random scripts, see iomap_core.c, and refuses to load if they
 * differ where they must not.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/iomap.h>
#include <linux/module.h>
#include <linux/static_call.h>

#include "change.h"
#include "gen/iomap_gen.h"
#include "iomap.h"
#include "iomap_arms.h"
#include "iomap_core.h"

static char *method = "ftrace-direct";
module_param(method, charp, 0444);
MODULE_PARM_DESC(method, "ftrace-direct (default) or livepatch, which needs uplift_livepatch.ko");

static unsigned int scripts = 10000;
module_param(scripts, uint, 0444);
MODULE_PARM_DESC(scripts, "random scripts to compare the bodies with before loading (default: 10000)");

static ulong seed = 1;
module_param(seed, ulong, 0444);
MODULE_PARM_DESC(seed, "of the first random script (default: 1)");

static int iomap_iter_unknown(struct iomap_iter *iter, const struct iomap_ops *ops)
{
	return -EIO;
}

/* Direct, as the kernel's function may have lost its landing pad. */
DEFINE_STATIC_CALL(iomap_kernel_iter, iomap_iter_unknown);

static int iomap_kernel(struct iomap_iter *iter, const struct iomap_ops *ops)
{
	return static_call(iomap_kernel_iter)(iter, ops);
}

/* What has the running kernel's function left behind? */
static int iomap_probe(struct uplift_change *change)
{
	struct uplift_verdict *verdict = &change->verdict;
	unsigned long addr;
	int err;

	err = uplift_bind(change->name, UPLIFT_IOMAP_FUNCTION, &addr);
	if (err)
		return err;
	static_call_update(iomap_kernel_iter, (iomap_iter_fn *)addr);

	switch (iomap_form_of(iomap_kernel)) {
	case IOMAP_FORM_CLEARS:
		verdict->kind = UPLIFT_APPLICABLE;
		uplift_verdict_add(verdict, "finished", "both mappings are cleared");
		break;
	case IOMAP_FORM_LEAVES:
		verdict->kind = COMPAT_IOMAP_ITER_STATUS ? UPLIFT_NATIVE : UPLIFT_UNAFFECTED;
		verdict->why = COMPAT_IOMAP_ITER_STATUS ?
			       "this kernel leaves the mapping of a finished iterator alone" :
			       "this kernel's iterators never had the fault";
		break;
	case IOMAP_FORM_UNKNOWN:
		verdict->kind = UPLIFT_UNSUPPORTED;
		verdict->why = "iomap_iter() does not iterate over stub operations";
		break;
	}
	return 0;
}

/* Is a body the same as another where it has to be? */
static int iomap_equal(struct uplift_verdict *verdict, const char *one_name, iomap_iter_fn *one,
		       const char *other_name, iomap_iter_fn *other, unsigned int leniency)
{
	struct iomap_compared compared;
	int err;

	err = iomap_compare(one, other, leniency, seed, scripts, &compared);
	if (err == -EILSEQ) {
		pr_err("unsupported: bodies \"%s\" and \"%s\" differ with seed=%llu: %s\n",
		       one_name, other_name, compared.seed, compared.what);
		return -ENOEXEC;
	}
	if (err) {
		pr_err("comparing bodies \"%s\" and \"%s\" was not finished (%pe)\n",
		       one_name, other_name, ERR_PTR(err));
		return err;
	}
	uplift_verdict_add(verdict, "equal",
			   "%s and %s%s: %u scripts, %lu calls, %lu begins, %lu ends, %lu iterators used again",
			   one_name, other_name,
			   leniency ? " (except for what a finished iterator has left)" : "",
			   compared.scripts, compared.calls, compared.begins, compared.ends,
			   compared.reuses);
	return 0;
}

static int iomap_check(struct uplift_change *change)
{
	iomap_iter_fn *null = iomap_arms_body(UPLIFT_ARM_NULL);
	iomap_iter_fn *new = iomap_arms_body(UPLIFT_ARM_NEW);
	const char *reuse = iomap_arms_reuse();
	int err;

	if (!scripts) {
		pr_err("scripts=0: bodies that were not compared are not used\n");
		return -EINVAL;
	}
	iomap_arms_bind();
	err = iomap_equal(&change->verdict, "kernel", iomap_kernel, "null", null, 0);
	if (err)
		return err;
	/* What becomes of a reused one may differ where no function of the source reuses one. */
	err = iomap_equal(&change->verdict, "null", null, "new", new,
			  IOMAP_FINISHED | (reuse ? 0 : IOMAP_REUSE));
	if (err)
		return err;
	if (reuse)
		uplift_verdict_add(&change->verdict, "reuse",
				   "%s() uses a finished iterator again: new clears it for IOMAP_ZERO",
				   reuse);
	return 0;
}

static struct uplift_change iomap_change = {
	.name		= "iomap",
	.owner		= THIS_MODULE,
	.btf_size	= UPLIFT_IOMAP_BTF_SIZE,
	.btf_crc	= UPLIFT_IOMAP_BTF_CRC,
	.identical	= UPLIFT_IOMAP_IDENTICAL,
	.unusable	= UPLIFT_IOMAP_UNUSABLE,
	.method		= &method,
	.redirect	= &iomap_redirect,
	.probe		= iomap_probe,
	.check		= iomap_check,
};
module_uplift_change(iomap_change);

MODULE_DESCRIPTION("uplift: iomap_iter() without clearing what is never read, as in Linux 7.2");
MODULE_LICENSE("GPL");
