/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* For the tests of the addon: functions whose BTF has every kind of type. Nothing here is loaded. */
#define KEPT __attribute__((noinline, used))

enum color { RED, GREEN = -3, BLUE = 0x7fffffff };
typedef struct {
	unsigned long value;
} untagged_t;
struct plain {
	int a;
	union {
		long b;
		struct {
			int c, d;
		};
	};
	unsigned flag : 1, rest : 12;
	untagged_t last;
};
union choice {
	int a;
	long b;
};
typedef int number_t;

KEPT int pointers(struct plain *a, const char *b, char **c, const struct plain *const *d, void *const e)
{
	return a && b && c && d && e;
}

KEPT void functions(int (*a)(void *, const char *), void (*b)(void), int (*(*c)(int))(long), int (*d)[4], int e[2][3])
{
	asm volatile("" : : "r"(a), "r"(b), "r"(c), "r"(d), "r"(e));
}

KEPT const char *values(enum color a, union choice *b, number_t c, volatile unsigned int d)
{
	return a && b && c && d ? "" : (void *)0;
}

struct plain plain;
