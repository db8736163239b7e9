#include "optimizer/live_values.h"

namespace {

// Registers and stack slots whose value something may still use.
struct Live {
  uint32_t registers = 0;
  uint64_t stack = 0;

  bool operator==(const Live&) const = default;
};

constexpr uint32_t Bit(unsigned reg) { return 1u << reg; }
constexpr uint32_t kLostInCalls = 0x3f;

// The slots behind an address.
uint64_t SlotsAt(const Value& base, int16_t offset, uint64_t size) {
  if (base.kind == Value::kStack) return SlotsTouched(static_cast<int64_t>(base.number) + offset, size);
  return base.kind == Value::kAny ? ~0ULL : 0;
}

// The slot that a store replaces as a whole.
uint64_t SlotReplaced(const Operation& operation, const State& before) {
  const Value& base = before.registers[operation.code.dst_reg];
  bool is_store = operation.Class() == BPF_ST || operation.Class() == BPF_STX;
  if (!is_store || operation.IsAtomic() || base.kind != Value::kStack || AccessBytes(operation.code) != 8) return 0;
  int64_t offset = static_cast<int64_t>(base.number) + operation.code.off;
  return offset % 8 == 0 ? SlotsTouched(offset, 8) : 0;
}

// What a helper may reach through its arguments.
uint64_t SlotsPassed(const Operation& call, const State& before) {
  uint64_t slots = 0;
  for (unsigned argument = 1; argument <= call.CallArguments(); argument++) {
    const Value& value = before.registers[argument];
    if (value.kind == Value::kStack) slots |= SlotsFrom(static_cast<int64_t>(value.number));
    if (value.kind == Value::kAny) slots = ~0ULL;
  }
  return slots;
}

uint64_t SlotsRead(const Operation& operation, const State& before) {
  const bpf_insn& code = operation.code;
  if (operation.Class() == BPF_LDX) return SlotsAt(before.registers[code.src_reg], code.off, AccessBytes(code));
  if (operation.IsAtomic()) return SlotsAt(before.registers[code.dst_reg], code.off, AccessBytes(code));
  return operation.IsCall() ? SlotsPassed(operation, before) : 0;
}

bool HasEffect(const Operation& operation, const StackUse& use, const Live& after) {
  switch (operation.Class()) {
    case BPF_LD:
    case BPF_LDX:
    case BPF_ALU:
    case BPF_ALU64: return after.registers & Bit(operation.code.dst_reg);
    case BPF_ST:
    case BPF_STX: return !use.replaced || (after.stack & use.replaced);
    default: return true;
  }
}

void CallBefore(const Operation& call, Live& live) {
  live.registers &= ~kLostInCalls;
  for (unsigned argument = 1; argument <= call.CallArguments(); argument++) live.registers |= Bit(argument);
}

// What lives before an operation that has an effect.
Live Before(const Operation& operation, const StackUse& use, Live live) {
  uint32_t dst = Bit(operation.code.dst_reg), src = Bit(operation.code.src_reg);
  live.stack = (live.stack & ~use.replaced) | use.read;
  switch (operation.Class()) {
    case BPF_LD: live.registers &= ~dst; break;
    case BPF_LDX: live.registers = (live.registers & ~dst) | src; break;
    case BPF_ST:
    case BPF_STX:
      live.registers |= dst | (operation.Class() == BPF_STX ? src : 0) | (operation.IsAtomic() ? Bit(0) : 0);
      break;
    case BPF_ALU:
    case BPF_ALU64:
      if (operation.IsMove()) live.registers &= ~dst;
      if (!operation.IsMove()) live.registers |= dst;
      if (operation.HasRegisterOperand() && BPF_OP(operation.code.code) != BPF_END) live.registers |= src;
      break;
    default:
      if (operation.IsCall()) CallBefore(operation, live);
      if (operation.IsExit()) live = {.registers = Bit(0)};
      if (operation.IsBranch()) live.registers |= dst | (operation.HasRegisterOperand() ? src : 0);
  }
  return live;
}

}  // namespace

StackUse StackUseOf(const Operation& operation, const State& before) {
  return {.read = SlotsRead(operation, before), .replaced = SlotReplaced(operation, before)};
}

std::vector<bool> FindUsed(const std::vector<Operation>& program, const std::vector<StackUse>& uses) {
  std::vector<Live> live(program.size() + 1);
  std::vector<bool> used(program.size());
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t i = program.size(); i-- > 0;) {
      const Operation& operation = program[i];
      Live after = operation.IsJump() || operation.IsExit() ? Live{} : live[i + 1];
      if (operation.IsJump() || operation.IsBranch()) {
        after.registers |= live[operation.target].registers;
        after.stack |= live[operation.target].stack;
      }
      bool is_used = HasEffect(operation, uses[i], after);
      Live before = is_used ? Before(operation, uses[i], after) : after;
      changed |= before != live[i] || is_used != used[i];
      live[i] = before;
      used[i] = is_used;
    }
  }
  return used;
}
