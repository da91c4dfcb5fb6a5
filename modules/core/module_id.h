/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _UPLIFT_MODULE_ID_H
#define _UPLIFT_MODULE_ID_H

#include "bind.h"

/**
 * struct uplift_module_id - a module of the kernel that bodies were made of
 * @name: its name
 * @build_id: its build id; another build has its code elsewhere
 */
struct uplift_module_id {
	const char *name;
	u8 build_id[UPLIFT_BUILD_ID_SIZE];
};

int uplift_module_check(const struct uplift_module_id *id);

#endif /* _UPLIFT_MODULE_ID_H */
