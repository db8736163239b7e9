// Instructions without what the contents of some maps make superfluous.
#pragma once

#include <linux/bpf.h>

#include <vector>

#include "optimizer/known_values.h"

// Does the same as the program, for as long as the maps hold what is said here. The verifier finds the same constants
// and leaves branches that are never taken out, but keeps every load and comparison that leads to them.
std::vector<bpf_insn> Specialize(const std::vector<bpf_insn>& instructions, const Constants& constants);
