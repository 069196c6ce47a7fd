# SPDX-License-Identifier: GPL-2.0
# Entry points only. What each does is in the script that it calls.

# Settings, as described by "make help". CMD may hold anything: make must not
# expand it.
override CMD := $(value CMD)
export CMD DRAM PMEM CPUS TIMEOUT ICOUNT PMEM_KIND KERNEL QEMU_EXTRA APPEND
export QUICK PERF RESUME WORKLOADS WAYS DURATION MINUTES SEED ONLY TESTS ALL FLAVOUR

MAKEFLAGS += --no-print-directory
ours := tools/testing/ktierd

# make by itself would end with 2 whatever the command's status was.
ifneq ($(filter vm,$(MAKECMDGOALS)),)
-load build/exit_status.so
build/exit_status.so: $(ours)/vm/exit_status.c | packages
	@mkdir -p build && $(CC) -shared -fPIC -O2 -Wall -o $@ $<
endif

.PHONY: help packages prepare kernel bin vm demo bench sim test torture fuzz foreign
.PHONY: deb test-deb htmldocs check clean

help:
	@cat $(ours)/help

packages:
	@$(ours)/kernel/packages

prepare: packages
	@$(ours)/kernel/prepare

kernel: prepare
	@$(ours)/kernel/build

bin: prepare
	@$(ours)/kernel/bin

vm: kernel bin
	@$(ours)/vm/run || { s=$$?; echo $$s > build/status.$$PPID; exit $$s; }

demo: kernel bin
	@CMD=$(ours)/demo/run $(ours)/vm/run

bench: kernel bin
	@$(ours)/bench/bench

sim: packages
	@$(ours)/sim/sim

test: kernel bin
	@$(ours)/test

torture: kernel bin
	@$(ours)/torture/torture

fuzz: kernel bin
	@$(ours)/fuzz/fuzz

foreign: export FOREIGN := 1
foreign: kernel bin
	@$(ours)/foreign/foreign

deb: export DEB := 1
deb: prepare
	@$(ours)/deb/build

test-deb: export DEB := 1
test-deb: deb bin
	@$(ours)/deb/test

check: kernel
	@$(ours)/kernel/check

htmldocs: export HTMLDOCS := 1
htmldocs: prepare
	@$(ours)/kernel/htmldocs

clean:
	@rm -rf build
