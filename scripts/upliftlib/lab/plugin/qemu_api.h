/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The part of QEMU's plugin interface that the plugins here use, written from
 * QEMU's documentation (docs/devel/tcg-plugins), since distributions ship no
 * header. The interface is versioned: see qemu_plugin_version in the plugins.
 */
#ifndef _UPLIFT_QEMU_API_H
#define _UPLIFT_QEMU_API_H

#include <stdbool.h>
#include <stddef.h>

/* An id (qemu_plugin_id_t) is 64 bits, a meminfo (qemu_plugin_meminfo_t) 32. */
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_plugin_hwaddr;

/* The leading part of qemu_info_t, all that is looked at. */
struct qemu_info {
	const char *target_name;
	struct {
		int min;
		int cur;
	} version;
};

enum { CB_NO_REGS = 0 };	/* QEMU_PLUGIN_CB_NO_REGS */
enum { MEM_RW = 3 };		/* QEMU_PLUGIN_MEM_RW */

void qemu_plugin_register_vcpu_tb_trans_cb(unsigned long long id,
					   void (*cb)(unsigned long long id,
						      struct qemu_plugin_tb *tb));
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *insn, void *dest, size_t len);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
unsigned long long qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
					    void (*cb)(unsigned int vcpu, void *data),
					    int flags, void *data);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn,
				      void (*cb)(unsigned int vcpu, unsigned int info,
						 unsigned long long vaddr, void *data),
				      int flags, int rw, void *data);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb,
					  void (*cb)(unsigned int vcpu, void *data),
					  int flags, void *data);
bool qemu_plugin_mem_is_store(unsigned int info);
struct qemu_plugin_hwaddr *qemu_plugin_get_hwaddr(unsigned int info, unsigned long long vaddr);
bool qemu_plugin_hwaddr_is_io(const struct qemu_plugin_hwaddr *haddr);
unsigned long long qemu_plugin_hwaddr_phys_addr(const struct qemu_plugin_hwaddr *haddr);
void qemu_plugin_register_atexit_cb(unsigned long long id,
				    void (*cb)(unsigned long long id, void *data), void *data);
void qemu_plugin_outs(const char *text);

#endif /* _UPLIFT_QEMU_API_H */
