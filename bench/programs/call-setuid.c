// SPDX-License-Identifier: Apache-2.0
/*
 * call-setuid ROUNDS CALLS [PAUSE_US]: calls setuid(0) and prints the nanoseconds per call of each round. Under
 * `-icount shift=0` a nanosecond is an instruction.
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
	long pause_us = argc > 3 ? atol(argv[3]) : 0;

	if (rounds < 1 || calls < 1) {
		fprintf(stderr, "call-setuid ROUNDS CALLS [PAUSE_US]\n");
		return 2;
	}
	for (long round = 0; round < rounds; round++) {
		double start = now();

		for (long call = 0; call < calls; call++)
			syscall(SYS_setuid, 0);
		printf("%.1f\n", (now() - start) / calls);
		if (pause_us)
			usleep(pause_us);
	}
	return 0;
}
