/* SPDX-License-Identifier: GPL-2.0 */
/* Cache-aware scheduling, where the kernel has it. */
#ifndef _UPLIFT_LLC_CAS_H
#define _UPLIFT_LLC_CAS_H

void llc_cas_init(void);
const char *llc_cas_state(void);

#endif /* _UPLIFT_LLC_CAS_H */
