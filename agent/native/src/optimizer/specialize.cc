#include "optimizer/specialize.h"

#include <utility>

#include "optimizer/copies.h"
#include "optimizer/layout.h"
#include "optimizer/live_values.h"
#include "optimizer/outline.h"

namespace {

using States = std::vector<std::optional<State>>;

// Replaces a register by the known number in it, as an immediate.
void UseImmediate(Operation& operation, uint64_t number) {
  operation.code.code = static_cast<uint8_t>(operation.code.code & ~BPF_X);
  operation.code.src_reg = 0;
  operation.code.imm = static_cast<int32_t>(number);
}

void UseKnownOperand(Operation& operation, const State& before) {
  bool is_store = operation.Class() == BPF_STX && !operation.IsAtomic();
  bool has_operand = (operation.IsAlu() && BPF_OP(operation.code.code) != BPF_END) || operation.IsBranch();
  if (!is_store && !(has_operand && operation.HasRegisterOperand())) return;
  const Value& value = before.registers[operation.code.src_reg];
  if (value.kind != Value::kNumber || !FitsImmediate(value.number)) return;
  // What a register brings to the stack the verifier knows there; up to 6.7 an immediate becomes any number.
  if (is_store && before.registers[operation.code.dst_reg].MayBeStack()) return;
  if (is_store) {
    operation.code.code = static_cast<uint8_t>((operation.code.code & ~7) | BPF_ST);
    operation.code.src_reg = 0;
    operation.code.imm = static_cast<int32_t>(value.number);
  } else {
    UseImmediate(operation, value.number);
  }
}

Operation Simplified(const Operation& operation, size_t at, const State& before, const Constants& constants) {
  Operation simple = operation;
  if (operation.IsBranch()) {
    if (std::optional<bool> taken = IsTaken(operation, before)) return JumpTo(*taken ? operation.target : at + 1);
  } else if (operation.IsAlu() || operation.Class() == BPF_LDX) {
    Value result = ResultOf(operation, before, constants);
    if (result.kind == Value::kNumber) return LoadNumber(operation.code.dst_reg, result.number);
  }
  UseKnownOperand(simple, before);
  return simple;
}

bool IsShiftBy32(const Operation& operation, uint8_t direction) {
  return operation.code.code == (BPF_ALU64 | direction | BPF_K) && operation.code.imm == 32;
}

std::vector<bool> FindTargets(const std::vector<Operation>& program) {
  std::vector<bool> targets(program.size());
  for (const Operation& operation : program)
    if (operation.IsJump() || operation.IsBranch()) targets[operation.target] = true;
  return targets;
}

// The compiler widens numbers of 32 bits by shifting them up and down again; loads have widened most of them already.
void DropWidening(std::vector<Operation>& program, const States& states) {
  std::vector<bool> targets = FindTargets(program);
  for (size_t i = 0; i + 2 < program.size(); i++) {
    Operation &up = program[i], &down = program[i + 1];
    if (!states[i] || !IsShiftBy32(up, BPF_LSH) || !IsShiftBy32(down, BPF_RSH)) continue;
    if (up.code.dst_reg != down.code.dst_reg || targets[i + 1]) continue;
    if (!states[i]->registers[up.code.dst_reg].IsU32()) continue;
    up = JumpTo(i + 1);
    down = JumpTo(i + 2);
  }
}

// A reached operation's state, none for the others.
States StatesOf(const std::vector<Operation>& program, const Constants& constants) {
  States states(program.size());
  KnownValues(program, constants).ForEach([&](size_t at, const State& before) { states[at] = before; });
  return states;
}

// Only what is reached, with the state before each, in the same order: what an operation goes on with comes after it here
// too. A template is large, and little of it is reached: nothing that follows has tables for all of it.
States KeepReached(std::vector<Operation>& program, const Constants& constants) {
  std::vector<Operation> reached;
  States states;
  std::vector<size_t> place(program.size() + 1);
  KnownValues(program, constants).ForEach([&](size_t at, const State& before) {
    place[at] = reached.size();
    reached.push_back(Simplified(program[at], at, before, constants));
    states.push_back(before);
  });
  for (Operation& operation : reached)
    if (operation.IsJump() || operation.IsBranch()) operation.target = place[operation.target];
  program = std::move(reached);
  return states;
}

}  // namespace

std::vector<bpf_insn> Specialize(const std::vector<bpf_insn>& instructions, const Constants& constants) {
  std::optional<std::vector<Operation>> program = ToOperations(instructions);
  if (!program || program->empty()) return instructions;

  States states = KeepReached(*program, constants);
  *program = LaidOut(*program, FindUsed(*program, states));
  // Once more, because less is left: operations that follow each other now stand together.
  states = StatesOf(*program, constants);
  DropWidening(*program, states);
  UseOriginals(*program, states);
  *program = LaidOut(*program, FindUsed(*program, states));
  *program = Outlined(*program, StatesOf(*program, constants));
  std::optional<std::vector<bpf_insn>> result = ToInstructions(*program);
  return result ? *result : instructions;
}
