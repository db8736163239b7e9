#include "optimizer/specialize.h"

#include <utility>

#include "optimizer/live_values.h"

namespace {

constexpr size_t kNone = static_cast<size_t>(-1);

Operation JumpTo(size_t target) {
  Operation operation = {.target = target};
  operation.code.code = BPF_JMP | BPF_JA;
  return operation;
}

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

// Lays reached operations out again, each after the one before it where that can be.
class Layout {
 public:
  Layout(const std::vector<Operation>& program, const std::vector<bool>& kept)
      : program_(program), kept_(kept), place_(program.size(), kNone) {}

  std::vector<Operation> Run() {
    open_.push_back(0);
    while (!open_.empty()) {
      size_t at = open_.back();
      open_.pop_back();
      if (place_[Skip(at)] == kNone) LayOut(Skip(at));
    }
    for (Operation& operation : result_)
      if (operation.IsJump() || operation.IsBranch()) operation.target = place_[Skip(operation.target)];
    return std::move(result_);
  }

 private:
  // From operations that do nothing to the next that does something.
  size_t Skip(size_t at) const {
    for (size_t steps = 0; steps < program_.size(); steps++) {
      if (program_[at].IsJump())
        at = program_[at].target;
      else if (!kept_[at])
        at++;
      else
        break;
    }
    return at;
  }

  void LayOut(size_t at) {
    while (place_[at] == kNone) {
      place_[at] = result_.size();
      result_.push_back(program_[at]);
      if (program_[at].IsExit()) return;
      if (program_[at].IsBranch()) open_.push_back(program_[at].target);
      at = Skip(at + 1);
    }
    result_.push_back(JumpTo(at));
  }

  const std::vector<Operation>& program_;
  const std::vector<bool>& kept_;
  std::vector<size_t> place_;  // in the result
  std::vector<size_t> open_;
  std::vector<Operation> result_;
};

}  // namespace

std::vector<bpf_insn> Specialize(const std::vector<bpf_insn>& instructions, const Constants& constants) {
  std::optional<std::vector<Operation>> program = ToOperations(instructions);
  if (!program || program->empty()) return instructions;

  // Only what is reached, in the same order: what an operation goes on with comes after it here too.
  std::vector<Operation> simple;
  std::vector<StackUse> uses;
  std::vector<size_t> place(program->size() + 1);
  KnownValues(*program, constants).ForEach([&](size_t at, const State& before) {
    place[at] = simple.size();
    simple.push_back(Simplified((*program)[at], at, before, constants));
    uses.push_back(StackUseOf(simple.back(), before));
  });
  for (Operation& operation : simple)
    if (operation.IsJump() || operation.IsBranch()) operation.target = place[operation.target];
  std::vector<bool> kept = FindUsed(simple, uses);
  std::optional<std::vector<bpf_insn>> result = ToInstructions(Layout(simple, kept).Run());
  return result ? *result : instructions;
}
