/* SPDX-License-Identifier: BSD-2-Clause */
/* The Xen note PHYS32_ENTRY, behind one of another owner and one of another type. */
	.section .note.Xen, "a", @note
	.align 4
	.long 5, 3, 18			/* sizes of name and description, type */
	.asciz "Nobo"
	.align 4
	.byte 1, 2, 3
	.align 4
	.long 4, 6, 6
	.asciz "Xen"
	.asciz "other"
	.align 4
	.long 4, 4, 18
	.asciz "Xen"
	.long _start
	.section .note.GNU-stack, "", @progbits
