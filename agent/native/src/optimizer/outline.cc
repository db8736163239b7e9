#include "optimizer/outline.h"

#include <algorithm>
#include <utility>

#include "optimizer/layout.h"
#include "optimizer/live_values.h"

namespace {

constexpr int kFirstSaved = BPF_REG_6, kLastSaved = BPF_REG_9;
// A program and its subprograms have 512 bytes of stack together, each rounded up to a multiple of 32.
constexpr int64_t kLowestInSubprogram = -448;
constexpr size_t kMostSlotsInMain = 8;

// A branch, and which of its ways leads to the rest.
struct Cut {
  size_t branch = 0, rest = 0;
};

bool IsSaved(int reg) { return reg >= kFirstSaved && reg <= kLastSaved; }

bool UsesSaved(const Operation& operation) {
  return !operation.IsCall() && (IsSaved(operation.code.dst_reg) || IsSaved(operation.code.src_reg));
}

std::vector<size_t> Successors(const std::vector<Operation>& program, size_t at) {
  if (program[at].IsExit()) return {};
  if (program[at].IsJump()) return {program[at].target};
  if (program[at].IsBranch()) return {at + 1, program[at].target};
  return {at + 1};
}

std::vector<bool> Reached(const std::vector<Operation>& program, size_t start) {
  std::vector<bool> reached(program.size());
  std::vector<size_t> open = {start};
  while (!open.empty()) {
    size_t at = open.back();
    open.pop_back();
    if (reached[at]) continue;
    reached[at] = true;
    for (size_t next : Successors(program, at)) open.push_back(next);
  }
  return reached;
}

// Whether no way from there uses the saved registers.
bool EndsEarly(const std::vector<Operation>& program, size_t start) {
  std::vector<bool> reached = Reached(program, start);
  for (size_t i = 0; i < program.size(); i++)
    if (reached[i] && UsesSaved(program[i])) return false;
  return true;
}

// The last branch, on the way from the start to the first use of a saved register, from which a run can end early.
std::optional<Cut> FindCut(const std::vector<Operation>& program) {
  std::optional<Cut> cut;
  size_t at = 0;
  for (size_t steps = 0; steps < program.size() && !UsesSaved(program[at]); steps++) {
    std::vector<size_t> next = Successors(program, at);
    if (next.empty()) return std::nullopt;
    if (next.size() == 2) {
      bool ends[] = {EndsEarly(program, next[0]), EndsEarly(program, next[1])};
      if (ends[0] == ends[1]) break;
      cut = {.branch = at, .rest = next[ends[0] ? 1 : 0]};
      next = {cut->rest};
    }
    at = next[0];
  }
  return cut;
}

// Stack traces would have the subprogram's frame.
bool TakesStack(const Operation& operation) {
  return operation.IsHelperCall() &&
         (operation.code.imm == BPF_FUNC_get_stack || operation.code.imm == BPF_FUNC_get_stackid);
}

int64_t LowestInStack(const std::vector<Operation>& program, const std::vector<std::optional<State>>& states) {
  int64_t lowest = 0;
  for (size_t i = 0; i < program.size(); i++) {
    if (!states[i]) continue;
    for (const Value& value : states[i]->registers)
      if (value.kind == Value::kStack) lowest = std::min(lowest, static_cast<int64_t>(value.number));
    bool is_store = program[i].Class() == BPF_ST || program[i].Class() == BPF_STX;
    int base = is_store ? program[i].code.dst_reg : program[i].code.src_reg;
    bool accesses = is_store || program[i].Class() == BPF_LDX;
    if (accesses && base == BPF_REG_10) lowest = std::min<int64_t>(lowest, program[i].code.off);
  }
  return lowest;
}

Operation Make(int code, int dst, int src, int off) {
  Operation operation = {};
  operation.code.code = static_cast<uint8_t>(code);
  operation.code.dst_reg = dst & 0xf;
  operation.code.src_reg = src & 0xf;
  operation.code.off = static_cast<int16_t>(off);
  return operation;
}

Operation Move(int dst, int src) { return Make(BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0); }
Operation Load(int dst, int off) { return Make(BPF_LDX | BPF_MEM | BPF_DW, dst, BPF_REG_10, off); }
Operation Store(int off, int src) { return Make(BPF_STX | BPF_MEM | BPF_DW, BPF_REG_10, src, off); }

// What the rest needs, in registers 1 to 5: how the caller gets it there, and where the subprogram puts it.
struct Arguments {
  std::vector<Operation> passed, taken;
};

std::optional<Arguments> ArgumentsFor(const Live& live) {
  Arguments arguments;
  uint32_t registers = live.registers & ~(1u << BPF_REG_10);
  if (registers & ~0x3fu) return std::nullopt;
  int next = BPF_REG_1;
  auto free = [&] {
    while (registers >> next & 1) next++;
    return next++;
  };
  if (registers & 1) {
    int argument = free();
    arguments.passed.push_back(Move(argument, BPF_REG_0));
    arguments.taken.push_back(Move(BPF_REG_0, argument));
  }
  for (int slot = 0; slot < kStackSlots; slot++) {
    if (!(live.stack >> slot & 1)) continue;
    int argument = free(), off = 8 * (slot - kStackSlots);
    arguments.passed.push_back(Load(argument, off));
    arguments.taken.push_back(Store(off, argument));
  }
  if (next > BPF_REG_6) return std::nullopt;
  return arguments;
}

// Moves the slots of the stack together; false where the stack is used in another way than by slots.
bool CompactStack(std::vector<Operation>& program) {
  std::vector<int> slots;
  for (Operation& operation : program) {
    bool is_store = operation.Class() == BPF_ST || operation.Class() == BPF_STX;
    bool is_load = operation.Class() == BPF_LDX;
    bool by_base =
        (is_store && operation.code.dst_reg == BPF_REG_10) || (is_load && operation.code.src_reg == BPF_REG_10);
    bool otherwise = operation.Class() == BPF_STX || operation.IsAlu() ? operation.code.src_reg == BPF_REG_10 : false;
    if (otherwise) return false;
    if (!by_base) continue;
    if (AccessBytes(operation.code) != 8 || operation.code.off % 8 != 0 || operation.IsAtomic()) return false;
    int off = operation.code.off;
    auto found = std::find(slots.begin(), slots.end(), off);
    operation.code.off = static_cast<int16_t>(-8 * (found - slots.begin() + 1));
    if (found == slots.end()) slots.push_back(off);
  }
  return slots.size() <= kMostSlotsInMain;
}

std::vector<Operation> From(std::vector<Operation> program, size_t start) {
  std::vector<bool> all(program.size(), true);
  return LaidOut(program, std::move(all), start);
}

// Leads the cut's way to the rest behind the program's end, to what will be appended there.
void Divert(std::vector<Operation>& program, const Cut& cut) {
  Operation& branch = program[cut.branch];
  uint8_t kind = BPF_OP(branch.code.code);
  if (branch.target == cut.rest) {
    branch.target = program.size();
  } else if (kind == BPF_JEQ || kind == BPF_JNE) {
    // Turned round: the early end follows the branch, without a jump.
    branch.code.code ^= BPF_JEQ ^ BPF_JNE;
    program[cut.rest] = JumpTo(std::exchange(branch.target, program.size()));
  } else {
    program[cut.rest] = JumpTo(program.size());
  }
}

// The slots that are written before the rest. Others may seem to be used there: what helpers get the address of.
uint64_t SlotsWritten(std::vector<Operation> program, const Cut& cut) {
  Divert(program, cut);
  program.push_back(Make(BPF_JMP | BPF_EXIT, 0, 0, 0));
  std::vector<bool> reached = Reached(program, 0);
  uint64_t slots = 0;
  for (size_t i = 0; i < program.size(); i++) {
    bool is_store = program[i].Class() == BPF_ST || program[i].Class() == BPF_STX;
    if (reached[i] && is_store && program[i].code.dst_reg == BPF_REG_10)
      slots |= SlotsTouched(program[i].code.off, AccessBytes(program[i].code));
  }
  return slots;
}

// The program up to the cut, and then the call.
std::vector<Operation> MainPart(std::vector<Operation> program, const Cut& cut, const Arguments& arguments) {
  Divert(program, cut);
  program.insert(program.end(), arguments.passed.begin(), arguments.passed.end());
  program.push_back(Make(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_CALL, 0));
  program.push_back(Make(BPF_JMP | BPF_EXIT, 0, 0, 0));
  return From(std::move(program), 0);
}

std::vector<Operation> RestPart(std::vector<Operation> program, const Cut& cut, const Arguments& arguments) {
  size_t start = program.size();
  program.insert(program.end(), arguments.taken.begin(), arguments.taken.end());
  program.push_back(JumpTo(cut.rest));
  return From(std::move(program), start);
}

}  // namespace

std::vector<Operation> Outlined(const std::vector<Operation>& program,
                                const std::vector<std::optional<State>>& states) {
  std::optional<Cut> cut = FindCut(program);
  if (!cut || std::any_of(program.begin(), program.end(), TakesStack)) return program;
  if (LowestInStack(program, states) < kLowestInSubprogram) return program;
  Live live = FindUsage(program, states).live[cut->rest];
  live.stack &= SlotsWritten(program, *cut);
  std::optional<Arguments> arguments = ArgumentsFor(live);
  if (!arguments) return program;

  std::vector<Operation> result = MainPart(program, *cut, *arguments);
  if (std::any_of(result.begin(), result.end(), UsesSaved) || !CompactStack(result)) return program;
  std::vector<Operation> rest = RestPart(program, *cut, *arguments);
  size_t start = result.size();
  for (Operation& operation : result)
    if (operation.IsSubprogramCall()) operation.target = start;
  for (Operation& operation : rest) {
    operation.target += start;
    result.push_back(operation);
  }
  return result;
}
