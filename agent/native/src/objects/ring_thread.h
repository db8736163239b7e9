// The thread that empties a ring buffer, without JavaScript.
#pragma once

#include <bpf/libbpf.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "objects/batch.h"
#include "objects/reader_sleep.h"
#include "objects/unique_fd.h"

// Copies records into batches, which wait to be taken. Where they come to `backlog_bytes`, records stay in the ring.
class RingThread {
 public:
  struct Options {
    int poll_ms;          // between two looks at the ring while records keep coming
    UniqueFd sleep_flag;  // an array of one __u32; see ReaderSleep. None: the reader never sleeps longer than poll_ms
    size_t batch_bytes;
    size_t backlog_bytes;            // one batch waits in any case
    std::function<void()> on_ready;  // called by the thread when the first batch became ready
  };

  // A positive errno on failure.
  int Start(UniqueFd ring, Options options);
  // Returns when the thread has ended, with nothing left open. Idempotent.
  void Stop();
  ~RingThread() { Stop(); }

  // The batch that has waited longest; empty without one. None is announced from now until Resume().
  Batch TakeReady();
  void Resume();
  // Resume() where no batch waits and the ring was read to its end: the next one is poll_ms away. False: one waits.
  bool ResumeIfCaughtUp();
  // The same, else what is in the ring now: records leave in order whichever thread took them out.
  Batch TakeReadyOrRead();
  // Takes the memory of a batch that is no longer needed, for a later one.
  void Recycle(Batch batch);
  // What can be taken without waiting for a record: the batches that are ready, and a full ring.
  size_t WaitingBytes();

 private:
  void Run();
  // -1: until there is a record, as long as that may take.
  void WaitForRecords(int timeout_ms);
  // Reads once there is room for what it reads; false: stopping.
  bool Collect();
  // Reads until the ring is empty or a batch is full; what is ready may be one batch more then.
  void Read();
  Batch Take();
  int OnRecord(const void* record, size_t size);

  Options options_;
  UniqueFd ring_fd_, stop_event_, epoll_;
  ReaderSleep sleep_;  // used by the thread alone
  bool idle_ = false;  // the last look at the ring found nothing; likewise
  std::unique_ptr<ring_buffer, decltype(&ring_buffer__free)> ring_{nullptr, ring_buffer__free};
  size_t ring_bytes_ = 0;
  std::thread thread_;

  std::mutex mutex_;  // guards what follows and the ring's consumer position
  std::condition_variable taken_;
  bool stopping_ = false;
  bool paused_ = false;
  bool more_ = false;        // the ring was not empty after the last read
  std::deque<Batch> ready_;  // none of them empty
  Batch spare_;              // empty, perhaps with memory
  size_t ready_bytes_ = 0;
  Batch* filling_ = nullptr;
  std::vector<uint8_t> overflow_;  // libbpf counts a record as consumed even when the batch was full
};
