// The part of a program that few runs reach, as a subprogram.
#pragma once

#include <vector>

#include "optimizer/known_values.h"

// Where a run can end early without using registers 6 to 9, the rest becomes a subprogram: the compiled program saves
// these registers where it begins, whether it comes to use them or not. Returns the program itself where it has no such
// end, or something that a subprogram would change.
std::vector<Operation> Outlined(const std::vector<Operation>& program, const std::vector<std::optional<State>>& states);
