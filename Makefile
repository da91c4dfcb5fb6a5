# SPDX-License-Identifier: GPL-2.0-only
#
# `make help` says what there is. `modules` needs make and a compiler only; the
# rest is done by scripts/, which make a build root of their own below build/.

ifneq ($(KERNELRELEASE),)
# Called by the kernel's build system, which prefers a Kbuild file: this is for
# those that do not have that preference.
include $(src)/Kbuild
else

TARGET ?=
TARGETS ?= $(TARGET)
KDIR ?=
KSRC ?=
BTF ?=
KERNEL ?=
MODULES ?=
ARCH ?= um
V ?=
W ?=
COVERAGE ?=
SINCE ?=

# The user's words for the scripts, not for a sub-make.
unexport ARCH BTF KDIR KSRC TARGET TARGETS KERNEL MODULES V W COVERAGE SINCE
MAKEOVERRIDES :=

UPLIFT := scripts/uplift
# As the scripts have it.
BUILD := $(or $(UPLIFT_BUILD),build)
MADE := modules guest kunit report selftests cachelines live bench sched prediction documented signed spatch.log interrupted layout try find \
	package/src package/modules package/log
GOT := apt cache root targets src kselftest package debug minimal
SETUP := scripts/setup
RUNNING := /lib/modules/$(shell uname -r)/build
HEADERS := $(or $(KDIR),$(RUNNING))
# What modinfo says of uplift.ko beside the version; a tarball has none.
COMMIT = $(shell git -c safe.directory=$(CURDIR) -C $(CURDIR) rev-parse --short=12 HEAD 2>/dev/null)
# scripts/targets.toml says which there are; only help needs them here, and only sed is sure to be there.
KNOWN = $(shell sed -n 's/^\[target\."\([^"]*\)"\]$$/\1/p' scripts/targets.toml)
DEFAULT = $(shell sed -n 's/^run = \["\([^"]*\)".*/\1/p' scripts/targets.toml)
# A target for another architecture has it in its name: TARGET=6.18 ARCH=arm64 is 6.18-arm64.
OTHER := $(if $(filter arm64,$(ARCH)),-arm64)
ONE_TARGET = $(if $(OTHER),$(addsuffix $(OTHER),$(or $(TARGET),$(if $(KERNEL),,$(DEFAULT)))),$(TARGET))
ALL_TARGETS = $(if $(OTHER),$(addsuffix $(OTHER),$(or $(TARGETS),$(KNOWN))),$(TARGETS))
OWN := $(if $(KERNEL),--kernel $(KERNEL)) $(if $(MODULES),--modules $(MODULES)) \
	$(if $(KDIR),--kdir $(KDIR)) $(if $(KSRC),--ksrc $(KSRC))

.DEFAULT_GOAL := help
.PHONY: help run matrix test quick torture modules modules-all modules_install install uninstall sign package kunit selftests \
	check unit setup clean distclean

help:
	@echo 'uplift: try recent upstream fast-path changes on the stock kernel you already ship'
	@echo
	@echo 'Evaluate (as root; a fresh Debian 12 or 13 with make and this tree is enough):'
	@echo '  make run                 the whole evaluation of one stock kernel in a guest'
	@echo '                           TARGET=6.12 another than the default, $(DEFAULT)'
	@echo '                           TARGET=7.0.13 or 6.12.118-cloud: any that Debian has'
	@echo '                           ARCH=arm64 the same kernel for that architecture, on this machine'
	@echo '                           KERNEL=bzImage MODULES=DIR KDIR=DIR [KSRC=DIR] your own'
	@echo '  make matrix              all targets, one table; resumes after an interruption; TARGETS="6.12 6.18"'
	@echo
	@echo 'Build:'
	@echo '  make modules             the modules that headers are enough for, for the running kernel'
	@echo '                           KDIR=DIR another kernel: its headers or build directory'
	@echo '                           KSRC=DIR its source tree: those with generated bodies as well'
	@echo '                           BTF=FILE its vmlinux or BTF, if neither in KDIR nor running'
	@echo '                           V=1 show the commands; W=1 more warnings'
	@echo '  make modules-all         for every target, in the build root; TARGET=6.12 for one'
	@echo
	@echo 'Install (as root):'
	@echo '  make install             the command, its manual, DKMS sources; DESTDIR=, prefix=/usr/local'
	@echo '  make modules_install     install what make modules built, without DKMS'
	@echo '  make sign                sign what make modules built; KEY=FILE CERT=FILE, or NEW=1'
	@echo '  make uninstall           leave nothing of all that behind'
	@echo '  make package             Debian packages; built, installed and removed in a root of their own'
	@echo
	@echo 'Test (as root):'
	@echo '  make test                all down to selftests, for all targets; what CI runs'
	@echo '  make quick               what a change of yours could have broken, in a few minutes; SINCE=COMMIT'
	@echo '  make check               static checks: checkpatch, sparse, shellcheck, W=1 ...'
	@echo '  make unit                unit tests of the scripts; needs neither root nor network'
	@echo '  make kunit               KUnit suites; ARCH=um (default), x86_64 or arm64; TARGET= or KSRC='
	@echo '                           COVERAGE=1 how many lines and branches they come to'
	@echo '  make selftests           kselftests on stock kernels in guests; TARGET= for one'
	@echo
	@echo '  make torture             for hours: kernels with checkers, every allocation failing, everything at once'
	@echo
	@echo '  make clean               remove what was built; downloads and the build root stay'
	@echo '  make distclean           remove all of build/'
	@echo
	@echo 'Targets: $(KNOWN).  More: $(UPLIFT) lab --help'

