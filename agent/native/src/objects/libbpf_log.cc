#include "objects/libbpf_log.h"

#include <bpf/libbpf.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <mutex>

namespace {

thread_local LibbpfLog* current = nullptr;

int OnMessage(libbpf_print_level level, const char* format, va_list args) {
  if (!current || level > LIBBPF_INFO) return 0;

  va_list again;
  va_copy(again, args);
  int size = vsnprintf(nullptr, 0, format, again);
  va_end(again);
  if (size <= 0) return 0;

  std::string message(size, '\0');
  vsnprintf(message.data(), message.size() + 1, format, args);
  current->Add(std::move(message));
  return 0;
}

// What stands between two markers; empty without them.
std::string Between(const std::string& text, const std::string& begin, const std::string& end) {
  size_t from = text.find(begin);
  if (from == std::string::npos) return "";
  from += begin.size();
  size_t to = text.rfind(end);
  return to == std::string::npos || to < from ? text.substr(from) : text.substr(from, to - from);
}

}  // namespace

void CaptureLibbpfMessages() {
  static std::once_flag once;
  std::call_once(once, [] { libbpf_set_print(OnMessage); });
}

LibbpfLog::LibbpfLog() { current = this; }
LibbpfLog::~LibbpfLog() { current = nullptr; }

void LibbpfLog::Add(std::string message) {
  if (message.starts_with("libbpf: ")) message.erase(0, 8);
  while (message.ends_with('\n')) message.pop_back();

  // The only way to the verifier's log of an object's load that also grows the log buffer as needed.
  if (message.find("-- BEGIN PROG LOAD LOG --") != std::string::npos) {
    verifier_log_ = KeepEnd(Between(message, "-- BEGIN PROG LOAD LOG --\n", "-- END PROG LOAD LOG --"));
    return;
  }
  if (message.find("BPF program load failed") != std::string::npos) {
    failed_program_ = Between(message, "prog '", "': BPF program load failed");
  }
  messages_[count_++ % std::size(messages_)] = std::move(message);
}

std::string LibbpfLog::Messages() const {
  std::string text;
  unsigned first = count_ > std::size(messages_) ? count_ - std::size(messages_) : 0;
  for (unsigned i = first; i < count_; i++) {
    if (!text.empty()) text += '\n';
    text += messages_[i % std::size(messages_)];
  }
  return text;
}

std::string LibbpfLog::LastMessage() const { return count_ == 0 ? "" : messages_[(count_ - 1) % std::size(messages_)]; }

std::string KeepEnd(std::string log) {
  if (log.size() > kMaxVerifierLogBytes) log.erase(0, log.size() - kMaxVerifierLogBytes);
  return log;
}
