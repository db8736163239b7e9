// Records on their way to JavaScript.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>

struct FreeMemory {
  void operator()(uint8_t* memory) const { free(memory); }
};

// Whole records one after the other, each padded to 8 bytes, in memory that an ArrayBuffer takes over.
class Batch {
 public:
  static constexpr size_t Padded(size_t size) { return (size + 7) / 8 * 8; }

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  const uint8_t* data() const { return memory_.get(); }

  // False when it does not fit any more into `limit` bytes, or there is no memory. An empty batch takes any record.
  bool Append(const void* record, size_t record_size, size_t limit) {
    size_t padded = Padded(record_size);
    if (!memory_) {
      capacity_ = padded > limit ? padded : limit;
      memory_.reset(static_cast<uint8_t*>(malloc(capacity_)));
    }
    if (!memory_ || padded > capacity_ - size_) return false;
    memcpy(memory_.get() + size_, record, record_size);
    memset(memory_.get() + size_ + record_size, 0, padded - record_size);
    size_ += padded;
    return true;
  }

  // Empty again, with its memory.
  void Clear() { size_ = 0; }

  // The memory, with what was not used given back.
  uint8_t* Release() {
    uint8_t* whole = memory_.release();
    if (size_ > capacity_ / 2) return whole;
    void* shrunk = realloc(whole, size_);
    return shrunk ? static_cast<uint8_t*>(shrunk) : whole;
  }

 private:
  std::unique_ptr<uint8_t, FreeMemory> memory_;
  size_t size_ = 0;
  size_t capacity_ = 0;
};
