# SPDX-License-Identifier: BSD-2-Clause
# Debian packages, each group installed when a target first needs it.
.PHONY: deps-build deps-run deps-test
deps-build:
	@tools/install-deps build
deps-run:
	@tools/install-deps build run
deps-test:
	@tools/install-deps build run test
