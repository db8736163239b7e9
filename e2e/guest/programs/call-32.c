/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes system calls of the 32-bit ABI, without a C library:
 *
 *   call-32 213:7 sysenter:213:7
 *
 * calls number 213 (setuid32) with 7, by `int 0x80` and by the vDSO's entry, which uses the processor's fast
 * instruction. Prints `CALL = RESULT`, an error as a negative number, and goes on.
 */
#define AT_SYSINFO 32
#define MAX_ARGS 5

static long vdso_entry;

/* The kernel gets the fifth argument in edi; no call here has a sixth. */
static long by_interrupt(const long *numbers)
{
	long result;

	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "a"(numbers[0]), "b"(numbers[1]), "c"(numbers[2]), "d"(numbers[3]), "S"(numbers[4]),
			   "D"(numbers[5])
			 : "memory");
	return result;
}

static long by_vdso(const long *numbers)
{
	long result;

	__asm__ volatile("call *%[entry]"
			 : "=a"(result)
			 : [entry] "m"(vdso_entry), "a"(numbers[0]), "b"(numbers[1]), "c"(numbers[2]), "d"(numbers[3]),
			   "S"(numbers[4]), "D"(numbers[5])
			 : "memory");
	return result;
}

static void write_text(const char *text, long size)
{
	const long numbers[MAX_ARGS + 1] = {4, 1, (long)text, size};

	by_interrupt(numbers);
}

static long length(const char *text)
{
	const char *end = text;

	while (*end)
		end++;
	return end - text;
}

static void print_number(long number)
{
	char digits[16], *at = digits + sizeof(digits);
	unsigned long rest = number < 0 ? -number : number;

	*--at = '\n';
	do {
		*--at = '0' + rest % 10;
		rest /= 10;
	} while (rest);
	if (number < 0)
		*--at = '-';
	write_text(at, digits + sizeof(digits) - at);
}

static const char *parse(const char *text, long *number)
{
	int negative = *text == '-';

	*number = 0;
	for (text += negative; *text >= '0' && *text <= '9'; text++)
		*number = *number * 10 + (*text - '0');
	if (negative)
		*number = -*number;
	return *text == ':' ? text + 1 : text;
}

static void call(const char *text)
{
	long numbers[MAX_ARGS + 1] = {0}, result;
	const char *at = text;
	int fast = *at == 's';

	while (fast && *at++ != ':')
		;
	for (int i = 0; i <= MAX_ARGS && *at; i++)
		at = parse(at, &numbers[i]);
	result = fast ? by_vdso(numbers) : by_interrupt(numbers);
	write_text(text, length(text));
	write_text(" = ", 3);
	print_number(result);
}

__attribute__((used)) void run(long *stack)
{
	const long exit_group[MAX_ARGS + 1] = {252};
	char **argv = (char **)(stack + 1);
	long *at = stack + 1 + *stack + 1;

	while (*at++) /* the environment */
		;
	for (; at[0]; at += 2)
		if (at[0] == AT_SYSINFO)
			vdso_entry = at[1];
	for (int i = 1; i < *stack; i++)
		call(argv[i]);
	by_interrupt(exit_group);
}

__asm__(".globl _start\n_start:\n\tmov %esp, %eax\n\tand $-16, %esp\n\tsub $12, %esp\n\tpush %eax\n\tcall run\n");
