// Random programs do the same after Specialize() as before it, in an interpreter of the instructions that it knows.
// Usage: specialize_test [PROGRAMS [SEED]]; prints how much smaller they became, or the first that differs.
#include "optimizer/specialize.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <utility>

namespace {

constexpr int kMap = 7;
constexpr uint64_t kContent = 0x10000000, kForeign = 0x20000000, kStackTop = 0x30000000;
constexpr uint64_t kUpperTop = 0x40000000;  // of the stack of the program that has called a subprogram
constexpr uint64_t kContentBytes = 64, kForeignBytes = 256, kStackBytes = 512;
constexpr int kCounterSlot = -8;
constexpr int kMaxSteps = 20000;

struct Machine {
  std::vector<uint8_t> content, foreign, stack = std::vector<uint8_t>(kStackBytes), upper = stack;
  uint64_t registers[11] = {};
  std::vector<uint64_t> effects;  // arguments and reads of helpers

  uint8_t* At(uint64_t address, uint64_t size) {
    auto inside = [&](uint64_t base, std::vector<uint8_t>& bytes) -> uint8_t* {
      return address >= base && address + size <= base + bytes.size() ? bytes.data() + (address - base) : nullptr;
    };
    if (uint8_t* found = inside(kContent, content)) return found;
    if (uint8_t* found = inside(kForeign, foreign)) return found;
    if (uint8_t* found = inside(kUpperTop - kStackBytes, upper)) return found;
    return inside(kStackTop - kStackBytes, stack);
  }
};

bpf_insn Code(int code, int dst, int src, int off, int imm) {
  return {.code = static_cast<uint8_t>(code),
          .dst_reg = static_cast<uint8_t>(dst & 0xf),
          .src_reg = static_cast<uint8_t>(src & 0xf),
          .off = static_cast<int16_t>(off),
          .imm = imm};
}

uint64_t Alu(uint8_t operation, uint64_t a, uint64_t b, bool is64) {
  unsigned mask = is64 ? 63 : 31;
  if (!is64) a = static_cast<uint32_t>(a), b = static_cast<uint32_t>(b);
  uint64_t result = 0;
  switch (operation) {
    case BPF_ADD: result = a + b; break;
    case BPF_SUB: result = a - b; break;
    case BPF_MUL: result = a * b; break;
    case BPF_OR: result = a | b; break;
    case BPF_AND: result = a & b; break;
    case BPF_XOR: result = a ^ b; break;
    case BPF_LSH: result = a << (b & mask); break;
    case BPF_RSH: result = a >> (b & mask); break;
    case BPF_ARSH:
      result =
          static_cast<uint64_t>(is64 ? static_cast<int64_t>(a) >> (b & mask) : static_cast<int32_t>(a) >> (b & mask));
      break;
    case BPF_NEG: result = -a; break;
    default: result = b;
  }
  return is64 ? result : static_cast<uint32_t>(result);
}

bool Taken(uint8_t operation, uint64_t a, uint64_t b, bool is64) {
  if (!is64) a = static_cast<uint32_t>(a), b = static_cast<uint32_t>(b);
  int64_t x = is64 ? static_cast<int64_t>(a) : static_cast<int32_t>(a);
  int64_t y = is64 ? static_cast<int64_t>(b) : static_cast<int32_t>(b);
  switch (operation) {
    case BPF_JEQ: return a == b;
    case BPF_JNE: return a != b;
    case BPF_JGT: return a > b;
    case BPF_JGE: return a >= b;
    case BPF_JLT: return a < b;
    case BPF_JLE: return a <= b;
    case BPF_JSET: return a & b;
    case BPF_JSGT: return x > y;
    case BPF_JSGE: return x >= y;
    case BPF_JSLT: return x < y;
    default: return x <= y;
  }
}

void LoseArguments(Machine& machine) {
  for (int lost = 1; lost <= 5; lost++) machine.registers[lost] = 0xdead;
}

void CallHelper(Machine& machine, int helper) {
  uint64_t* r = machine.registers;
  machine.effects.push_back(static_cast<uint64_t>(helper));
  r[0] = machine.effects.size() * 0x9e3779b97f4a7c15ULL;
  if (helper == BPF_FUNC_map_lookup_elem) {
    uint64_t key = 0;
    std::memcpy(&key, machine.At(r[2], 8), 8);
    machine.effects.insert(machine.effects.end(), {r[1], key});
  } else if (helper == BPF_FUNC_probe_read_kernel) {
    machine.effects.insert(machine.effects.end(), {r[1], r[2], r[3]});
    std::memcpy(machine.At(r[1], r[2]), machine.At(r[3], r[2]), r[2]);
  }
  LoseArguments(machine);
}

bool IsKernelFunctionCall(const bpf_insn& code) {
  return code.code == (BPF_JMP | BPF_CALL) && code.src_reg == BPF_PSEUDO_KFUNC_CALL;
}

bool IsSubprogramCall(const bpf_insn& code) {
  return code.code == (BPF_JMP | BPF_CALL) && code.src_reg == BPF_PSEUDO_CALL;
}

// False when it does not come to its end.
bool Run(const std::vector<bpf_insn>& program, Machine& machine) {
  uint64_t* r = machine.registers;
  r[1] = kForeign;
  bool has_call = std::any_of(program.begin(), program.end(), IsSubprogramCall);
  r[10] = has_call ? kUpperTop : kStackTop;
  size_t at = 0, caller = 0;
  for (int step = 0; step < kMaxSteps; step++) {
    bpf_insn code = program.at(at++);
    uint64_t number = static_cast<uint64_t>(static_cast<int64_t>(code.imm));
    uint64_t operand = BPF_SRC(code.code) == BPF_X ? r[code.src_reg] : number;
    uint64_t size = AccessBytes(code), off = static_cast<uint64_t>(static_cast<int64_t>(code.off));
    switch (BPF_CLASS(code.code)) {
      case BPF_LD:
        r[code.dst_reg] =
            static_cast<uint32_t>(code.imm) | static_cast<uint64_t>(static_cast<uint32_t>(program.at(at).imm)) << 32;
        if (code.src_reg) r[code.dst_reg] = kContent + static_cast<uint32_t>(program.at(at).imm);
        at++;
        break;
      case BPF_LDX: {
        uint64_t value = 0;
        std::memcpy(&value, machine.At(r[code.src_reg] + off, size), size);
        r[code.dst_reg] = value;
        break;
      }
      case BPF_ST:
      case BPF_STX: {
        uint64_t value = BPF_CLASS(code.code) == BPF_ST ? number : r[code.src_reg];
        std::memcpy(machine.At(r[code.dst_reg] + off, size), &value, size);
        break;
      }
      case BPF_ALU:
      case BPF_ALU64:
        r[code.dst_reg] = Alu(BPF_OP(code.code), r[code.dst_reg], operand, BPF_CLASS(code.code) == BPF_ALU64);
        break;
      default:
        if (code.code == (BPF_JMP | BPF_EXIT)) {
          if (!caller) return true;
          at = std::exchange(caller, 0);
          r[10] = kUpperTop;
        } else if (IsSubprogramCall(code)) {
          caller = std::exchange(at, at + number);
          r[10] = kStackTop;
        } else if (IsKernelFunctionCall(code)) {
          r[0] = r[1] ^ r[2];
          LoseArguments(machine);
        } else if (code.code == (BPF_JMP | BPF_CALL)) {
          CallHelper(machine, code.imm);
        } else if (code.code == (BPF_JMP | BPF_JA) ||
                   Taken(BPF_OP(code.code), r[code.dst_reg], operand, BPF_CLASS(code.code) == BPF_JMP)) {
          at += off;
        }
    }
  }
  return false;
}

// Registers 6 to 9 hold numbers; 2 is for addresses. Loops count in the stack slot at kCounterSlot.
class Generator {
 public:
  explicit Generator(uint64_t seed) : random_(seed) {}

