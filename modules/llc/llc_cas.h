/* SPDX-License-Identifier: GPL-2.0 */
/* Cache-aware scheduling, where the kernel has it. */
#ifndef _UPLIFT_LLC_CAS_H
#define _UPLIFT_LLC_CAS_H

#include <linux/types.h>

#include "llc_core.h"
#include "llc_predict.h"
#include "llc_show.h"

struct task_struct;

void llc_cas_init(void);
bool llc_cas_built_in(void);
const char *llc_cas_state(void);
void llc_cas_params(struct llc_params *params);
bool llc_cas_opinion(struct llc_opinion *opinion, struct task_struct *p, unsigned int threads,
		     const struct llc_spans *spans);
void llc_cas_text(struct llc_text *text, const struct llc_map *map,
		  const struct llc_spans *spans);

#endif /* _UPLIFT_LLC_CAS_H */
