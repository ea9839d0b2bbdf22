// SPDX-License-Identifier: BSD-2-Clause
// ACPI 6.5 5.2.8
[0004]                          Signature : "XSDT"
[0004]                       Table Length : 00000000
[0001]                           Revision : 01
[0001]                           Checksum : 00
[0006]                             Oem ID : "BULKHD"
[0008]                       Oem Table ID : "GUEST   "
[0004]                       Oem Revision : 00000001
[0004]                    Asl Compiler ID : "INTL"
[0004]              Asl Compiler Revision : 00000000

[0008]             ACPI Table Address   0 : 00000000000E0100
[0008]             ACPI Table Address   1 : 00000000000E0240
[0008]             ACPI Table Address   2 : 00000000000E03C0
