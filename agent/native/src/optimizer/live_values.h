// Which operations have an effect, or a result that something uses.
#pragma once

#include <vector>

#include "optimizer/known_values.h"

// Registers and stack slots whose value something may still use.
struct Live {
  uint32_t registers = 0;
  uint64_t stack = 0;

  bool operator==(const Live&) const = default;
};

struct Usage {
  std::vector<Live> live;  // before each operation
  std::vector<bool> used;  // see FindUsed()
};

Usage FindUsage(const std::vector<Operation>& program, const std::vector<std::optional<State>>& states);

// False for those that can be left out, and those that are never reached.
std::vector<bool> FindUsed(const std::vector<Operation>& program, const std::vector<std::optional<State>>& states);
