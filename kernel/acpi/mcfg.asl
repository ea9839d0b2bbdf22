// SPDX-License-Identifier: BSD-2-Clause
// PCI Firmware 3.2, 4.1.2: ECAM for bus 0, where devices/vpci.h has it
[0004]                          Signature : "MCFG"
[0004]                       Table Length : 00000000
[0001]                           Revision : 01
[0001]                           Checksum : 00
[0006]                             Oem ID : "BULKHD"
[0008]                       Oem Table ID : "GUEST   "
[0004]                       Oem Revision : 00000001
[0004]                    Asl Compiler ID : "INTL"
[0004]              Asl Compiler Revision : 00000000
[0008]                           Reserved : 0000000000000000

[0008]                       Base Address : 00000000E0000000
[0002]               Segment Group Number : 0000
[0001]                   Start Bus Number : 00
[0001]                     End Bus Number : 00
[0004]                           Reserved : 00000000
