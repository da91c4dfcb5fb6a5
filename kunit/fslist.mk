# SPDX-License-Identifier: GPL-2.0
obj-$(CONFIG_UPLIFT_FSLIST_KUNIT_TEST) += uplift_fslist_kunit.o
uplift_fslist_kunit-y := fslist_kunit.o ../modules/fslist/fslist_core.o
