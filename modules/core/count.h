/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _UPLIFT_COUNT_H
#define _UPLIFT_COUNT_H

#include "body.h"

u64 uplift_count_calls(const struct uplift_count __percpu *count, enum uplift_arm_id arm);
u64 uplift_count_entered(const struct uplift_count __percpu *count);
u64 uplift_count_inside(const struct uplift_count __percpu *count);

#endif /* _UPLIFT_COUNT_H */
