// Messages that libbpf would print to stderr, kept for the error that follows.
#pragma once

#include <string>

// Sends libbpf's messages here instead of to stderr; once per process.
void CaptureLibbpfMessages();

// The messages that this thread's libbpf calls cause while the scope lives. Scopes do not nest.
class LibbpfLog {
 public:
  LibbpfLog();
  ~LibbpfLog();
  LibbpfLog(const LibbpfLog&) = delete;
  LibbpfLog& operator=(const LibbpfLog&) = delete;

  // The last messages, one per line.
  std::string Messages() const;
  std::string LastMessage() const;
  // The program whose load failed, with the verifier's log; empty when it was something else that failed.
  const std::string& failed_program() const { return failed_program_; }
  const std::string& verifier_log() const { return verifier_log_; }

  void Add(std::string message);

 private:
  std::string messages_[16];
  unsigned count_ = 0;
  std::string failed_program_;
  std::string verifier_log_;
};

inline constexpr unsigned kMaxVerifierLogBytes = 64 << 10;

// The end of a verifier log, where the reason is.
std::string KeepEnd(std::string log);
