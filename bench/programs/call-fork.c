// SPDX-License-Identifier: Apache-2.0
/*
 * call-fork ROUNDS CALLS PAUSE_US [exec]: starts a process, which executes this file if asked to, waits for its end, and
 * prints the nanoseconds per process of each round. Under `-icount shift=0` a nanosecond is an instruction. Without
 * arguments it ends at once: this is the executed program.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1e9 + time.tv_nsec;
}

/* The records of one child wake the ring's reader, which then polls. */
#define SETTLE_US 2000

/* vfork, because copying page tables would cost more than what is measured. */
static void run(const char *file)
{
	int status;
	pid_t child = vfork();

	if (child == 0) {
		if (file)
			execl(file, file, (char *)NULL);
		_exit(file != NULL);
	}
	if (child < 0 || waitpid(child, &status, 0) < 0 || status != 0) {
		perror("call-fork");
		exit(1);
	}
}

int main(int argc, char **argv)
{
	long rounds, calls, pause_us;

	if (argc == 1)
		return 0;
	rounds = atol(argv[1]);
	calls = argc > 2 ? atol(argv[2]) : 0;
	pause_us = argc > 3 ? atol(argv[3]) : 0;
	if (rounds < 1 || calls < 1 || pause_us < 1) {
		fprintf(stderr, "call-fork ROUNDS CALLS PAUSE_US [exec]\n");
		return 2;
	}
	for (long round = 0; round < rounds; round++) {
		double start;

		run(NULL);
		usleep(SETTLE_US);
		start = now();
		for (long call = 0; call < calls; call++)
			run(argc > 4 ? "/proc/self/exe" : NULL);
		printf("%.1f\n", (now() - start) / calls);
		fflush(stdout);
		usleep(pause_us);
	}
	return 0;
}
