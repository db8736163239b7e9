// Gives memory back to the kernel that served the start and is not needed for what comes after.
#pragma once

// Returns freed memory of malloc, and unmaps the pages of program files that were read. What is used again comes back
// from the page cache by a minor fault.
void ReleaseUnusedMemory();

// As ReleaseUnusedMemory(), but only the pages of the program's own file, whose mappings never change: from any thread,
// while others go on.
void TrimMemory();

// From now on malloc gives freed memory at the end of a heap back by itself, in every thread's heap. Without this it keeps
// up to twice the largest block that was ever freed, and trimming reaches the end of the main thread's heap alone.
void KeepHeapsSmall();
