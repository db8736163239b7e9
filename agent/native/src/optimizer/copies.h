// Copies of values in registers and stack slots.
#pragma once

#include "optimizer/known_values.h"

// Reads values where they were first, instead of from copies. What only made the copies is then used by nothing.
void UseOriginals(std::vector<Operation>& program, const std::vector<std::optional<State>>& states);
