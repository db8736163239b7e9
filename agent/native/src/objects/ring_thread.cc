#include "objects/ring_thread.h"

#include <bpf/bpf.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <cerrno>
#include <utility>

namespace {

bool AddToEpoll(int epoll, int fd, uint32_t events) {
  epoll_event event = {.events = events, .data = {.fd = fd}};
  return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

}  // namespace

int RingThread::Start(UniqueFd ring, Options options) {
  options_ = std::move(options);
  ring_fd_ = std::move(ring);
  auto on_record = [](void* self, void* record, size_t size) {
    return static_cast<RingThread*>(self)->OnRecord(record, size);
  };
  ring_.reset(ring_buffer__new(ring_fd_.get(), on_record, this, nullptr));
  if (!ring_) return errno;

  bpf_map_info info = {};
  uint32_t size = sizeof(info);
  if (bpf_obj_get_info_by_fd(ring_fd_.get(), &info, &size) < 0) return errno;
  ring_bytes_ = info.max_entries;
  if (options_.sleep_flag) {
    if (int error = sleep_.Open(options_.sleep_flag)) return error;
  }

  stop_event_ = UniqueFd(eventfd(0, EFD_CLOEXEC));
  epoll_ = UniqueFd(epoll_create1(EPOLL_CLOEXEC));
  // Edge-triggered, unlike libbpf's own epoll: that one returns at once while the ring is not empty, which makes a
  // busy loop out of records that asked for no wake-up.
  bool watching = stop_event_ && epoll_ && AddToEpoll(epoll_.get(), ring_fd_.get(), EPOLLIN | EPOLLET) &&
                  AddToEpoll(epoll_.get(), stop_event_.get(), EPOLLIN);
  if (!watching) return errno;

  // Signals are for the main thread.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread(&RingThread::Run, this);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_setname_np(thread_.native_handle(), "ring-reader");
  return 0;
}

void RingThread::Stop() {
  if (thread_.joinable()) {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    taken_.notify_one();
    eventfd_write(stop_event_.get(), 1);
    thread_.join();
  }
  ready_.clear();
  ring_.reset();
  sleep_.Close();
  options_.sleep_flag.Reset();
  for (UniqueFd* fd : {&epoll_, &stop_event_, &ring_fd_}) fd->Reset();
}

// While records keep coming, it looks at the ring every poll_ms. Once a look finds nothing, it asks for a wake-up, looks
// once more for what came before everyone knew that, and sleeps without a timer. The first record after silence seldom
// comes alone: a process has three. So it waits for the others as long as between two looks.
void RingThread::Run() {
  while (true) {
    if (idle_ && sleep_.is_open() && sleep_.Begin()) {
      if (!Collect()) return;
      if (idle_) WaitForRecords(-1);
      sleep_.End();
      if (idle_) WaitForRecords(options_.poll_ms);
    } else {
      WaitForRecords(options_.poll_ms);
    }
    if (!Collect()) return;
  }
}

bool RingThread::Collect() {
  std::unique_lock lock(mutex_);
  taken_.wait(lock, [this] { return stopping_ || ready_.empty() || ready_bytes_ < options_.backlog_bytes; });
  if (stopping_) return false;
  const bool announced = !ready_.empty();
  const size_t before = ready_bytes_;
  Read();
  idle_ = !more_ && ready_bytes_ == before;
  if (!ready_.empty() && !announced && !paused_) options_.on_ready();
  return true;
}

void RingThread::WaitForRecords(int timeout_ms) {
  {
    std::lock_guard lock(mutex_);
    if (more_ || stopping_) return;
  }
  epoll_event event;
  epoll_wait(epoll_.get(), &event, 1, timeout_ms);
}

Batch RingThread::TakeReady() {
  std::lock_guard lock(mutex_);
  paused_ = true;
  return Take();
}

void RingThread::Resume() {
  std::lock_guard lock(mutex_);
  paused_ = false;
  if (!ready_.empty() && !stopping_) options_.on_ready();
}

bool RingThread::ResumeIfCaughtUp() {
  std::lock_guard lock(mutex_);
  if (!ready_.empty() || more_) return false;
  paused_ = false;
  return true;
}

Batch RingThread::TakeReadyOrRead() {
  std::lock_guard lock(mutex_);
  if (ready_.empty()) Read();
  return Take();
}

void RingThread::Recycle(Batch batch) {
  std::lock_guard lock(mutex_);
  batch.Clear();
  spare_ = std::move(batch);
}

size_t RingThread::WaitingBytes() {
  std::lock_guard lock(mutex_);
  return ready_bytes_ + ring_bytes_;
}

Batch RingThread::Take() {
  if (ready_.empty()) return Batch();
  Batch batch = std::move(ready_.front());
  ready_.pop_front();
  ready_bytes_ -= batch.size();
  taken_.notify_one();
  return batch;
}

void RingThread::Read() {
  if (!ring_) return;
  // A batch that is not full yet gets more.
  if (ready_.empty() || !overflow_.empty()) ready_.push_back(std::exchange(spare_, Batch()));
  Batch& batch = ready_.back();
  size_t before = batch.size();
  bool room = overflow_.empty() || batch.Append(overflow_.data(), overflow_.size(), options_.batch_bytes);
  more_ = true;
  if (room) {
    overflow_.clear();
    filling_ = &batch;
    more_ = ring_buffer__consume(ring_.get()) < 0;
    filling_ = nullptr;
  }
  ready_bytes_ += batch.size() - before;
  if (batch.empty()) {  // nothing to read, or no memory: later
    spare_ = std::move(ready_.back());
    ready_.pop_back();
  }
}

int RingThread::OnRecord(const void* record, size_t size) {
  if (filling_->Append(record, size, options_.batch_bytes)) return 0;
  const auto* bytes = static_cast<const uint8_t*>(record);
  overflow_.assign(bytes, bytes + size);
  return -ENOBUFS;
}
