#include "optimizer/live_values.h"

#include <utility>

namespace {

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

bool HasEffect(const Operation& operation, const State& before, const Live& after) {
  switch (operation.Class()) {
    case BPF_LD:
    case BPF_LDX:
    case BPF_ALU:
    case BPF_ALU64: return after.registers & Bit(operation.code.dst_reg);
    case BPF_ST:
    case BPF_STX: {
      const Value& base = before.registers[operation.code.dst_reg];
      if (operation.IsAtomic() || base.kind != Value::kStack) return true;
      return after.stack & SlotsAt(base, operation.code.off, AccessBytes(operation.code));
    }
    default: return true;
  }
}

void CallBefore(const Operation& call, const State& before, Live& live) {
  live.registers &= ~kLostInCalls;
  for (unsigned argument = 1; argument <= call.CallArguments(); argument++) {
    live.registers |= Bit(argument);
    const Value& value = before.registers[argument];
    if (value.kind == Value::kStack) live.stack |= SlotsFrom(static_cast<int64_t>(value.number));
    if (value.kind == Value::kAny) live.stack = ~0ULL;
  }
}

// What lives before an operation that has an effect.
Live Before(const Operation& operation, const State& before, Live live) {
  uint32_t dst = Bit(operation.code.dst_reg), src = Bit(operation.code.src_reg);
  switch (operation.Class()) {
    case BPF_LD: live.registers &= ~dst; break;
    case BPF_LDX:
      live.registers = (live.registers & ~dst) | src;
      live.stack |= SlotsAt(before.registers[operation.code.src_reg], operation.code.off, AccessBytes(operation.code));
      break;
    case BPF_ST:
    case BPF_STX:
      live.stack &= ~SlotReplaced(operation, before);
      if (operation.IsAtomic())
        live.stack |=
            SlotsAt(before.registers[operation.code.dst_reg], operation.code.off, AccessBytes(operation.code));
      live.registers |= dst | (operation.Class() == BPF_STX ? src : 0) | (operation.IsAtomic() ? Bit(0) : 0);
      break;
    case BPF_ALU:
    case BPF_ALU64:
      if (operation.IsMove()) live.registers &= ~dst;
      if (!operation.IsMove()) live.registers |= dst;
      if (operation.HasRegisterOperand() && BPF_OP(operation.code.code) != BPF_END) live.registers |= src;
      break;
    default:
      if (operation.IsCall()) CallBefore(operation, before, live);
      if (operation.IsExit()) live = {.registers = Bit(0)};
      if (operation.IsBranch()) live.registers |= dst | (operation.HasRegisterOperand() ? src : 0);
  }
  return live;
}

}  // namespace

Usage FindUsage(const std::vector<Operation>& program, const std::vector<std::optional<State>>& states) {
  std::vector<Live> live(program.size() + 1);
  std::vector<bool> used(program.size());
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t i = program.size(); i-- > 0;) {
      if (!states[i]) continue;
      const Operation& operation = program[i];
      Live after = operation.IsJump() || operation.IsExit() ? Live{} : live[i + 1];
      if (operation.IsJump() || operation.IsBranch()) {
        after.registers |= live[operation.target].registers;
        after.stack |= live[operation.target].stack;
      }
      bool is_used = HasEffect(operation, *states[i], after);
      Live before = is_used ? Before(operation, *states[i], after) : after;
      changed |= before != live[i] || is_used != used[i];
      live[i] = before;
      used[i] = is_used;
    }
  }
  return {.live = std::move(live), .used = std::move(used)};
}

std::vector<bool> FindUsed(const std::vector<Operation>& program, const std::vector<std::optional<State>>& states) {
  return FindUsage(program, states).used;
}
