// Waiting for BPF programs that run.
#pragma once

// Returns when every program that ran at the time of the call has ended, and every CPU has left the probe it was in;
// programs that may sleep excepted. Returns 0 or an errno.
int WaitForPrograms();
