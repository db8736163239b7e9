// Which operations have an effect, or a result that something uses.
#pragma once

#include <vector>

#include "optimizer/known_values.h"

// False for those that can be left out, and those that are never reached.
std::vector<bool> FindUsed(const std::vector<Operation>& program, const std::vector<std::optional<State>>& states);
