/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs the steps that a test names, one after the other, so that the test knows which hits to expect.
 *
 *   act call 157:0x7fff:-1 call 257:-100:@/etc/hostname:0 fork exit 3
 *
 * call NUMBER:ARG...   system call; an ARG is a number, or @TEXT for a pointer to the string
 * repeat N NUMBER:...  the same N times
 * errno NUMBER:...     the call; ends with its error, or goes on where it has none
 * result NUMBER:...    the call; ends with what it returned, 0 to 255
 * drop CAP             takes a capability out of the effective and permitted sets
 * capset E P I         sets the effective, permitted and inheritable sets, as numbers
 * setcap FILE CAPS     gives a file capabilities, permitted and effective, as a number of 32 bits
 * userns               goes on in a user namespace of its own, as its root
 * join-userns          goes on in the user namespace of a child
 * thread NUMBER:...    the call in a thread of its own
 * fork                 goes on in a child; the parent waits and ends as the child does, after a signal as a shell
 * orphan               goes on in a child whose parent ends at once
 * leader-ends CODE     the first thread ends; a second one exits with CODE half a second later
 * read                 prints "ready", and goes on when there is something to read
 * count-up NUMBER      reads, then calls with 1, 2, 3 ... until there is more to read, and prints how often
 * kill SIGNAL          sends itself a signal
 * exec FILE            goes on as that program, with the steps that follow
 * memfd                goes on as a copy of itself that exists in memory only
 * exit CODE            ends
 */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define MAX_ARGS 6
#define MAX_WORDS 32

static long call(const char *text)
{
	long args[MAX_ARGS + 1] = {0};
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
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data))
		exit(126);
	data[capability / 32].effective &= ~(1U << capability % 32);
	data[capability / 32].permitted &= ~(1U << capability % 32);
	if (syscall(SYS_capset, &header, data))
		exit(126);
}

static void fail(const char *what)
{
	perror(what);
	exit(126);
}

static void set_capabilities(unsigned long effective, unsigned long permitted, unsigned long inheritable)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[] = {
		{effective, permitted, inheritable},
		{effective >> 32, permitted >> 32, inheritable >> 32},
	};

	if (syscall(SYS_capset, &header, data))
		fail("capset");
}

static void set_file_capabilities(const char *file, unsigned int capabilities)
{
	struct vfs_cap_data data = {
		.magic_etc = htole32(VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE),
		.data = {{.permitted = htole32(capabilities)}},
	};

	if (setxattr(file, "security.capability", &data, sizeof(data), 0))
		fail(file);
}

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		fail(path);
	close(fd);
}

static void enter_user_namespace(void)
{
	char uids[32], gids[32];

	snprintf(uids, sizeof(uids), "0 %d 1", geteuid());
	snprintf(gids, sizeof(gids), "0 %d 1", getegid());
	/* After a change of the ids the files below belong to root. */
	prctl(PR_SET_DUMPABLE, 1);
	if (unshare(CLONE_NEWUSER))
		fail("unshare");
	write_text("/proc/self/setgroups", "deny");
	write_text("/proc/self/uid_map", uids);
	write_text("/proc/self/gid_map", gids);
}

static void join_user_namespace(void)
{
	int ready[2], fd;
	char path[64], byte;
	pid_t child;

	prctl(PR_SET_DUMPABLE, 1);
	if (pipe(ready))
		fail("pipe");
	child = fork();
	if (!child) {
		if (unshare(CLONE_NEWUSER) || write(ready[1], "", 1) != 1)
			fail("unshare");
		pause();
	}
	close(ready[1]);
	snprintf(path, sizeof(path), "/proc/%d/ns/user", child);
	if (read(ready[0], &byte, 1) != 1 || (fd = open(path, O_RDONLY)) < 0 || setns(fd, CLONE_NEWUSER))
		fail(path);
	close(fd);
	close(ready[0]);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
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
	_exit(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
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

static void count_up(long number)
{
	struct pollfd input = {.fd = 0, .events = POLLIN};
	long count = 0;
	char line[8];

	if (read(0, line, sizeof(line)) < 0)
		fail("read");
	while (!poll(&input, 1, 0)) {
		syscall(number, ++count);
		usleep(1000);
	}
	printf("%ld\n", count);
}

static void run_from_memory(char **rest)
{
	int from = open("/proc/self/exe", O_RDONLY), to = memfd_create("copy-of-act", 0);
	char *argv[MAX_WORDS + 2] = {"act"};

	for (int i = 0; i < MAX_WORDS && rest[i]; i++)
		argv[i + 1] = rest[i];
	while (sendfile(to, from, NULL, 1 << 20) > 0)
		;
	fexecve(to, argv, environ);
	exit(126);
}

static void run_file(const char *file, char **rest)
{
	char *argv[MAX_WORDS + 2] = {(char *)file};

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
		} else if (!strcmp(verb, "result")) {
			return (int)call(next(&word));
		} else if (!strcmp(verb, "drop")) {
			drop(atoi(next(&word)));
		} else if (!strcmp(verb, "capset")) {
			unsigned long effective = strtoul(next(&word), NULL, 0);
			unsigned long permitted = strtoul(next(&word), NULL, 0);

			set_capabilities(effective, permitted, strtoul(next(&word), NULL, 0));
		} else if (!strcmp(verb, "setcap")) {
			const char *file = next(&word);

			set_file_capabilities(file, strtoul(next(&word), NULL, 0));
		} else if (!strcmp(verb, "userns")) {
			enter_user_namespace();
		} else if (!strcmp(verb, "join-userns")) {
			join_user_namespace();
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
		} else if (!strcmp(verb, "count-up")) {
			count_up(atol(next(&word)));
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
