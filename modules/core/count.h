/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _UPLIFT_COUNT_H
#define _UPLIFT_COUNT_H

#include "body.h"

u64 uplift_count_calls(const struct uplift_count __percpu *count, unsigned int arm);
u64 uplift_count_entered(const struct uplift_count __percpu *count, unsigned int arms);
u64 uplift_count_inside(const struct uplift_count __percpu *count, unsigned int arms);

#endif /* _UPLIFT_COUNT_H */
