/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does what a test names, one step after the other, so that the test knows which hits to expect.
 *
 *   act call 157:0x7fff:-1 call 257:-100:@/etc/hostname:0 fork exit 3
 *
 * call NUMBER:ARG...   system call; an ARG is a number, or @TEXT for a pointer to the text
 * repeat N NUMBER:...  the same N times
 * errno NUMBER:...     the call; ends with its error, or goes on where it has none
 * drop CAP             takes a capability out of the effective and permitted sets
 * thread NUMBER:...    the call in a thread of its own
 * fork                 goes on in a child; the parent waits and ends as the child does
 * orphan               goes on in a child whose parent ends at once
 * leader-ends CODE     the first thread ends; a second one exits with CODE half a second later
 * read                 says "ready", and goes on when there is something to read
 * kill SIGNAL          sends itself a signal
 * exec FILE            goes on as that program, with the steps that follow
 * memfd                goes on as a copy of itself that lies in memory only
 * exit CODE            ends
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_ARGS 6
#define MAX_WORDS 16

static long call(const char *text)
{
	long args[MAX_ARGS + 1] = { 0 };
	char *copy = strdup(text), *rest = copy, *part;
	long result;

	for (int i = 0; i <= MAX_ARGS && (part = strsep(&rest, ":")); i++)
		args[i] = *part == '@' ? (long)(part + 1) : (long)strtoull(part, NULL, 0);
	result = syscall(args[0], args[1], args[2], args[3], args[4], args[5], args[6]);
	free(copy);
	return result;
}

static void *call_in_thread(void *text)
{
	call(text);
	return NULL;
}

static void *exit_later(void *code)
{
	usleep(500000);
	exit((int)(long)code);
}

static void drop(int capability)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data))
		exit(126);
	data[capability / 32].effective &= ~(1U << capability % 32);
	data[capability / 32].permitted &= ~(1U << capability % 32);
	if (syscall(SYS_capset, &header, data))
		exit(126);
}

static void go_on_in_child(int wait_for_it)
{
	pid_t child = fork();
	int status;

	if (child < 0)
		exit(126);
	if (!child)
		return;
	if (!wait_for_it)
		_exit(0);
	waitpid(child, &status, 0);
	_exit(WEXITSTATUS(status));
}

static void in_thread(const char *text)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, call_in_thread, (void *)text))
		exit(126);
	pthread_join(thread, NULL);
}

static void end_leader(long code)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, exit_later, (void *)code))
		exit(126);
	pthread_exit(NULL);
}

static void run_from_memory(char **rest)
{
	int from = open("/proc/self/exe", O_RDONLY), to = memfd_create("copy-of-act", 0);
	char *argv[MAX_WORDS + 2] = { "act" };

	for (int i = 0; i < MAX_WORDS && rest[i]; i++)
		argv[i + 1] = rest[i];
	while (sendfile(to, from, NULL, 1 << 20) > 0)
		;
	fexecve(to, argv, environ);
	exit(126);
}

static void run_file(const char *file, char **rest)
{
	char *argv[MAX_WORDS + 2] = { (char *)file };

	for (int i = 0; i < MAX_WORDS && rest[i]; i++)
		argv[i + 1] = rest[i];
	execv(file, argv);
	exit(126);
}

static const char *next(char ***word)
{
	if (!**word) {
		fprintf(stderr, "act: an argument is missing\n");
		exit(127);
	}
	return *(*word)++;
}

int main(int argc, char **argv)
{
	char **word = argv + 1;

	(void)argc;
	while (*word) {
		const char *verb = next(&word);

		if (!strcmp(verb, "call")) {
			call(next(&word));
		} else if (!strcmp(verb, "repeat")) {
			long count = atol(next(&word));
			const char *text = next(&word);

			while (count-- > 0)
				call(text);
		} else if (!strcmp(verb, "errno")) {
			if (call(next(&word)) < 0)
				return errno;
		} else if (!strcmp(verb, "drop")) {
			drop(atoi(next(&word)));
		} else if (!strcmp(verb, "thread")) {
			in_thread(next(&word));
		} else if (!strcmp(verb, "fork")) {
			go_on_in_child(1);
		} else if (!strcmp(verb, "orphan")) {
			go_on_in_child(0);
		} else if (!strcmp(verb, "leader-ends")) {
			end_leader(atol(next(&word)));
		} else if (!strcmp(verb, "read")) {
			char line[8];

			if (write(1, "ready\n", 6) != 6 || read(0, line, sizeof(line)) < 0)
				return 126;
		} else if (!strcmp(verb, "kill")) {
			kill(getpid(), atoi(next(&word)));
		} else if (!strcmp(verb, "exec")) {
			const char *file = next(&word);

			run_file(file, word);
		} else if (!strcmp(verb, "memfd")) {
			run_from_memory(word);
		} else if (!strcmp(verb, "exit")) {
			return atoi(next(&word));
		} else {
			fprintf(stderr, "act: unknown verb %s\n", verb);
			return 127;
		}
	}
	return 0;
}
