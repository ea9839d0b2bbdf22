#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Everything behind `make fuzz-boot`: usage: bootfuzz.py BLOBS SEED. Exit status 1 if host tool and boot path differ."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "emu")]
import test_blobs  # noqa: E402

if __name__ == "__main__":
    os.environ["BULKHEAD_BUILT"] = "1"
    sys.exit(test_blobs.main(int(sys.argv[1]), int(sys.argv[2])))
