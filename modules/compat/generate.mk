# SPDX-License-Identifier: GPL-2.0
# How scripts/generate-bodies is called, but for the change and where it writes:
# it compiles the target's own source (KSRC) with the headers at hand.

uplift-kdir := $(abspath $(objtree))
uplift-make := -C $(abspath $(srctree)) $(if $(filter-out $(uplift-kdir),$(abspath $(srctree))),O=$(uplift-kdir)) \
	CC="$(CC)" $(if $(LLVM),LLVM=$(LLVM))
uplift-generate-bodies := python3 $(uplift-modules)/../scripts/generate-bodies \
	--ksrc $(KSRC) --kdir $(uplift-kdir) --make '$(uplift-make)' --btf '$(BTF)'
asflags-y += -I$(uplift-modules)/core
