#include "objects/ring_reader.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "objects/arguments.h"
#include "objects/bpf_map.h"
#include "objects/error.h"
#include "objects/handles.h"

namespace {

constexpr uint32_t kDefaultPollMs = 10;
constexpr uint32_t kDefaultBatchBytes = 256 << 10;
// Room for seconds of records: attaching hooks keeps the thread of JavaScript from reading for that long.
constexpr uint32_t kDefaultBacklogBytes = 32 << 20;

// Calls with the records in memory that the callee owns.
Napi::Value DeliverOwned(Napi::Env env, const Napi::Function& on_batch, Batch batch) {
  size_t size = batch.size();
  auto give_back = [](Napi::Env, void* memory) { free(memory); };
  return on_batch.Call({Napi::ArrayBuffer::New(env, batch.Release(), size, give_back), Napi::Number::New(env, size)});
}

// Resumes when the promise `until` is settled, or, if it is none, after one turn of the event loop. The queue alone would
// run up to a thousand callbacks while the thread has batches ready, and a busy ring would delay timers and writes.
void ResumeLater(Napi::Env env, std::shared_ptr<RingThread> thread, Napi::Value until) {
  auto resume = [thread = std::move(thread)](const Napi::CallbackInfo&) { thread->Resume(); };
  Napi::Function then = Napi::Function::New(env, resume);
  if (until.IsPromise())
    until.As<Napi::Object>().Get("finally").As<Napi::Function>().Call(until, {then});
  else
    env.Global().Get("setImmediate").As<Napi::Function>().Call({then});
}

}  // namespace

// A copy costs less than what the garbage collector does about a buffer for each batch.
Napi::Value RingReader::Delivery::Call(Napi::Env env, const Napi::Function& on_batch, Batch batch) {
  if (shared_bytes == 0 || calling || batch.size() > shared_bytes) return DeliverOwned(env, on_batch, std::move(batch));
  if (buffer.IsEmpty()) buffer = Napi::Persistent(Napi::ArrayBuffer::New(env, shared_bytes));
  memcpy(buffer.Value().Data(), batch.data(), batch.size());
  Napi::Number size = Napi::Number::New(env, batch.size());
  thread->Recycle(std::move(batch));
  struct Guard {
    bool& flag;
    ~Guard() { flag = false; }
  } guard{calling};
  calling = true;
  return on_batch.Call({buffer.Value(), size});
}

Napi::Function RingReader::Define(Napi::Env env) {
  return DefineClass(env, kClassName,
                     {InstanceMethod<&RingReader::Flush>("flush"), InstanceMethod<&RingReader::Close>("close")});
}

