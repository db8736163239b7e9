#include "optimizer/known_values.h"

#include <cstring>

namespace {

constexpr uint32_t kNoState = UINT32_MAX;
constexpr Value kForeignValue = {.kind = Value::kForeign};
constexpr Value kForeignU32 = {.kind = Value::kForeign, .is_u32 = true};
constexpr Value kAnyValue = {.kind = Value::kAny};

Value Number(uint64_t number) { return {.kind = Value::kNumber, .number = number}; }

Value Joined(const Value& a, const Value& b) {
  if (a == b || b.kind == Value::kNever) return a;
  if (a.kind == Value::kNever) return b;
  if (a.MayBeStack() || b.MayBeStack()) return kAnyValue;
  return a.IsU32() && b.IsU32() ? kForeignU32 : kForeignValue;
}

// Whether the upper half of the result is zero, whatever the operands are.
bool MakesU32(uint8_t operation, bool is64, const Value& a, const Value& b) {
  if (!is64) return operation != BPF_END;  // which may swap all 64 bits
  if (operation == BPF_AND) return a.IsU32() || b.IsU32();
  return operation == BPF_RSH && b.kind == Value::kNumber && (b.number & 63) >= 32;
}

Value Operand(const Operation& operation, const State& state) {
  if (operation.HasRegisterOperand()) return state.registers[operation.code.src_reg];
  return Number(static_cast<uint64_t>(static_cast<int64_t>(operation.code.imm)));
}

// Nothing for what is not worth it here: divisions and byte swaps.
std::optional<uint64_t> Calculate64(uint8_t operation, uint64_t a, uint64_t b) {
  switch (operation) {
    case BPF_ADD: return a + b;
    case BPF_SUB: return a - b;
    case BPF_MUL: return a * b;
    case BPF_OR: return a | b;
    case BPF_AND: return a & b;
    case BPF_XOR: return a ^ b;
    case BPF_LSH: return a << (b & 63);
    case BPF_RSH: return a >> (b & 63);
    case BPF_ARSH: return static_cast<uint64_t>(static_cast<int64_t>(a) >> (b & 63));
    case BPF_NEG: return -a;
    case BPF_MOV: return b;
    default: return std::nullopt;
  }
}

std::optional<uint64_t> Calculate32(uint8_t operation, uint32_t a, uint32_t b) {
  if (operation == BPF_LSH) return a << (b & 31);
  if (operation == BPF_RSH) return a >> (b & 31);
  if (operation == BPF_ARSH) return static_cast<uint32_t>(static_cast<int32_t>(a) >> (b & 31));
  std::optional<uint64_t> result = Calculate64(operation, a, b);
  if (result) *result = static_cast<uint32_t>(*result);
  return result;
}

Value Calculated(const Operation& operation, const State& state) {
  uint8_t kind = BPF_OP(operation.code.code);
  bool is64 = operation.Class() == BPF_ALU64;
  const Value& a = state.registers[operation.code.dst_reg];
  Value b = kind == BPF_END ? kForeignValue : Operand(operation, state);

  if (kind == BPF_MOV && is64) return b;
  if (b.kind == Value::kNumber && (a.kind == Value::kNumber || kind == BPF_MOV)) {
    auto result = is64 ? Calculate64(kind, a.number, b.number)
                       : Calculate32(kind, static_cast<uint32_t>(a.number), static_cast<uint32_t>(b.number));
    return result ? Number(*result) : kForeignValue;
  }
  if (is64 && (kind == BPF_ADD || kind == BPF_SUB) && b.kind == Value::kNumber &&
      (a.kind == Value::kContent || a.kind == Value::kStack)) {
    Value moved = a;
    moved.number = kind == BPF_ADD ? a.number + b.number : a.number - b.number;
    return moved;
  }
  if (is64 && kind == BPF_ADD && a.kind == Value::kNumber && (b.kind == Value::kContent || b.kind == Value::kStack)) {
    Value moved = b;
    moved.number += a.number;
    return moved;
  }
  if ((kind != BPF_MOV && a.MayBeStack()) || b.MayBeStack()) return kAnyValue;
  return MakesU32(kind, is64, a, b) ? kForeignU32 : kForeignValue;
}

Value LoadedConstant(const std::vector<uint8_t>& content, uint64_t offset, uint64_t size) {
  if (size > content.size() || offset > content.size() - size) return kForeignValue;  // the verifier will refuse it
  uint64_t number = 0;
  std::memcpy(&number, content.data() + offset, size);
  return Number(number);
}

Value Loaded(const Operation& operation, const State& state, const Constants& constants) {
  const Value& base = state.registers[operation.code.src_reg];
  uint64_t size = AccessBytes(operation.code);
  uint64_t at = base.number + static_cast<uint64_t>(static_cast<int64_t>(operation.code.off));
  if (base.kind == Value::kContent) return LoadedConstant(constants.at(base.map), at, size);
  if (size < 8) return kForeignU32;  // part of an address is none
  if (base.kind != Value::kStack) return base.kind == Value::kAny ? kAnyValue : kForeignValue;
  int64_t offset = static_cast<int64_t>(at);
  if (offset % 8 != 0 || offset < -8 * kStackSlots || offset >= 0) return kAnyValue;
  return state.stack[static_cast<size_t>(kStackSlots + offset / 8)];
}

// These slots may have been overwritten.
void Overwrite(State& state, uint64_t slots, const Value& value = kForeignValue) {
  for (size_t slot = 0; slot < kStackSlots; slot++)
    if (slots >> slot & 1) state.stack[slot] = Joined(state.stack[slot], value);
}

void Store(const Operation& operation, State& state) {
  const Value& base = state.registers[operation.code.dst_reg];
  Value value = operation.Class() == BPF_STX ? state.registers[operation.code.src_reg]
                                             : Number(static_cast<uint64_t>(static_cast<int64_t>(operation.code.imm)));
  if (base.kind == Value::kAny) Overwrite(state, ~0ULL, Joined(value, kForeignValue));
  if (base.kind != Value::kStack) return;
  int64_t offset = static_cast<int64_t>(base.number) + operation.code.off;
  uint64_t size = AccessBytes(operation.code);
  bool replaces = size == 8 && offset % 8 == 0 && offset >= -8 * kStackSlots && offset < 0 && !operation.IsAtomic();
  if (replaces) state.stack[static_cast<size_t>(kStackSlots + offset / 8)] = value;
  if (!replaces) Overwrite(state, SlotsTouched(offset, size));
}

void Call(const Operation& call, State& state) {
  for (size_t argument = 1; argument <= call.CallArguments(); argument++) {
    const Value& value = state.registers[argument];
    if (value.kind == Value::kStack) Overwrite(state, SlotsFrom(static_cast<int64_t>(value.number)));
    if (value.kind == Value::kAny) Overwrite(state, ~0ULL);
  }
  for (size_t lost = BPF_REG_0; lost <= BPF_REG_5; lost++) state.registers[lost] = kForeignValue;
}

void Apply(const Operation& operation, State& state, const Constants& constants) {
  switch (operation.Class()) {
    case BPF_ST:
    case BPF_STX:
      Store(operation, state);
      if (operation.IsAtomic()) {
        for (size_t result : {size_t{operation.code.src_reg}, size_t{BPF_REG_0}})
          state.registers[result] = Joined(state.registers[result], kForeignValue);
      }
      return;
    case BPF_JMP:
    case BPF_JMP32:
      if (operation.IsCall()) Call(operation, state);
      return;
    default: state.registers[operation.code.dst_reg] = ResultOf(operation, state, constants);
  }
}

template <typename Signed, typename Unsigned>
bool Compare(uint8_t operation, Unsigned a, Unsigned b) {
  switch (operation) {
    case BPF_JEQ: return a == b;
    case BPF_JNE: return a != b;
    case BPF_JGT: return a > b;
    case BPF_JGE: return a >= b;
    case BPF_JLT: return a < b;
    case BPF_JLE: return a <= b;
    case BPF_JSET: return a & b;
    case BPF_JSGT: return static_cast<Signed>(a) > static_cast<Signed>(b);
    case BPF_JSGE: return static_cast<Signed>(a) >= static_cast<Signed>(b);
    case BPF_JSLT: return static_cast<Signed>(a) < static_cast<Signed>(b);
    default:  // BPF_JSLE
      return static_cast<Signed>(a) <= static_cast<Signed>(b);
  }
}

State StateAtStart() {
  State state;
  state.registers.fill(kForeignValue);
  state.registers[BPF_REG_10] = {.kind = Value::kStack};
  state.stack.fill(kForeignValue);
  return state;
}

}  // namespace

