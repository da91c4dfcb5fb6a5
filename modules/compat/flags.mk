# SPDX-License-Identifier: GPL-2.0
# Included by the Kbuild file of every module directory: compiler flags that
# carry the answers of the header probes, see probe.sh. A changed answer
# changes the command line, so Kbuild compiles again.

uplift-modules := $(dir $(lastword $(MAKEFILE_LIST)))..
# What differs between architectures, and for the others what needs no difference.
uplift-includes := $(addprefix -I,$(wildcard $(addprefix $(uplift-modules)/compat/,$(SRCARCH) generic)))
asflags-y += $(uplift-includes)
ccflags-y += $(uplift-includes) -I$(uplift-modules)/compat -I$(uplift-modules)/core
uplift-have := $(shell sh $(uplift-modules)/compat/probe.sh $(srctree) $(SRCARCH))
ifneq ($(.SHELLSTATUS),0)
$(error modules/compat/probe.sh could not look at the kernel's headers)
endif
ccflags-y += $(uplift-have)

# What modinfo says: the version, and the commit where it is known.
uplift-version := $(or $(shell cat $(uplift-modules)/../VERSION 2>/dev/null),unknown)
uplift-commit := $(or $(UPLIFT_COMMIT),$(shell cut -c1-12 $(uplift-modules)/../commit 2>/dev/null))
uplift-version := $(uplift-version)$(if $(uplift-commit),-g$(uplift-commit))
