/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ways to make a system call, or its effect, past what hooks of system calls see. Each prints "pid PID" for the process
 * that docs/system-calls.md calls the subject, and what else the test needs.
 *
 *   ways io-uring FILE      opens it with the credentials of root that were registered before they were given up
 *   ways vfork FILE         a child in the same memory gives up root and executes FILE
 *   ways execveat FILE      executes FILE by a descriptor
 *   ways pidfd FILE         takes the descriptor of a child that has FILE open
 *   ways inject UID         makes a traced child call setuid(UID)
 *   ways notify FILE        a child's openat is answered with a descriptor of FILE by the process that supervises it
 *   ways rewrite A B COUNT  opens A so often, while another process writes B over the name
 *   ways exec-race FILE     a thread that is not the first executes FILE while others run
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define USER 1000

static void fail(const char *what)
{
	perror(what);
	exit(126);
}

static void show(pid_t pid)
{
	printf("pid %d\n", pid);
	fflush(stdout);
}

static void drop_root(void)
{
	if (syscall(SYS_setresuid, USER, USER, USER))
		fail("setresuid");
}

static int io_uring(const char *file)
{
	struct io_uring_params params = {0};
	int ring = syscall(SYS_io_uring_setup, 4, &params), personality;
	char *queue, *completions;
	struct io_uring_sqe *entry;
	struct io_uring_cqe *result;
	unsigned int *tail, *array;

	if (ring < 0)
		fail("io_uring_setup");
	personality = syscall(SYS_io_uring_register, ring, IORING_REGISTER_PERSONALITY, NULL, 0);
	if (personality < 0)
		fail("io_uring_register");
	queue = mmap(NULL, params.sq_off.array + 4 * sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
		     ring, IORING_OFF_SQ_RING);
	completions = mmap(NULL, params.cq_off.cqes + params.cq_entries * sizeof(*result), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_CQ_RING);
	entry = mmap(NULL, 4 * sizeof(*entry), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring,
		     IORING_OFF_SQES);
	if (queue == MAP_FAILED || completions == MAP_FAILED || entry == MAP_FAILED)
		fail("mmap");
	drop_root();
	show(getpid());
	memset(entry, 0, sizeof(*entry));
	entry->opcode = IORING_OP_OPENAT;
	entry->fd = AT_FDCWD;
	entry->addr = (unsigned long)file;
	entry->open_flags = O_RDONLY;
	entry->personality = personality;
	tail = (unsigned int *)(queue + params.sq_off.tail);
	array = (unsigned int *)(queue + params.sq_off.array);
	array[*tail & (params.sq_entries - 1)] = 0;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
		fail("io_uring_enter");
	result = (struct io_uring_cqe *)(completions + params.cq_off.cqes);
	printf("result %d\n", result->res < 0 ? result->res : 0);
	return 0;
}

static int by_vfork(const char *file)
{
	char *argv[] = {(char *)file, NULL};
	int status;
	pid_t child = vfork();

	if (!child) {
		syscall(SYS_setresuid, USER, USER, USER);
		execv(file, argv);
		_exit(126);
	}
	show(child);
	waitpid(child, &status, 0);
	return WEXITSTATUS(status);
}

static int by_execveat(const char *file)
{
	char *argv[] = {(char *)file, NULL};
	int fd = open(file, O_PATH);

	show(getpid());
	syscall(SYS_execveat, fd, "", argv, environ, AT_EMPTY_PATH);
	fail("execveat");
	return 126;
}

static int by_pidfd(const char *file)
{
	int ready[2], pidfd, fd, opened;
	pid_t child;
	char byte;

	if (pipe(ready))
		fail("pipe");
	child = fork();
	if (!child) {
		opened = open(file, O_RDONLY);
		if (write(ready[1], "", 1) != 1 || opened < 0)
			_exit(126);
		pause();
	}
	if (read(ready[0], &byte, 1) != 1)
		fail("read");
	show(getpid());
	pidfd = syscall(SYS_pidfd_open, child, 0);
	fd = syscall(SYS_pidfd_getfd, pidfd, 5, 0);
	if (fd < 0)
		fail("pidfd_getfd");
	kill(child, SIGKILL);
	return 0;
}

