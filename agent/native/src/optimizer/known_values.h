// The known contents of registers and stack before each operation, given the contents of frozen maps.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
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
  bool is_u32 = false;  // kForeign: its upper half is zero
  int map = 0;
  uint64_t number = 0;

  bool operator==(const Value&) const = default;
  bool MayBeStack() const { return kind == kStack || kind == kAny; }
  bool IsU32() const { return is_u32 || (kind == kNumber && number >> 32 == 0); }
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

// What is known before each operation. Keeps the states where jumps lead to alone, and only of those that are reached:
// 1,200 bytes each. The others follow from them.
class KnownValues {
 public:
  KnownValues(const std::vector<Operation>& program, const Constants& constants);

  using Visit = std::function<void(size_t at, const State& before)>;
  // Visits each operation that is reached once.
  void ForEach(const Visit& visit) const;

 private:
  using Reach = std::function<void(size_t target, const State& state)>;

  // From an operation with a known state up to the next one that jumps lead to, or to where the program leaves.
  void Walk(size_t at, const Visit* visit, const Reach* reach) const;
  const State& StateBefore(size_t target) const { return states_[state_of_[target]]; }

  const std::vector<Operation>& program_;
  const Constants& constants_;
  std::vector<bool> is_target_;
  std::vector<uint32_t> state_of_;  // of targets: index in states_
  std::deque<State> states_;
};

// What the operation leaves in its destination register; kForeign or kAny where that is unknown.
Value ResultOf(const Operation& operation, const State& before, const Constants& constants);

// Whether a conditional jump is taken, where that is known.
std::optional<bool> IsTaken(const Operation& operation, const State& before);
