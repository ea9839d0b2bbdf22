# SPDX-License-Identifier: BSD-2-Clause
# make test: every proof there is. TESTS="emu -k lines --bed bochs-vmx" picks some (docs/testing.md).
.PHONY: test matrix fuzz-boot test-binaries test-systems clang arrows size coverage bench
# Debian's own Python is the one that has python3-pexpect
test: deps-test
	@/usr/bin/python3 test/run.py $(TESTS)

# stock kernels by flavour, vCPUs and parameters
matrix: deps-test test-systems
	@/usr/bin/python3 test/matrix.py $(MATRIX)

# more device trees that host tool and boot path must judge alike: make fuzz-boot BLOBS=1000 SEED=7
BLOBS ?= 200
SEED  ?= 1
fuzz-boot: deps-test test-systems
	@/usr/bin/python3 test/bootfuzz.py $(BLOBS) $(SEED)

# what the runner needs before it starts, so that no two of its jobs run make at the same time
test-binaries: $(UNIT) $(FUZZ)
test-systems: $(B)/bulkhead.elf $(B)/bulkhead.elf32 $(B)/host/config-check guests \
	$(B)/linux/vmlinuz $(B)/linux/initrd.img software

# the other compiler's opinion; never the image that is shipped
clang: deps-test
	$(Q)$(MAKE) --no-print-directory B=$(B)/clang CC=clang all

arrows: all
	@tools/arrows.py $(B)
size: all deps-test
	@tools/size.py $(B)/bulkhead.elf
coverage: deps-test
	$(Q)$(MAKE) --no-print-directory B=$(B)/coverage COVFLAGS=--coverage unit >$(B)/coverage.log 2>&1 || \
		{ cat $(B)/coverage.log; exit 1; }
	@tools/coverage.py $(B)/coverage/host
bench: deps-test test-systems
	@tools/bench.py
	@tools/bench_partitions.py
	@tools/bench_boot.py
	@tools/bench_schedule.py
	@tools/bench_rt.py
