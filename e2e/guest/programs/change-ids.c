/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes its own credentials step by step, by raw system calls: a test can expect exactly the events of the steps that
 * it passes as arguments, without calls that a C library adds.
 *
 *   change-ids setresuid:1000:1001:0 setfsuid:1003 exec:/usr/bin/true
 *
 * Prints `STEP = RESULT` or `STEP = ERRNO` for each and goes on after a refusal. `exec` ends the list: what follows
 * becomes the arguments of the new program.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_NUMBERS 4

struct step {
	char name[32];
	const char *rest; /* the part after the name */
	long numbers[MAX_NUMBERS];
	int count;
};

struct plain_call {
	const char *name;
	long number;
};

/* Calls that take the numbers as they are. */
static const struct plain_call plain_calls[] = {
	{"setuid", SYS_setuid},     {"setgid", SYS_setgid},       {"setreuid", SYS_setreuid},
	{"setregid", SYS_setregid}, {"setresuid", SYS_setresuid}, {"setresgid", SYS_setresgid},
	{"setfsuid", SYS_setfsuid}, {"setfsgid", SYS_setfsgid},
};

static void parse(const char *text, struct step *step)
{
	size_t length = strcspn(text, ":");

	memset(step, 0, sizeof(*step));
	if (length >= sizeof(step->name)) {
		fprintf(stderr, "change-ids: %s: no such step\n", text);
		exit(2);
	}
	memcpy(step->name, text, length);
	step->rest = text[length] ? text + length + 1 : "";
	for (const char *at = step->rest; *at && step->count < MAX_NUMBERS;) {
		char *end;

		step->numbers[step->count++] = strtol(at, &end, 0);
		at = *end == ':' ? end + 1 : "";
	}
}

static long set_groups(const struct step *step)
{
	gid_t groups[MAX_NUMBERS];

	for (int i = 0; i < step->count; i++)
		groups[i] = step->numbers[i];
	return syscall(SYS_setgroups, step->count, groups);
}

static long run(const struct step *step)
{
	for (size_t i = 0; i < sizeof(plain_calls) / sizeof(plain_calls[0]); i++)
		if (!strcmp(step->name, plain_calls[i].name))
			return syscall(plain_calls[i].number, step->numbers[0], step->numbers[1], step->numbers[2]);
	if (!strcmp(step->name, "setgroups"))
		return set_groups(step);
	if (!strcmp(step->name, "securebits"))
		return prctl(PR_SET_SECUREBITS, step->numbers[0], 0, 0, 0);
	if (!strcmp(step->name, "newuserns"))
		return syscall(SYS_unshare, CLONE_NEWUSER);
	fprintf(stderr, "change-ids: %s: no such step\n", step->name);
	exit(2);
}

/* Only returns if the program cannot be executed. */
static void execute(const char *path, char **arguments)
{
	arguments[0] = (char *)path;
	fflush(stdout);
	execv(path, arguments);
	perror(path);
	exit(1);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		struct step step;
		long result;

		parse(argv[i], &step);
		if (!strcmp(step.name, "exec"))
			execute(step.rest, argv + i);
		errno = 0;
		result = run(&step);
		if (result < 0)
			printf("%s = %s\n", argv[i], strerrorname_np(errno));
		else
			printf("%s = %ld\n", argv[i], result);
	}
	return 0;
}