bool State::Join(const State& other) {
  bool changed = false;
  auto join = [&](Value& mine, const Value& theirs) {
    Value joined = Joined(mine, theirs);
    changed |= joined != mine;
    mine = joined;
  };
  for (size_t i = 0; i < registers.size(); i++) join(registers[i], other.registers[i]);
  for (size_t i = 0; i < stack.size(); i++) join(stack[i], other.stack[i]);
  return changed;
}

uint64_t SlotsTouched(int64_t offset, uint64_t size) {
  uint64_t slots = 0;
  for (int64_t at = offset; at < offset + static_cast<int64_t>(size); at++)
    if (at < 0 && at >= -8 * kStackSlots) slots |= 1ULL << ((at + 8 * kStackSlots) / 8);
  return slots;
}

uint64_t SlotsFrom(int64_t offset) {
  if (offset >= 0) return 0;
  return offset < -8 * kStackSlots ? ~0ULL : ~0ULL << ((offset + 8 * kStackSlots) / 8);
}

uint64_t AccessBytes(const bpf_insn& code) {
  switch (BPF_SIZE(code.code)) {
    case BPF_B: return 1;
    case BPF_H: return 2;
    case BPF_W: return 4;
    default: return 8;
  }
}

Value ResultOf(const Operation& operation, const State& before, const Constants& constants) {
  if (operation.IsAlu()) return Calculated(operation, before);
  if (operation.Class() == BPF_LDX) return Loaded(operation, before, constants);
  if (operation.code.src_reg == 0) return Number(static_cast<uint64_t>(operation.wide));
  if (operation.code.src_reg == BPF_PSEUDO_MAP_VALUE && constants.contains(operation.code.imm)) {
    return {.kind = Value::kContent, .map = operation.code.imm, .number = static_cast<uint32_t>(operation.upper)};
  }
  return kForeignValue;
}

