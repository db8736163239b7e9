#include "optimizer/copies.h"

namespace {

// A value that has no name, and a number that was added to it.
struct Symbol {
  size_t value = 0;
  int64_t added = 0;

  bool operator==(const Symbol&) const = default;
};

// What registers and stack slots hold, from one operation to the next of a program part without other ways in.
class Symbols {
 public:
  Symbols() { Forget(); }

  void Forget() {
    for (size_t i = 0; i < registers_.size(); i++) Define(i, Fresh());
    for (Symbol& slot : stack_) slot = Fresh();
  }

  const Symbol& Register(size_t i) const { return registers_[i]; }
  const Symbol& Slot(size_t i) const { return stack_[i]; }
  Symbol Fresh() { return {.value = ++last_}; }

  void Define(size_t i, const Symbol& symbol) {
    registers_[i] = symbol;
    since_[i] = ++time_;
  }
  // From here on the verifier may know more of one copy than of another.
  void Compare() { compared_ = ++time_; }
  bool IsSinceComparison(size_t i) const { return since_[i] > compared_; }
  void SetSlot(size_t i, const Symbol& symbol) { stack_[i] = symbol; }
  void ForgetSlots(uint64_t slots) {
    for (size_t i = 0; i < stack_.size(); i++)
      if (slots >> i & 1) stack_[i] = Fresh();
  }

  // The register that has held the value for the longest time.
  std::optional<size_t> Oldest(size_t value) const {
    std::optional<size_t> oldest;
    for (size_t i = 0; i < registers_.size(); i++)
      if (registers_[i].value == value && (!oldest || since_[i] < since_[*oldest])) oldest = i;
    return oldest;
  }
  std::optional<size_t> OldestSame(const Symbol& symbol) const {
    std::optional<size_t> oldest;
    for (size_t i = 0; i < registers_.size(); i++)
      if (registers_[i] == symbol && (!oldest || since_[i] < since_[*oldest])) oldest = i;
    return oldest;
  }