  std::vector<bpf_insn> Program() {
    program_.clear();
    Emit(BPF_STX | BPF_MEM | BPF_DW, 10, 1, -16, 0);  // the context
    if (Pick(2)) Gate();
    for (int slot = 3; slot <= 8; slot++) Emit(BPF_ST | BPF_MEM | BPF_DW, 10, 0, -8 * slot, Pick(100));
    for (int reg = 6; reg <= 9; reg++) Emit(BPF_ALU64 | BPF_MOV | BPF_K, reg, 0, 0, Pick(100));
    for (int parts = 1 + Pick(4); parts > 0; parts--) Pick(3) ? Lines(15) : Loop();
    Emit(BPF_ALU64 | BPF_MOV | BPF_X, 0, Number(), 0, 0);
    Emit(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
    return program_;
  }

  std::vector<uint8_t> Bytes(size_t count, int limit) {
    std::vector<uint8_t> bytes(count);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(Pick(limit));
    return bytes;
  }

 private:
  int Pick(int count) { return static_cast<int>(random_() % static_cast<uint64_t>(count)); }
  int Number() { return 6 + Pick(4); }
  int Slot() { return -24 - 8 * Pick(6); }
  int Size() { return (const int[]){BPF_B, BPF_H, BPF_W, BPF_DW}[Pick(4)]; }
  void Emit(int code, int dst, int src, int off, int imm) { program_.push_back(Code(code, dst, src, off, imm)); }

  void Loop() {
    Emit(BPF_ST | BPF_MEM | BPF_DW, 10, 0, kCounterSlot, 0);
    size_t head = program_.size();
    Lines(8);
    Content(7, 4);
    Emit(BPF_LDX | BPF_MEM | BPF_DW, 6, 10, kCounterSlot, 0);
    Emit(BPF_ALU64 | BPF_ADD | BPF_K, 6, 0, 0, 1);
    Emit(BPF_STX | BPF_MEM | BPF_DW, 10, 6, kCounterSlot, 0);
    Emit(BPF_JMP | BPF_JLT | BPF_X, 6, 7, static_cast<int>(head) - static_cast<int>(program_.size()) - 1, 0);
  }

  void Content(int dst, int size) {
    int field = Pick(static_cast<int>(kContentBytes) / 8) * 8;
    int ahead = Pick(2) ? field : 0;
    Emit(BPF_LD | BPF_IMM | BPF_DW, 2, BPF_PSEUDO_MAP_VALUE, 0, kMap);
    Emit(0, 0, 0, 0, ahead);
    if (ahead != field) Emit(BPF_ALU64 | BPF_ADD | BPF_K, 2, 0, 0, field);
    Emit(BPF_LDX | BPF_MEM | (size == 4 ? BPF_B : Size()), dst, 2, 0, 0);
  }

  // Each jumps to the start of a later one, or behind the last.
  void Lines(int count) {
    std::vector<size_t> starts, jumps;
    for (int line = 0; line < count; line++) {
      starts.push_back(program_.size());
      if (Pick(4) == 0) {
        jumps.push_back(program_.size());
        Branch();
      } else {
        Line();
      }
    }
    starts.push_back(program_.size());
    for (size_t jump : jumps) {
      size_t first = 0;
      while (starts[first] <= jump) first++;
      size_t target = starts[first + static_cast<size_t>(Pick(static_cast<int>(starts.size() - first)))];
      program_[jump].off = static_cast<int16_t>(target - jump - 1);
    }
  }

  // Ends, or goes on with what it has kept.
  void Gate() {
    int kept = Pick(4);
    for (int slot = 3; slot < 3 + kept; slot++) Emit(BPF_ST | BPF_MEM | BPF_DW, 10, 0, -8 * slot, Pick(100));
    Emit(BPF_LDX | BPF_MEM | BPF_DW, 2, 10, -16, 0);
    Emit(BPF_LDX | BPF_MEM | BPF_B, 3, 2, 8 * Pick(16), 0);
    Emit(BPF_ALU64 | BPF_AND | BPF_K, 3, 0, 0, 1);
    bool rest_follows = Pick(2);
    Emit(BPF_JMP | (rest_follows ? BPF_JEQ : BPF_JNE) | BPF_K, 3, 0, rest_follows ? 1 : 3, 0);
    if (rest_follows) Emit(BPF_JMP | BPF_JA, 0, 0, 3, 0);
    Emit(BPF_STX | BPF_MEM | BPF_DW, 2, 3, 8 * Pick(16), 0);
    Emit(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, Pick(10));
    Emit(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
    if (kept) Emit(BPF_LDX | BPF_MEM | BPF_DW, 4, 10, -24, 0);
    if (kept) Emit(BPF_STX | BPF_MEM | BPF_DW, 2, 4, 8 * Pick(16), 0);
  }

  // What the compiler makes of a number of 32 bits.
  void Widen() {
    int number = Number();
    if (Pick(2)) Emit(BPF_LDX | BPF_MEM | Size(), number, 10, Slot(), 0);
    if (Pick(4) == 0) Emit(BPF_ALU | BPF_ADD | BPF_X, number, Number(), 0, 0);
    Emit(BPF_ALU64 | BPF_LSH | BPF_K, number, 0, 0, 32);
    Emit(BPF_ALU64 | (Pick(4) ? BPF_RSH : BPF_ARSH) | BPF_K, number, 0, 0, 32);
  }

  void Branch() {
    const int kinds[] = {BPF_JEQ,  BPF_JNE,  BPF_JGT,  BPF_JGE,  BPF_JLT, BPF_JLE,
                         BPF_JSET, BPF_JSGT, BPF_JSGE, BPF_JSLT, BPF_JSLE};
    int width = Pick(4) ? BPF_JMP : BPF_JMP32;
    if (Pick(10) == 0) return Emit(BPF_JMP | BPF_JA, 0, 0, 0, 0);
    if (Pick(2)) return Emit(width | kinds[Pick(11)] | BPF_X, Number(), Number(), 0, 0);
    Emit(width | kinds[Pick(11)] | BPF_K, Number(), 0, 0, Pick(5) - 2);
  }

  void Line() {
    const int kinds[] = {BPF_ADD, BPF_SUB, BPF_MUL,  BPF_OR,  BPF_AND, BPF_XOR,
                         BPF_LSH, BPF_RSH, BPF_ARSH, BPF_NEG, BPF_MOV, BPF_MOV};
    int kind = kinds[Pick(12)], width = Pick(4) ? BPF_ALU64 : BPF_ALU;
    switch (Pick(13)) {
      case 10: return Widen();
      case 0:
      case 1: return Content(Number(), 8);
      case 2:
        if (kind == BPF_NEG) return Emit(width | BPF_NEG, Number(), 0, 0, 0);
        return Emit(width | kind | BPF_X, Number(), Number(), 0, 0);
      case 3:
        return Emit(width | (kind == BPF_NEG ? BPF_ADD : kind) | BPF_K, Number(), 0, 0,
                    Pick(64) - (kind < BPF_LSH ? 32 : 0));
      case 4: return Emit(BPF_STX | BPF_MEM | (Pick(3) ? BPF_DW : Size()), 10, Number(), Slot(), 0);
      case 5: return Emit(BPF_LDX | BPF_MEM | (Pick(3) ? BPF_DW : Size()), Number(), 10, Slot(), 0);
      case 6:  // through a pointer to the stack
        Emit(BPF_ALU64 | BPF_MOV | BPF_X, 2, 10, 0, 0);
        Emit(BPF_ALU64 | BPF_ADD | BPF_K, 2, 0, 0, Slot());
        return Emit(BPF_STX | BPF_MEM | Size(), 2, Number(), 0, 0);
      case 7:  // to and from memory that anybody writes
        Emit(BPF_LDX | BPF_MEM | BPF_DW, 2, 10, -16, 0);
        if (Pick(2)) return Emit(BPF_STX | BPF_MEM | Size(), 2, Number(), 8 * Pick(16), 0);
        return Emit(BPF_LDX | BPF_MEM | Size(), Number(), 2, 8 * Pick(16), 0);
      case 8:  // to a place in the stack that is not known
        Emit(BPF_ALU64 | BPF_MOV | BPF_X, 3, Number(), 0, 0);
        Emit(BPF_ALU64 | BPF_AND | BPF_K, 3, 0, 0, 8);
        Emit(BPF_ALU64 | BPF_MOV | BPF_X, 2, 10, 0, 0);
        Emit(BPF_ALU64 | BPF_ADD | BPF_X, 2, 3, 0, 0);
        return Emit(BPF_STX | BPF_MEM | BPF_DW, 2, Number(), Slot() - 8, 0);
      case 9:
        Emit(BPF_ALU64 | BPF_MOV | BPF_X, 2, 10, 0, 0);
        Emit(BPF_ALU64 | BPF_ADD | BPF_K, 2, 0, 0, Slot());
        Emit(BPF_ALU64 | BPF_MOV | BPF_K, 1, 0, 0, 5);
        Emit(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_map_lookup_elem);
        return Emit(BPF_ALU64 | BPF_MOV | BPF_X, Number(), 0, 0, 0);
      case 11:  // its id is the number of a helper, whose arguments are others
        Emit(BPF_ALU64 | BPF_MOV | BPF_X, 1, Number(), 0, 0);
        Emit(BPF_ALU64 | BPF_MOV | BPF_K, 2, 0, 0, Pick(100));
        Emit(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_KFUNC_CALL, 0, BPF_FUNC_ktime_get_ns);
        return Emit(BPF_ALU64 | BPF_MOV | BPF_X, Number(), 0, 0, 0);
      default:
        Emit(BPF_ALU64 | BPF_MOV | BPF_X, 1, 10, 0, 0);
        Emit(BPF_ALU64 | BPF_ADD | BPF_K, 1, 0, 0, Slot());
        Emit(BPF_ALU64 | BPF_MOV | BPF_K, 2, 0, 0, 1 + Pick(8));
        Emit(BPF_LDX | BPF_MEM | BPF_DW, 3, 10, -16, 0);
        return Emit(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_probe_read_kernel);
    }
  }

  std::mt19937_64 random_;
  std::vector<bpf_insn> program_;
};

void Print(const char* title, const std::vector<bpf_insn>& program) {
  std::printf("%s\n", title);
  for (size_t i = 0; i < program.size(); i++)
    std::printf("%4zu: %02x r%d r%d %d %d\n", i, program[i].code, program[i].dst_reg, program[i].src_reg,
                program[i].off, program[i].imm);
}

// Adds to the counts of instructions before and after.
bool DoesTheSame(uint64_t seed, size_t& before, size_t& after) {
  Generator generator(seed);
  std::vector<bpf_insn> program = generator.Program();
  Machine machine = {.content = generator.Bytes(kContentBytes, 4), .foreign = generator.Bytes(kForeignBytes, 256)};
  Machine other = machine;
  std::vector<bpf_insn> special = Specialize(program, {
                                                          {kMap, machine.content}
  });
  if (!Run(program, machine)) return true;
  bool same = Run(special, other) && machine.registers[0] == other.registers[0] && machine.foreign == other.foreign &&
              machine.effects == other.effects;
  before += program.size();
  after += special.size();
  if (!same) {
    std::printf("seed %llu: another result\n", static_cast<unsigned long long>(seed));
    Print("before", program);
    Print("after", special);
  }
  return same;
}

}  // namespace

int main(int argc, char** argv) {
  long programs = argc > 1 ? std::atol(argv[1]) : 20000;
  uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  size_t before = 0, after = 0;
  for (long i = 0; i < programs; i++)
    if (!DoesTheSame(seed + static_cast<uint64_t>(i), before, after)) return 1;
  std::printf("%ld programs, %zu instructions became %zu\n", programs, before, after);
  return after < before ? 0 : 1;
}
