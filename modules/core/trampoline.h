/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The way from a function's ftrace site to a body, where the site calls.
 *
 * UPLIFT_TRAMPOLINE(name, body) defines and declares name(), which goes on in
 * body() instead of returning: with registers and stack as the function's caller
 * left them, and with a return for the site's call, so that return prediction
 * stays right. compat/<architecture>/arch_trampoline.h has it.
 */
#ifndef _UPLIFT_TRAMPOLINE_H
#define _UPLIFT_TRAMPOLINE_H

#include "arch_trampoline.h"

#endif /* _UPLIFT_TRAMPOLINE_H */
