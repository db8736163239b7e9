// Which operations have an effect, or a result that something uses.
#pragma once

#include <vector>

#include "optimizer/known_values.h"

// What an operation does with the stack; slots are bits.
struct StackUse {
  uint64_t read = 0;      // may be read
  uint64_t replaced = 0;  // replaced as a whole by a store that does nothing else
};

StackUse StackUseOf(const Operation& operation, const State& before);

// False for those that can be left out.
std::vector<bool> FindUsed(const std::vector<Operation>& program, const std::vector<StackUse>& uses);
