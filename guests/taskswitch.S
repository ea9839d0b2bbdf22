/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A flat 32-bit guest that jumps to another hardware task: with either vendor the partition dies by
 * that name, since a task switch always exits on VT-x. Getting there is a failure (code 1).
 */
	.code32
	.text
start:	lgdt	gdt_pointer
	ljmp	$0x08, $1f
1:	movw	$0x10, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movw	$0x18, %ax
	ltr	%ax
	ljmp	$0x20, $0
	movl	$1, %eax
	outl	%eax, $0xf4

	.align 8
gdt:	.quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
	.quad 0x0000890800000067, 0x0000890800800067 /* available TSSs at 0x80000 and 0x80080 */
gdt_pointer:
	.word . - gdt - 1
	.long gdt
