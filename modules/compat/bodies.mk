# SPDX-License-Identifier: GPL-2.0
# Included by the Kbuild file of a change whose bodies are generated from the
# target's own source (KSRC), see scripts/generate-bodies: sets uplift-bodies to their
# objects. Says itself what does not fit.

include $(uplift-modules)/compat/generate.mk
uplift-change := $(notdir $(patsubst %/,%,$(src)))
uplift-bodies := $(shell $(uplift-generate-bodies) \
	--change $(uplift-modules)/$(uplift-change) --out $(uplift-modules)/$(uplift-change)/gen)
ifneq ($(.SHELLSTATUS),0)
$(error no bodies for the change $(uplift-change))
endif
uplift-bodies := $(addprefix gen/,$(uplift-bodies))
ccflags-y += -I$(uplift-modules)/$(uplift-change) -I$(uplift-modules)/$(uplift-change)/gen
