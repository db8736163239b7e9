// SPDX-License-Identifier: Apache-2.0
/*
 * call-setuid ROUNDS CALLS [PAUSE_US [SETTLE_US]]: calls setuid(0) and prints the nanoseconds per call of each round.
 * Under `-icount shift=0` a nanosecond is an instruction. With SETTLE_US one more call comes that long before each round:
 * its record wakes the ring's reader, which then polls.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1e9 + time.tv_nsec;
}

int main(int argc, char **argv)
{
	long rounds = argc > 2 ? atol(argv[1]) : 0, calls = argc > 2 ? atol(argv[2]) : 0;
	long pause_us = argc > 3 ? atol(argv[3]) : 0, settle_us = argc > 4 ? atol(argv[4]) : 0;

	if (rounds < 1 || calls < 1) {
		fprintf(stderr, "call-setuid ROUNDS CALLS [PAUSE_US [SETTLE_US]]\n");
		return 2;
	}
	for (long round = 0; round < rounds; round++) {
		double start;

		if (settle_us) {
			syscall(SYS_setuid, 0);
			usleep(settle_us);
		}
		start = now();
		for (long call = 0; call < calls; call++)
			syscall(SYS_setuid, 0);
		printf("%.1f\n", (now() - start) / calls);
		if (pause_us)
			usleep(pause_us);
	}
	return 0;
}