/* The child stops in getppid; its next two bytes are those of a system call again. */
static int inject(int uid)
{
	struct user_regs_struct regs;
	int status;
	pid_t child = fork();

	if (!child) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		syscall(SYS_getppid);
		_exit(getuid() == (uid_t)uid ? 0 : 1);
	}
	show(child);
	printf("tracer %d\n", getpid());
	waitpid(child, &status, 0);
	ptrace(PTRACE_SETOPTIONS, child, NULL, PTRACE_O_TRACESYSGOOD);
	for (;;) {
		ptrace(PTRACE_SYSCALL, child, NULL, NULL);
		waitpid(child, &status, 0);
		if (WIFEXITED(status))
			return WEXITSTATUS(status);
		ptrace(PTRACE_GETREGS, child, NULL, &regs);
		if (regs.orig_rax == SYS_getppid && regs.rax == (unsigned long)-ENOSYS) {
			regs.orig_rax = SYS_setuid;
			regs.rdi = uid;
			ptrace(PTRACE_SETREGS, child, NULL, &regs);
		}
	}
}

static int install_filter(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = 4, .filter = code};

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
}

/* Its number reaches the parent by the table of descriptors that they share. */
static int notify(const char *file)
{
	int *listener = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0), status;
	struct seccomp_notif request = {0};
	struct seccomp_notif_resp response = {0};
	struct seccomp_notif_addfd add = {0};
	pid_t child;

	*listener = -1;
	child = syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
	if (!child) {
		*listener = install_filter();
		_exit(syscall(SYS_openat, AT_FDCWD, "/no/such/file", O_RDONLY) < 0 ? 1 : 0);
	}
	show(child);
	printf("supervisor %d\n", getpid());
	while (*(volatile int *)listener < 0)
		usleep(1000);
	if (ioctl(*listener, SECCOMP_IOCTL_NOTIF_RECV, &request))
		fail("SECCOMP_IOCTL_NOTIF_RECV");
	add.id = response.id = request.id;
	add.srcfd = open(file, O_RDONLY);
	response.val = ioctl(*listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add);
	if (response.val < 0)
		fail("SECCOMP_IOCTL_NOTIF_ADDFD");
	if (ioctl(*listener, SECCOMP_IOCTL_NOTIF_SEND, &response))
		fail("SECCOMP_IOCTL_NOTIF_SEND");
	waitpid(child, &status, 0);
	return WEXITSTATUS(status);
}

static void write_over(pid_t pid, char *name, const char *names[2])
{
	struct iovec to = {.iov_base = name, .iov_len = strlen(names[0]) + 1};

	for (unsigned int n = 0;; n++) {
		struct iovec from = {.iov_base = (char *)names[n & 1], .iov_len = to.iov_len};

		if (process_vm_writev(pid, &from, 1, &to, 1, 0) < 0)
			_exit(0);
	}
}

/* Both names are equally long. */
static int rewrite(const char *first, const char *second, int count)
{
	static char name[256];
	const char *names[2] = {first, second};
	pid_t self = getpid(), writer;

	strcpy(name, first);
	show(self);
	writer = fork();
	if (!writer) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		write_over(self, name, names);
	}
	while (count-- > 0) {
		long fd = syscall(SYS_openat, AT_FDCWD, name, O_RDONLY);

		if (fd >= 0)
			close(fd);
	}
	kill(writer, SIGKILL);
	return 0;
}

static void *spin(void *unused)
{
	for (;;)
		syscall(SYS_getppid);
	return unused;
}

static void *execute(void *file)
{
	char *argv[] = {file, NULL};

	usleep(20000);
	printf("tid %ld\n", syscall(SYS_gettid));
	fflush(stdout);
	execv(file, argv);
	fail("exec");
	return NULL;
}

static int race_exec(const char *file)
{
	pthread_t threads[3];

	show(getpid());
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, spin, NULL);
	pthread_create(&threads[2], NULL, execute, (void *)file);
	spin(NULL);
	return 0;
}

int main(int argc, char **argv)
{
	const char *way = argc > 2 ? argv[1] : "", *file = argc > 2 ? argv[2] : "";

	if (!strcmp(way, "io-uring"))
		return io_uring(file);
	if (!strcmp(way, "vfork"))
		return by_vfork(file);
	if (!strcmp(way, "execveat"))
		return by_execveat(file);
	if (!strcmp(way, "pidfd"))
		return by_pidfd(file);
	if (!strcmp(way, "inject"))
		return inject(atoi(file));
	if (!strcmp(way, "notify"))
		return notify(file);
	if (!strcmp(way, "rewrite") && argc == 5)
		return rewrite(file, argv[3], atoi(argv[4]));
	if (!strcmp(way, "exec-race"))
		return race_exec(file);
	fprintf(stderr, "ways: unknown way %s\n", way);
	return 127;
}