setup:
	@$(SETUP)

# TARGETS is for what takes several: without this, run would take the default.
ONE = @test -z '$(filter-out $(TARGET),$(TARGETS))' || { \
	echo 'make $@ takes one kernel: make $@ TARGET=$(firstword $(TARGETS))' >&2; exit 2; }

run:
	$(ONE)
	@$(SETUP)
	@$(UPLIFT) lab evaluate $(ONE_TARGET) $(OWN)

matrix: setup
	@$(UPLIFT) lab matrix $(or $(ALL_TARGETS),$(ONE_TARGET))

modules:
	@test -e "$(HEADERS)/Makefile" || { \
		echo "make modules: no kernel headers in $(HEADERS):" >&2; \
		echo "  apt-get install linux-headers-$$(uname -r), or make modules KDIR=DIR, or make modules-all" >&2; \
		exit 2; }
	@case '$(CURDIR)' in *[!A-Za-z0-9_./+,@-]*) \
		echo "make modules: the path '$(CURDIR)' has a blank, or what else make cannot take: move the tree" >&2; \
		exit 2;; esac
	@scripts/kdir "$(HEADERS)" >/dev/null
	@test ! -f "$(KSRC)" || { \
		echo 'make modules: KSRC=$(KSRC) is a file, and no directory: unpack it first (tar -xf $(KSRC))' >&2; \
		exit 2; }
	@test -z "$(KSRC)" || { \
		test -e "$(KSRC)/Makefile" || { echo "make modules: KSRC=$(KSRC) is no kernel source tree" >&2; exit 2; }; \
		python3 -c 'import tomllib' 2>/dev/null || { \
			echo 'make modules: KSRC needs Python 3.11 or newer: apt-get install python3; or go without KSRC' >&2; \
			exit 2; }; \
		command -v spatch >/dev/null || { \
			echo 'make modules: KSRC needs spatch: apt-get install coccinelle; or go without KSRC' >&2; \
			exit 2; }; }
	$(MAKE) $(shell scripts/kdir "$(HEADERS)" 2>/dev/null) M=$(CURDIR) $(if $(W),W=$(W)) $(if $(KSRC),KSRC=$(abspath $(KSRC))) \
		$(if $(BTF),BTF=$(abspath $(BTF))) $(if $(V),V=$(V)) $(if $(COMMIT),UPLIFT_COMMIT=$(COMMIT)) modules

# Recipes have the environment and nothing of make's own variables: see unexport.
INSTALL := $(foreach name,DESTDIR prefix sbindir libdir mandir docdir completionsdir sysconfdir srcdir,$(if \
	$($(name)),$(name)='$(subst ','\'',$($(name)))')) scripts/install

install:
	@$(INSTALL) install

modules_install:
	@$(INSTALL) modules

uninstall:
	@$(INSTALL) uninstall

sign:
	@scripts/sign $(if $(KEY),--key '$(KEY)') $(if $(CERT),--cert '$(CERT)') $(if $(KDIR),--kdir '$(KDIR)') \
		$(if $(NEW),--new)

package: setup
	@$(UPLIFT) lab package $(TARGETS)

modules-all: setup
	@$(UPLIFT) lab build $(ALL_TARGETS) $(if $(V),--verbose)

kunit:
	$(ONE)
	@$(SETUP)
	@scripts/kunit.py --arch $(ARCH) $(if $(COVERAGE),--coverage) $(if $(TARGET),--target $(TARGET)) $(if $(KSRC),--ksrc $(KSRC))

selftests: setup
	@$(UPLIFT) lab selftests $(ALL_TARGETS)

check: setup
	@scripts/check

unit:
	@command -v python3 >/dev/null || { echo 'make unit: no python3 here: apt-get install python3' >&2; exit 2; }
	@scripts/unit

test: setup
	@TARGETS="$(TARGETS)" scripts/test

quick: setup
	@SINCE='$(SINCE)' scripts/quick

torture: setup
	@scripts/torture $(TARGETS)

clean:
	@rm -rf $(addprefix $(BUILD)/,$(MADE))
	@find Kbuild modules selftests -type f \( -name '*.o' -o -name '*.ko' -o -name '*.mod' -o -name '*.mod.c' \
		-o -name '*.cmd' -o -name '.*.d' -o -name 'modules.order' -o -name 'Module.symvers' \) -delete
	@rm -rf modules/*/gen modules/backports/*/gen
	@rm -f Module.symvers modules.order .modules.order.cmd .Module.symvers.cmd .module-common.o ..module-common.o.cmd

distclean: clean
	@! grep -q " $(abspath $(BUILD))/" /proc/self/mounts || { echo "something is mounted below $(BUILD)" >&2; exit 1; }
	@rm -rf $(addprefix $(BUILD)/,$(GOT)) $(BUILD)/.lock*
	@rmdir $(BUILD) 2>/dev/null || true

endif
