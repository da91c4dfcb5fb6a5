/* SPDX-License-Identifier: GPL-2.0 */
/* What is known of processes and migrations at one moment. */
#ifndef _UPLIFT_LLC_LIST_H
#define _UPLIFT_LLC_LIST_H

#include "llc_core.h"
#include "llc_predict.h"

int llc_list_processes(struct llc_text *text, const struct llc_map *map,
		       const struct llc_spans *spans, bool tracking, bool json);
int llc_list_migrations(struct llc_text *text, const struct llc_map *map, bool tracking,
			bool json);

#endif /* _UPLIFT_LLC_LIST_H */
