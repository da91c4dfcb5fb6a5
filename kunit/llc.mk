# SPDX-License-Identifier: GPL-2.0
obj-$(CONFIG_UPLIFT_LLC_KUNIT_TEST) += uplift_llc_kunit.o
uplift_llc_kunit-y := llc_kunit.o $(addprefix ../modules/llc/llc_,core.o spans.o predict.o \
	show.o text.o)
