// The order of operations.
#pragma once

#include <vector>

#include "optimizer/instructions.h"

// The operations that are reached from `start`, without those that are not kept, each after the one before it where that
// can be.
std::vector<Operation> LaidOut(const std::vector<Operation>& program, std::vector<bool> kept, size_t start = 0);
