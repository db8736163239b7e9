// BPF instructions as a program that can be rewritten: 16-byte ones are one, jumps name what they go to.
#pragma once

#include <linux/bpf.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

// Where a list of places in a program has none.
constexpr size_t kNowhere = static_cast<size_t>(-1);

struct Operation {
  bpf_insn code;
  int64_t wide = 0;   // immediate of a 16-byte instruction that loads a number
  int32_t upper = 0;  // upper immediate of one that loads an address: the offset in a map's value
  size_t target = 0;  // of a jump, or of the call of a subprogram

  uint8_t Class() const { return BPF_CLASS(code.code); }
  bool IsWide() const { return code.code == (BPF_LD | BPF_IMM | BPF_DW); }
  bool IsCall() const { return code.code == (BPF_JMP | BPF_CALL); }
  bool IsHelperCall() const { return IsCall() && code.src_reg == 0; }
  bool IsSubprogramCall() const { return IsCall() && code.src_reg == BPF_PSEUDO_CALL; }
  bool IsExit() const { return code.code == (BPF_JMP | BPF_EXIT); }
  bool IsJump() const { return code.code == (BPF_JMP | BPF_JA); }
  bool IsBranch() const;  // a conditional jump
  bool IsAlu() const { return Class() == BPF_ALU || Class() == BPF_ALU64; }
  bool IsMove() const { return IsAlu() && BPF_OP(code.code) == BPF_MOV; }
  bool HasRegisterOperand() const { return BPF_SRC(code.code) == BPF_X; }
  unsigned CallArguments() const;  // of the helper that is called, at most, or of bpf_rdonly_cast
  bool IsAtomic() const { return Class() == BPF_STX && BPF_MODE(code.code) == BPF_ATOMIC; }
};

// Nothing where the program has what Operation cannot express: subprograms, or instructions newer than this file.
std::optional<std::vector<Operation>> ToOperations(const std::vector<bpf_insn>& instructions);

// Nothing where a jump gets too far. Jumps to the next operation are left out.
std::optional<std::vector<bpf_insn>> ToInstructions(const std::vector<Operation>& program);

Operation JumpTo(size_t target);

// dst = number
Operation LoadNumber(uint8_t dst, uint64_t number);

inline bool FitsImmediate(uint64_t number) {
  return static_cast<int64_t>(number) == static_cast<int32_t>(static_cast<int64_t>(number));
}
