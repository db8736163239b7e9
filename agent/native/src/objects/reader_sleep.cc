#include "objects/reader_sleep.h"

#include <atomic>

int ReaderSleep::Open(const UniqueFd& map) {
  if (int error = period_.Open()) return error;
  return mapping_.Open(map.get(), sizeof(uint32_t), true);
}

void ReaderSleep::Close() {
  if (!is_open()) return;
  End();
  mapping_.Close();
}

bool ReaderSleep::Begin() {
  std::atomic_ref(flag()).store(1);
  if (period_.Wait() == 0) return true;
  End();
  return false;
}

void ReaderSleep::End() { std::atomic_ref(flag()).store(0); }
