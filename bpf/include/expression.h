/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Expressions over arguments. The steps are constants to the verifier: at each step it knows the depth of the stack, and
 * follows one operation.
 */
#ifndef TRIGON_EXPRESSION_H
#define TRIGON_EXPRESSION_H

#include "values.h"

static __always_inline __u64 divide(__u64 value, __u64 by, bool remainder)
{
	return remainder ? value % by : value / by;
}

/* Rounds towards zero; the remainder has the sign of the dividend. BPF divides unsigned numbers only. */
static __always_inline __u64 divide_signed(__u64 value, __u64 by, bool remainder)
{
	return (__s64)value < 0 ? -divide(-value, by, remainder) : divide(value, by, remainder);
}

static __always_inline __u64 apply(__u8 op, __u64 left, __u64 right)
{
	if (op == EXPRESSION_ADD)
		return left + right;
	if (op == EXPRESSION_SUB)
		return left - right;
	if (op == EXPRESSION_MUL)
		return left * right;
	if (op == EXPRESSION_DIV || op == EXPRESSION_MOD)
		return divide(left, right, op == EXPRESSION_MOD);
	if (op == EXPRESSION_SDIV || op == EXPRESSION_SMOD)
		return divide_signed(left, right, op == EXPRESSION_SMOD);
	if (op == EXPRESSION_EQ)
		return left == right;
	if (op == EXPRESSION_LT)
		return left < right;
	if (op == EXPRESSION_LE)
		return left <= right;
	if (op == EXPRESSION_SLT)
		return (__s64)left < (__s64)right;
	if (op == EXPRESSION_SLE)
		return (__s64)left <= (__s64)right;
	return op == EXPRESSION_AND ? left & right : left | right;
}

/* False also if an argument cannot be read. */
static __always_inline bool expression_holds(void *context, __u32 first, __u32 count)
{
	__u64 stack[MAX_EXPRESSION_DEPTH] = {};
	__u32 depth = 0, i;

	NOT_UNROLLED
	for (i = 0; i < MAX_EXPRESSION_STEPS && i < count; i++) {
		const volatile struct expression_step *step = &hook_config.expression[first + i];
		__u8 op = step->op;

		if (op == EXPRESSION_CONST || op == EXPRESSION_ARG) {
			if (depth >= MAX_EXPRESSION_DEPTH)
				return false;
			stack[depth] = step->value;
			if (op == EXPRESSION_ARG && !read_number(context, step->arg, &stack[depth]))
				return false;
			depth++;
		} else if (op == EXPRESSION_NEG || op == EXPRESSION_NOT) {
			if (depth < 1 || depth > MAX_EXPRESSION_DEPTH)
				return false;
			stack[depth - 1] = op == EXPRESSION_NEG ? -stack[depth - 1] : !stack[depth - 1];
		} else {
			if (depth < 2 || depth > MAX_EXPRESSION_DEPTH)
				return false;
			depth--;
			stack[depth - 1] = apply(op, stack[depth - 1], stack[depth]);
		}
	}
	return stack[0];
}

#endif
