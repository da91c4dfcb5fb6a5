# SPDX-License-Identifier: GPL-2.0
obj-$(CONFIG_UPLIFT_VERITY_KUNIT_TEST) += uplift_verity_kunit.o
uplift_verity_kunit-y := verity_kunit.o ../modules/verity/verity_core.o