std::optional<bool> IsTaken(const Operation& operation, const State& before) {
  const Value& a = before.registers[operation.code.dst_reg];
  Value b = Operand(operation, before);
  if (a.kind != Value::kNumber || b.kind != Value::kNumber) return std::nullopt;
  uint8_t kind = BPF_OP(operation.code.code);
  if (operation.Class() == BPF_JMP) return Compare<int64_t, uint64_t>(kind, a.number, b.number);
  return Compare<int32_t, uint32_t>(kind, static_cast<uint32_t>(a.number), static_cast<uint32_t>(b.number));
}

KnownValues::KnownValues(const std::vector<Operation>& program, const Constants& constants)
    : program_(program), constants_(constants), is_target_(program.size()), state_of_(program.size(), kNoState) {
  is_target_[0] = true;
  for (const Operation& operation : program)
    if ((operation.IsJump() || operation.IsBranch()) && operation.target < program.size())
      is_target_[operation.target] = true;

  std::vector<size_t> open;
  Reach reach = [&](size_t target, const State& state) {
    if (target >= program.size()) return;
    uint32_t& index = state_of_[target];
    if (index == kNoState) {
      index = static_cast<uint32_t>(states_.size());
      states_.push_back(state);
    } else if (!states_[index].Join(state)) {
      return;
    }
    open.push_back(target);
  };
  reach(0, StateAtStart());
  while (!open.empty()) {
    size_t at = open.back();
    open.pop_back();
    Walk(at, nullptr, &reach);
  }
}

void KnownValues::ForEach(const Visit& visit) const {
  for (size_t at = 0; at < program_.size(); at++)
    if (state_of_[at] != kNoState) Walk(at, &visit, nullptr);
}

void KnownValues::Walk(size_t at, const Visit* visit, const Reach* reach) const {
  State state = StateBefore(at);
  for (;;) {
    const Operation& operation = program_[at];
    if (visit) (*visit)(at, state);
    if (operation.IsExit()) return;
    std::optional<bool> taken;
    if (operation.IsJump()) taken = true;
    if (operation.IsBranch()) taken = IsTaken(operation, state);
    Apply(operation, state, constants_);
    bool jumps = operation.IsJump() || operation.IsBranch();
    if (reach && jumps && taken.value_or(true)) (*reach)(operation.target, state);
    if ((jumps && taken.value_or(false)) || ++at >= program_.size()) return;
    if (!is_target_[at]) continue;
    if (reach) (*reach)(at, state);
    return;
  }
}
