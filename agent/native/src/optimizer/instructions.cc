#include "optimizer/instructions.h"

namespace {

bool IsKnown(const bpf_insn& instruction) {
  switch (BPF_CLASS(instruction.code)) {
    case BPF_LD: return instruction.code == (BPF_LD | BPF_IMM | BPF_DW) && instruction.src_reg != BPF_PSEUDO_FUNC;
    case BPF_LDX: return BPF_MODE(instruction.code) == BPF_MEM;
    case BPF_ST: return BPF_MODE(instruction.code) == BPF_MEM;
    case BPF_STX: return BPF_MODE(instruction.code) == BPF_MEM || BPF_MODE(instruction.code) == BPF_ATOMIC;
    case BPF_ALU:
    case BPF_ALU64: return instruction.off == 0;
    case BPF_JMP: return BPF_OP(instruction.code) != BPF_CALL || instruction.src_reg != BPF_PSEUDO_CALL;
    default:  // BPF_JMP32
      return BPF_OP(instruction.code) != BPF_JA && BPF_OP(instruction.code) <= BPF_JSLE;
  }
}

}  // namespace

bool Operation::IsBranch() const {
  uint8_t operation = BPF_OP(code.code);
  return Class() == BPF_JMP32 ||
         (Class() == BPF_JMP && operation != BPF_JA && operation != BPF_CALL && operation != BPF_EXIT);
}

unsigned Operation::CallArguments() const {
  if (code.src_reg == BPF_PSEUDO_KFUNC_CALL) return 2;
  switch (code.imm) {
    case BPF_FUNC_ktime_get_ns:
    case BPF_FUNC_ktime_get_boot_ns:
    case BPF_FUNC_get_smp_processor_id:
    case BPF_FUNC_get_current_pid_tgid:
    case BPF_FUNC_get_current_task:
    case BPF_FUNC_get_current_task_btf:
    case BPF_FUNC_get_current_cgroup_id: return 0;
    case BPF_FUNC_send_signal: return 1;
    case BPF_FUNC_map_lookup_elem:
    case BPF_FUNC_map_delete_elem:
    case BPF_FUNC_ringbuf_submit:
    case BPF_FUNC_ringbuf_query: return 2;
    case BPF_FUNC_ringbuf_reserve:
    case BPF_FUNC_probe_read_kernel:
    case BPF_FUNC_probe_read_user:
    case BPF_FUNC_probe_read_kernel_str:
    case BPF_FUNC_probe_read_user_str: return 3;
    default: return 5;
  }
}

std::optional<std::vector<Operation>> ToOperations(const std::vector<bpf_insn>& instructions) {
  std::vector<Operation> program;
  std::vector<size_t> index(instructions.size(), kNowhere);
  std::vector<size_t> positions;
  program.reserve(instructions.size());
  positions.reserve(instructions.size());
  for (size_t at = 0; at < instructions.size(); at++) {
    if (!IsKnown(instructions[at])) return std::nullopt;
    Operation operation = {.code = instructions[at]};
    index[at] = program.size();
    positions.push_back(at);
    if (operation.IsWide()) {
      if (++at == instructions.size()) return std::nullopt;
      operation.upper = instructions[at].imm;
      operation.wide = static_cast<int64_t>(static_cast<uint64_t>(static_cast<uint32_t>(operation.upper)) << 32 |
                                            static_cast<uint32_t>(operation.code.imm));
    }
    program.push_back(operation);
  }
  for (size_t i = 0; i < program.size(); i++) {
    if (!program[i].IsJump() && !program[i].IsBranch()) continue;
    size_t target = positions[i] + 1 + static_cast<size_t>(static_cast<ptrdiff_t>(program[i].code.off));
    if (target >= index.size() || index[target] == kNowhere) return std::nullopt;
    program[i].target = index[target];
  }
  return program;
}

std::optional<std::vector<bpf_insn>> ToInstructions(const std::vector<Operation>& program) {
  auto is_idle = [&](size_t i) { return program[i].IsJump() && program[i].target == i + 1; };
  std::vector<size_t> position(program.size() + 1);
  for (size_t i = 0; i < program.size(); i++)
    position[i + 1] = position[i] + (is_idle(i) ? 0 : program[i].IsWide() ? 2 : 1);

  std::vector<bpf_insn> instructions;
  for (size_t i = 0; i < program.size(); i++) {
    if (is_idle(i)) continue;
    const Operation& operation = program[i];
    bpf_insn code = operation.code;
    if (operation.IsJump() || operation.IsBranch()) {
      ptrdiff_t distance = static_cast<ptrdiff_t>(position[operation.target] - position[i]) - 1;
      if (distance != static_cast<int16_t>(distance)) return std::nullopt;
      code.off = static_cast<int16_t>(distance);
    }
    if (operation.IsSubprogramCall()) code.imm = static_cast<int32_t>(position[operation.target] - position[i]) - 1;
    instructions.push_back(code);
    if (operation.IsWide())
      instructions.push_back({.code = 0, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = operation.upper});
  }
  return instructions;
}

Operation JumpTo(size_t target) {
  Operation operation = {.target = target};
  operation.code.code = BPF_JMP | BPF_JA;
  return operation;
}

Operation LoadNumber(uint8_t dst, uint64_t number) {
  Operation operation = {};
  operation.code.dst_reg = dst & 0xf;
  operation.code.imm = static_cast<int32_t>(number);
  operation.code.code = BPF_ALU64 | BPF_MOV | BPF_K;
  if (FitsImmediate(number)) return operation;
  operation.code.code = BPF_LD | BPF_IMM | BPF_DW;
  operation.wide = static_cast<int64_t>(number);
  operation.upper = static_cast<int32_t>(number >> 32);
  return operation;
}
