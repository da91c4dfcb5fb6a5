/* SPDX-License-Identifier: GPL-2.0 */
/* Watching the scheduler: run time, prediction, moves. */
#ifndef _UPLIFT_LLC_TRACK_H
#define _UPLIFT_LLC_TRACK_H

#include <linux/types.h>

#include "llc_predict.h"
#include "llc_show.h"

struct mm_struct;

extern struct llc_params llc_params;

void llc_track_init(void);
int llc_track_set(bool on);
void llc_track_exit(void);

bool llc_track_begin(void);
void llc_track_end(void);
unsigned int llc_track_find(const struct mm_struct *mm);
void llc_track_row(struct llc_row *row, unsigned int slot, const int *part_of);
void llc_track_opinion(struct llc_opinion *opinion, unsigned int slot, unsigned int threads,
		       unsigned int cpu, const int *part_of);
void llc_track_table(struct llc_table *table);
int llc_track_traffic(struct llc_traffic *traffic, const int *part_of);

#endif /* _UPLIFT_LLC_TRACK_H */