Napi::Value RingReader::Read(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  BpfMap* map = UnwrapArgument<BpfMap>(info[0], "ring");
  Napi::Object options = ObjectArgument(info, 1, "options");
  Napi::Value on_batch = options.Get("onBatch");
  if (!on_batch.IsFunction()) throw Napi::TypeError::New(env, "onBatch: expected a function");
  uint32_t poll_ms = Uint32Property(options, "pollMs", kDefaultPollMs);
  if (poll_ms < 1 || poll_ms > 60'000) throw Napi::RangeError::New(env, "pollMs: expected 1 to 60000");
  uint32_t batch_bytes = Uint32Property(options, "batchBytes", kDefaultBatchBytes);
  if (batch_bytes < 8) throw Napi::RangeError::New(env, "batchBytes: expected 8 or more");
  uint32_t backlog_bytes = Uint32Property(options, "backlogBytes", kDefaultBacklogBytes);

  bool reuse = options.Get("reuseBuffer").ToBoolean();

  UniqueFd sleep_flag;
  if (Napi::Value flag = options.Get("sleepFlag"); IsPresent(flag)) {
    BpfMap* flag_map = UnwrapArgument<BpfMap>(flag, "sleepFlag");
    sleep_flag = UniqueFd::Duplicate(flag_map->Fd("read ring"));
    if (!sleep_flag) throw BpfFailure(env, errno, "read ring", flag_map->name());
  }
  UniqueFd ring = UniqueFd::Duplicate(map->Fd("read ring"));
  if (!ring) throw BpfFailure(env, errno, "read ring", map->name());
  RingReader* reader = NewInstance<RingReader>(Classes::Of(env).ring_reader);
  RingThread::Options thread_options = {.poll_ms = static_cast<int>(poll_ms),
                                        .sleep_flag = std::move(sleep_flag),
                                        .batch_bytes = batch_bytes,
                                        .backlog_bytes = backlog_bytes,
                                        .on_ready = {}};
  auto delivery = std::make_shared<Delivery>();
  delivery->shared_bytes = reuse ? batch_bytes : 0;
  reader->Start(env, std::move(ring), map->name(), on_batch.As<Napi::Function>(), std::move(thread_options),
                std::move(delivery));
  return reader->Value();
}

RingReader::RingReader(const Napi::CallbackInfo& info) : Napi::ObjectWrap<RingReader>(info) {
  info.This().As<Napi::Object>().TypeTag(&kTypeTag);
}

RingReader::~RingReader() { Stop(); }

void RingReader::Start(Napi::Env env, UniqueFd ring, const std::string& map, Napi::Function on_batch,
                       RingThread::Options options, std::shared_ptr<Delivery> delivery) {
  auto thread = std::make_shared<RingThread>();
  delivery->thread = thread;
  auto free_context = [](Napi::Env, void*, Context* context) { delete context; };
  queue_ =
      Queue::New(env, on_batch, "RingReader", 0, 1, new Context(delivery), free_context, static_cast<void*>(nullptr));
  queue_.Unref(env);  // a ring buffer alone keeps no process alive

  LibbpfLog log;
  options.on_ready = [queue = queue_] { queue.NonBlockingCall(); };
  int error = thread->Start(std::move(ring), std::move(options));
  if (error) {
    thread->Stop();  // now: the queue keeps it until the event loop turns
    queue_.Release();
    throw BpfFailure(env, error, "read ring", map, log);
  }
  delivery_ = std::move(delivery);
  on_batch_ = Napi::Persistent(on_batch);
  // The thread must be gone before the environment is.
  napi_add_env_cleanup_hook(env, &RingReader::OnExit, this);
}

void RingReader::OnReady(Napi::Env env, Napi::Function on_batch, Context* context, void*) {
  if (env == nullptr) return;  // the environment is going away
  Context delivery = *context;
  Batch batch = delivery->thread->TakeReady();
  try {
    Napi::Value until = batch.empty() ? env.Undefined()  // flush() or close() was faster
                                      : CallOrReport(env, on_batch, *delivery, std::move(batch));
    // Spares a small batch a function and a turn of the event loop.
    if (until.IsPromise() || !delivery->thread->ResumeIfCaughtUp()) ResumeLater(env, delivery->thread, until);
  } catch (const Napi::Error&) {
    // Nothing can be called any more: a worker is being terminated, and the environment goes away with it.
  }
}

// Node would only warn about an exception here: makes it an uncaught one, as in any callback.
Napi::Value RingReader::CallOrReport(Napi::Env env, const Napi::Function& on_batch, Delivery& delivery, Batch batch) {
  try {
    return delivery.Call(env, on_batch, std::move(batch));
  } catch (const Napi::Error& error) {
    napi_fatal_exception(env, error.Value());
    return env.Undefined();
  }
}

// Ends at the latest when as much was delivered as can have waited: what came meanwhile is for the thread.
Napi::Value RingReader::Flush(const Napi::CallbackInfo& info) {
  if (!delivery_) throw ClosedFailure(info.Env(), "flush ring", "reader");
  size_t delivered = 0;
  Context delivery = delivery_;
  RingThread* thread = delivery->thread.get();
  size_t limit = thread->WaitingBytes();
  if (!info[0].IsUndefined()) limit = std::min<size_t>(limit, info[0].ToNumber().Uint32Value());
  while (delivery_ && delivered < limit) {
    Batch batch = thread->TakeReadyOrRead();
    if (batch.empty()) return Napi::Boolean::New(info.Env(), false);
    delivered += batch.size();
    delivery->Call(info.Env(), on_batch_.Value(), std::move(batch));
  }
  return Napi::Boolean::New(info.Env(), delivery_ != nullptr);
}

void RingReader::Close(const Napi::CallbackInfo&) { Stop(); }

void RingReader::Stop() {
  if (!delivery_) return;
  delivery_->thread->Stop();
  delivery_->buffer.Reset();
  delivery_.reset();
  queue_.Release();
  on_batch_.Reset();
  napi_remove_env_cleanup_hook(Env(), &RingReader::OnExit, this);
}
