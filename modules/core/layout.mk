# SPDX-License-Identifier: GPL-2.0
# Included by a module's Kbuild file, behind obj-m, if its code uses layout.h:
# what is declared there is checked against the debugging data of the objects,
# so that nothing that the compiler cannot see is left, see docs/layout.md. A
# declaration that does not hold ends the build. It takes Python and pahole.

layout-dir := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))
layout-uplift := $(firstword $(wildcard $(layout-dir)/../../scripts/uplift) uplift)
layout-python := $(if $(findstring /,$(layout-uplift)),python3 -B)
layout-checked := $(patsubst %.o,%.layout,$(filter %.o,$(obj-m)))

ccflags-y += -I$(layout-dir) $(if $(CONFIG_DEBUG_INFO),,-g)
always-y += $(layout-checked)
targets += $(layout-checked)
clean-files += $(layout-checked)

quiet_cmd_layout = LAYOUT  $@
      cmd_layout = $(layout-python) $(layout-uplift) layout check --declared --quiet $<; touch $@

$(addprefix $(obj)/,$(layout-checked)): $(obj)/%.layout: $(obj)/%.o FORCE
	$(call if_changed,layout)
