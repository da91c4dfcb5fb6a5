/* SPDX-License-Identifier: GPL-2.0 */
/* What the running kernel knows of every CPU. */
#ifndef _UPLIFT_LLC_FACTS_H
#define _UPLIFT_LLC_FACTS_H

#include "llc_core.h"

void llc_facts_init(void);
bool llc_facts_sched(void);
bool llc_facts_numa(void);
int llc_facts_take(struct llc_facts *facts);
void llc_facts_release(struct llc_facts *facts);

#endif /* _UPLIFT_LLC_FACTS_H */