 private:
  size_t last_ = 0, time_ = 0, compared_ = 0;
  std::array<Symbol, 11> registers_;
  std::array<size_t, 11> since_ = {};
  std::array<Symbol, kStackSlots> stack_;
};

// The slot that an access is about as a whole.
std::optional<size_t> WholeSlot(const Operation& operation, const Value& base) {
  int64_t offset = static_cast<int64_t>(base.number) + operation.code.off;
  bool is_whole = base.kind == Value::kStack && AccessBytes(operation.code) == 8 && offset % 8 == 0;
  if (!is_whole || operation.IsAtomic() || offset >= 0 || offset < -8 * kStackSlots) return std::nullopt;
  return static_cast<size_t>(kStackSlots + offset / 8);
}

bool IsStore(const Operation& operation) { return operation.Class() == BPF_ST || operation.Class() == BPF_STX; }

// Bases of accesses are addresses: what is compared with NULL, the verifier knows of all copies.
void UseOldestBase(Operation& operation, const Symbols& symbols) {
  bool is_load = operation.Class() == BPF_LDX;
  if (!is_load && !IsStore(operation)) return;
  const Symbol& symbol = symbols.Register(is_load ? operation.code.src_reg : operation.code.dst_reg);
  std::optional<size_t> oldest = symbols.Oldest(symbol.value);
  int64_t offset = operation.code.off + symbol.added - symbols.Register(*oldest).added;
  if (offset != static_cast<int16_t>(offset)) return;
  operation.code.off = static_cast<int16_t>(offset);
  if (is_load)
    operation.code.src_reg = *oldest & 0xf;
  else
    operation.code.dst_reg = *oldest & 0xf;
}

// Numbers that have been compared stay where they are: the verifier knows the bounds of that copy.
void UseOldestSource(Operation& operation, const Symbols& symbols) {
  if (operation.Class() != BPF_STX || operation.IsAtomic()) return;
  size_t source = operation.code.src_reg;
  std::optional<size_t> oldest = symbols.OldestSame(symbols.Register(source));
  if (symbols.IsSinceComparison(source)) operation.code.src_reg = *oldest & 0xf;
}

Operation Move(uint8_t dst, size_t src) {
  Operation operation = {};
  operation.code.code = BPF_ALU64 | BPF_MOV | BPF_X;
  operation.code.dst_reg = dst & 0xf;
  operation.code.src_reg = src & 0xf;
  return operation;
}

void DropMove(Operation& operation, size_t at, const Symbols& symbols) {
  if (operation.code.code != (BPF_ALU64 | BPF_MOV | BPF_X)) return;
  size_t dst = operation.code.dst_reg, src = operation.code.src_reg;
  bool is_same = symbols.Register(dst) == symbols.Register(src);
  if (is_same && symbols.IsSinceComparison(dst) && symbols.IsSinceComparison(src)) operation = JumpTo(at + 1);
}

// A slot's value from a register that has it as well.
void UseRegister(Operation& operation, size_t at, const Symbols& symbols, const State& before) {
  if (operation.Class() != BPF_LDX) return;
  std::optional<size_t> slot = WholeSlot(operation, before.registers[operation.code.src_reg]);
  if (!slot) return;
  const Symbol& symbol = symbols.Slot(*slot);
  if (symbols.Register(operation.code.dst_reg) == symbol)
    operation = JumpTo(at + 1);
  else if (std::optional<size_t> found = symbols.OldestSame(symbol))
    operation = Move(operation.code.dst_reg, *found);
}

void FollowStore(const Operation& operation, Symbols& symbols, const State& before) {
  const Value& base = before.registers[operation.code.dst_reg];
  if (base.kind == Value::kAny) symbols.ForgetSlots(~0ULL);
  if (base.kind == Value::kStack) {
    std::optional<size_t> slot = WholeSlot(operation, base);
    int64_t offset = static_cast<int64_t>(base.number) + operation.code.off;
    symbols.ForgetSlots(SlotsTouched(offset, AccessBytes(operation.code)));
    if (slot && operation.Class() == BPF_STX) symbols.SetSlot(*slot, symbols.Register(operation.code.src_reg));
  }
  if (!operation.IsAtomic()) return;
  symbols.Define(operation.code.src_reg, symbols.Fresh());
  symbols.Define(BPF_REG_0, symbols.Fresh());
}

void FollowCall(const Operation& call, Symbols& symbols, const State& before) {
  for (size_t argument = 1; argument <= call.CallArguments(); argument++) {
    const Value& value = before.registers[argument];
    if (value.kind == Value::kStack) symbols.ForgetSlots(SlotsFrom(static_cast<int64_t>(value.number)));
    if (value.kind == Value::kAny) symbols.ForgetSlots(~0ULL);
  }
  for (size_t lost = BPF_REG_0; lost <= BPF_REG_5; lost++) symbols.Define(lost, symbols.Fresh());
}

Symbol Defined(const Operation& operation, Symbols& symbols, const State& before) {
  if (operation.Class() == BPF_LDX) {
    std::optional<size_t> slot = WholeSlot(operation, before.registers[operation.code.src_reg]);
    return slot ? symbols.Slot(*slot) : symbols.Fresh();
  }
  if (operation.code.code == (BPF_ALU64 | BPF_MOV | BPF_X)) return symbols.Register(operation.code.src_reg);
  if (operation.code.code != (BPF_ALU64 | BPF_ADD | BPF_K)) return symbols.Fresh();
  Symbol symbol = symbols.Register(operation.code.dst_reg);
  symbol.added += operation.code.imm;
  return symbol;
}

void Follow(const Operation& operation, Symbols& symbols, const State& before) {
  if (IsStore(operation)) return FollowStore(operation, symbols, before);
  if (operation.IsBranch()) symbols.Compare();
  if (operation.IsCall()) return FollowCall(operation, symbols, before);
  bool defines = operation.IsAlu() || operation.Class() == BPF_LD || operation.Class() == BPF_LDX;
  if (defines) symbols.Define(operation.code.dst_reg, Defined(operation, symbols, before));
}

}  // namespace

void UseOriginals(std::vector<Operation>& program, const std::vector<std::optional<State>>& states) {
  auto leaves = [&](size_t i) { return program[i].IsExit() || (program[i].IsJump() && program[i].target != i + 1); };
  auto jumps = [&](size_t i) { return program[i].IsBranch() || leaves(i); };
  std::vector<bool> entered(program.size());  // from somewhere else than the operation before
  for (size_t i = 0; i < program.size(); i++)
    if (states[i] && !program[i].IsExit() && jumps(i)) entered[program[i].target] = true;
  Symbols symbols;
  for (size_t i = 0; i < program.size(); i++) {
    if (!states[i]) continue;
    if (i == 0 || !states[i - 1] || leaves(i - 1) || entered[i]) symbols.Forget();
    UseOldestBase(program[i], symbols);
    UseOldestSource(program[i], symbols);
    DropMove(program[i], i, symbols);
    UseRegister(program[i], i, symbols, *states[i]);
    Follow(program[i], symbols, *states[i]);
  }
}
