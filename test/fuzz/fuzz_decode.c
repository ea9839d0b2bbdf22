// SPDX-License-Identifier: BSD-2-Clause
/*
 * Any bytes, any number of them, any mode: the decoder answers, never reads beyond (the driver's buffers
 * are of exact size), and what it accepts does not depend on the bytes that follow.
 */
#include "kernel/decode.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok) {
		abort();
	}
}

static void check(const u8 *bytes, u32 n, enum insn_mode mode)
{
	struct insn in, again;
	enum decode_status status = insn_decode(bytes, n, mode, &in);
	require(status != DECODE_MORE || n < 15);
	if (status != DECODE_OK) {
		return;
	}
	require(in.op != OP_NONE && in.len >= 1 && in.len <= 15 && in.len <= n);
	require(in.op_size == 1 || in.op_size == 2 || in.op_size == 4 || in.op_size == 8);
	require(in.src_size >= 1 && in.src_size <= 8 && in.seg <= SEG_GS);
	require(in.base < NR_GPRS && in.index < NR_GPRS && in.reg < NR_GPRS && in.rm < NR_GPRS);
	for (u32 i = 0; i < in.len; i++) {
		require(insn_decode(bytes, i, mode, &again) == DECODE_MORE);
	}
	require(insn_decode(bytes, in.len, mode, &again) == DECODE_OK);
	require(!memcmp(&in, &again, sizeof(in)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (size_t at = 0; at < size; at += 7) {
		check(data + at, (u32)(size - at), MODE_16);
		check(data + at, (u32)(size - at), MODE_32);
		check(data + at, (u32)(size - at), MODE_64);
	}
	return 0;
}
