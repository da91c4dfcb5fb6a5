/* SPDX-License-Identifier: GPL-2.0 */
/* Domains as prediction and counting need them: pure logic. */
#ifndef _UPLIFT_LLC_SPANS_H
#define _UPLIFT_LLC_SPANS_H

#include "llc_core.h"
#include "llc_predict.h"

struct llc_spans *llc_spans_make(const struct llc_facts *facts, const struct llc_map *map);
bool llc_spans_same(const struct llc_spans *one, const struct llc_spans *other);
void llc_spans_carry(struct llc_spans *to, const struct llc_spans *from);
void llc_spans_free(struct llc_spans *spans);

#endif /* _UPLIFT_LLC_SPANS_H */
