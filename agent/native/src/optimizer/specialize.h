// Removes instructions that the contents of frozen maps make superfluous.
#pragma once

#include <linux/bpf.h>

#include <vector>

#include "optimizer/known_values.h"

// The result does the same as the program while the maps have these contents. The verifier finds the same constants
// and leaves branches that are never taken out, but keeps every load and comparison that leads to them.
std::vector<bpf_insn> Specialize(const std::vector<bpf_insn>& instructions, const Constants& constants);
