// Gives memory back to the kernel that served the start and is not needed for what comes after.
#pragma once

// Returns freed memory of malloc, and unmaps the pages of program files that were read. What is used again comes back
// from the page cache by a minor fault.
void ReleaseUnusedMemory();
