/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _UPLIFT_BYPASS_H
#define _UPLIFT_BYPASS_H

#include <linux/types.h>

struct seq_file;
struct uplift_redirect;

int uplift_bypass_init(void);
void uplift_bypass_exit(void);
void uplift_bypass_add(struct uplift_redirect *redirect);
void uplift_bypass_remove(struct uplift_redirect *redirect);
bool uplift_bypass_patched(const struct uplift_redirect *redirect, unsigned int arm,
			   char *name, size_t size);
void uplift_bypass_show(struct seq_file *m, const struct uplift_redirect *redirect,
			unsigned int arm);

#endif /* _UPLIFT_BYPASS_H */
