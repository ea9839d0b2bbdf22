// SPDX-License-Identifier: BSD-2-Clause
// What a guest cannot probe: how to power off, and which ports and lines belong to the PC's devices.
// guest_acpi.c copies the compiled table as it is; addresses agree with devices/*.h.
DefinitionBlock ("", "DSDT", 2, "BULKHD", "GUEST", 1)
{
	// SLP_TYP of soft off: VACPI_S5_TYP
	Name (\_S5, Package () { 5, 5, 0, 0 })

	Scope (\_SB)
	{
		Device (PIC)
		{
			Name (_HID, EisaId ("PNP0000"))
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x20, 0x20, 1, 2)
				IO (Decode16, 0xa0, 0xa0, 1, 2)
				IO (Decode16, 0x4d0, 0x4d0, 1, 2)
				IRQNoFlags () { 2 }
			})
		}
		Device (PIT)
		{
			Name (_HID, EisaId ("PNP0100"))
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x40, 0x40, 1, 4)
				IRQNoFlags () { 0 }
			})
		}
		Device (RTC)
		{
			Name (_HID, EisaId ("PNP0B00"))
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x70, 0x70, 1, 2)
				IRQNoFlags () { 8 }
			})
		}
		Device (COM1)
		{
			Name (_HID, EisaId ("PNP0501"))
			Name (_UID, 1)
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x3f8, 0x3f8, 1, 8)
				IRQNoFlags () { 4 }
			})
		}
		// Bus 0, with memory BARs in VPCI_MMIO; 0xcf9 among the ports is the reset register. Channels are
		// devices 3 to 10, each with a pin of its own: CHANNEL_PIN0 on. The 8259s have no line for them.
		Device (PCI0)
		{
			Name (_HID, EisaId ("PNP0A03"))
			Name (_BBN, 0)
			Name (_CRS, ResourceTemplate ()
			{
				WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode, 0, 0, 0, 0, 1)
				IO (Decode16, 0xcf8, 0xcf8, 1, 8)
				DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable,
					ReadWrite, 0, 0xc0000000, 0xdfffffff, 0, 0x20000000)
			})
			Name (_PRT, Package ()
			{
				Package () { 0x0003ffff, 0, 0, 16 },
				Package () { 0x0004ffff, 0, 0, 17 },
				Package () { 0x0005ffff, 0, 0, 18 },
				Package () { 0x0006ffff, 0, 0, 19 },
				Package () { 0x0007ffff, 0, 0, 20 },
				Package () { 0x0008ffff, 0, 0, 21 },
				Package () { 0x0009ffff, 0, 0, 22 },
				Package () { 0x000affff, 0, 0, 23 }
			})
		}
		// what nobody may hand out: POST code, system control, PM blocks; ECAM
		Device (BRD)
		{
			Name (_HID, EisaId ("PNP0C02"))
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x80, 0x80, 1, 1)
				IO (Decode16, 0x92, 0x92, 1, 1)
				IO (Decode16, 0x600, 0x600, 1, 0x10)
				Memory32Fixed (ReadWrite, 0xe0000000, 0x100000)
			})
		}
	}
}
