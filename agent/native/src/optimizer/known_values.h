// The known contents of registers and stack before each operation, given the contents of frozen maps.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "optimizer/instructions.h"

// Contents by map descriptor.
using Constants = std::unordered_map<int, std::vector<uint8_t>>;

struct Value {
  enum Kind : uint8_t {
    kNever,    // no path to here has been found yet
    kNumber,   // `number`
    kContent,  // an address in a map with known contents: `map`, and `number` for the offset
    kStack,    // the frame pointer and `number`
    kForeign,  // anything, but no address in the stack
    kAny,
  };
  Kind kind = kNever;
  int map = 0;
  uint64_t number = 0;

  bool operator==(const Value&) const = default;
  bool MayBeStack() const { return kind == kStack || kind == kAny; }
};

constexpr int kStackSlots = 64;  // of 8 bytes; the last ends at the frame pointer

struct State {
  std::array<Value, 11> registers;
  std::array<Value, kStackSlots> stack;

  // True if this one has changed.
  bool Join(const State& other);
};

// The slots that an access of `size` bytes from the frame pointer + `offset` touches, as bits.
uint64_t SlotsTouched(int64_t offset, uint64_t size);
// The slots from there up: what a helper may reach that gets the address.
uint64_t SlotsFrom(int64_t offset);

// Bytes that a load or store moves.
uint64_t AccessBytes(const bpf_insn& code);

// Leaves the state before each operation in `states`, none for those that are never reached.
void FindKnownValues(const std::vector<Operation>& program, const Constants& constants,
                     std::vector<std::optional<State>>& states);

// What the operation leaves in its destination register; kForeign or kAny where that is unknown.
Value ResultOf(const Operation& operation, const State& before, const Constants& constants);

// Whether a conditional jump is taken, where that is known.
std::optional<bool> IsTaken(const Operation& operation, const State& before);
