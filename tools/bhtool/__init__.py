# SPDX-License-Identifier: BSD-2-Clause
"""The host side of Bulkhead: systems described by .dts files, boot images, machines to run them on."""
