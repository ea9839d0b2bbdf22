// SPDX-License-Identifier: BSD-2-Clause
// For kernels that look no further than ACPI 1.0. ACPI 6.5 5.2.7
[0004]                          Signature : "RSDT"
[0004]                       Table Length : 00000000
[0001]                           Revision : 01
[0001]                           Checksum : 00
[0006]                             Oem ID : "BULKHD"
[0008]                       Oem Table ID : "GUEST   "
[0004]                       Oem Revision : 00000001
[0004]                    Asl Compiler ID : "INTL"
[0004]              Asl Compiler Revision : 00000000

[0004]             ACPI Table Address   0 : 000E0100
[0004]             ACPI Table Address   1 : 000E0240
[0004]             ACPI Table Address   2 : 000E03C0
