// SPDX-License-Identifier: GPL-2.0
/*
 * uplift_iomap.ko: iomap_iter() does not clear what nobody reads again.
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

#include <linux/init.h>
#include <linux/iomap.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/static_call.h>
#include <linux/string.h>

#include "gen/iomap_gen.h"
#include "iomap.h"
#include "iomap_arms.h"
#include "iomap_core.h"
#include "redirect.h"
#include "uplift.h"

static char *method = "ftrace-direct";
module_param(method, charp, 0444);
MODULE_PARM_DESC(method, "ftrace-direct (default) or livepatch, which needs uplift_livepatch.ko");

static unsigned int scripts = 10000;
module_param(scripts, uint, 0444);
MODULE_PARM_DESC(scripts, "random scripts to compare the bodies with before loading (default: 10000)");

static ulong seed = 1;
module_param(seed, ulong, 0444);
MODULE_PARM_DESC(seed, "of the first random script (default: 1)");

DEFINE_PER_CPU(struct uplift_count, uplift_iomap_count);

static struct uplift_change iomap_change = { .name = "iomap" };
static struct uplift_redirect iomap_redirect = {
	.owner		= THIS_MODULE,
	.function	= UPLIFT_IOMAP_FUNCTION,
	.count		= &uplift_iomap_count,
};

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
static int __init iomap_probe(struct uplift_verdict *verdict)
{
	enum iomap_form form;
	unsigned long addr;
	int err;

	err = uplift_bind("iomap", UPLIFT_IOMAP_FUNCTION, &addr);
	if (err)
		return err;
	static_call_update(iomap_kernel_iter, (iomap_iter_fn *)addr);

	form = iomap_form_of(iomap_kernel);
	uplift_verdict_add(verdict, "function", UPLIFT_IOMAP_FUNCTION);
	switch (form) {
	case IOMAP_FORM_CLEARS:
		verdict->kind = UPLIFT_APPLICABLE;
		uplift_verdict_add(verdict, "finished", "both mappings are cleared");
		return 0;
	case IOMAP_FORM_LEAVES:
		verdict->kind = COMPAT_IOMAP_ITER_STATUS ? UPLIFT_NATIVE : UPLIFT_UNAFFECTED;
		break;
	case IOMAP_FORM_UNKNOWN:
		verdict->kind = UPLIFT_UNSUPPORTED;
		break;
	}
	pr_err("%s: %s\n", uplift_verdict_name(verdict->kind),
	       form == IOMAP_FORM_UNKNOWN ? "iomap_iter() does not iterate over stub operations" :
	       COMPAT_IOMAP_ITER_STATUS ?
	       "this kernel leaves the mapping of a finished iterator alone" :
	       "this kernel's iterators never had the fault");
	return uplift_verdict_errno(verdict->kind);
}

/* Is a body the same as another where it has to be? */
static int __init iomap_check(const char *one_name, iomap_iter_fn *one, const char *other_name,
			      iomap_iter_fn *other, unsigned int leniency)
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
	uplift_verdict_add(&iomap_change.verdict, "equal",
			   "%s and %s%s: %u scripts, %lu calls, %lu begins, %lu ends, %lu iterators used again",
			   one_name, other_name,
			   leniency ? " (but for what a finished iterator has left)" : "",
			   compared.scripts, compared.calls, compared.begins, compared.ends,
			   compared.reuses);
	return 0;
}

static int __init iomap_check_bodies(const struct iomap_arms *arms)
{
	/* Nobody uses a finished iterator again where the source has nobody who does. */
	unsigned int leniency = IOMAP_FINISHED | (iomap_arms_reuse() ? 0 : IOMAP_REUSE);
	int err;

	if (!scripts) {
		pr_err("scripts=0: bodies that nobody has compared are not used\n");
		return -EINVAL;
	}
	err = iomap_check("kernel", iomap_kernel, "null", arms->null, 0);
	if (err)
		return err;
	return iomap_check("null", arms->null, "new", arms->new, leniency);
}

static int __init iomap_method(const struct iomap_arms *arms)
{
	if (!strcmp(method, "livepatch")) {
		iomap_redirect.livepatch = arms->livepatch;
		return 0;
	}
	if (!strcmp(method, "ftrace-direct"))
		return 0;
	pr_err("method=%s: neither ftrace-direct nor livepatch\n", method);
	return -EINVAL;
}

static int __init iomap_init(void)
{
	const struct iomap_arms *arms = iomap_arms();
	int err;

	err = uplift_btf_check("iomap", UPLIFT_IOMAP_BTF_SIZE, UPLIFT_IOMAP_BTF_CRC);
	if (err)
		return err;
	err = iomap_method(arms);
	if (err)
		return err;
	err = iomap_probe(&iomap_change.verdict);
	if (err)
		return err;
	err = iomap_arms_bind(iomap_redirect.bodies);
	if (err)
		return err;
	err = iomap_check_bodies(arms);
	if (err)
		return err;
	err = uplift_redirect_init(&iomap_redirect);
	if (err)
		return err;

	if (iomap_arms_reuse())
		uplift_verdict_add(&iomap_change.verdict, "reuse",
				   "%s() goes on with a finished iterator: new clears it for IOMAP_ZERO",
				   iomap_arms_reuse());
	uplift_change_add(&iomap_change);
	uplift_redirect_show(&iomap_redirect, iomap_change.dir);
	pr_info("%s: %s() can be redirected\n", uplift_verdict_name(iomap_change.verdict.kind),
		UPLIFT_IOMAP_FUNCTION);
	return 0;
}

static void __exit iomap_exit(void)
{
	uplift_change_remove(&iomap_change);
	uplift_redirect_exit(&iomap_redirect);
}

module_init(iomap_init);
module_exit(iomap_exit);

MODULE_DESCRIPTION("uplift: iomap_iter() without clearing what nobody reads, as in Linux 7.2");
MODULE_LICENSE("GPL");
