// Delivers a ring buffer's records to JavaScript in batches.
#pragma once

#include <napi.h>

#include <memory>

#include "objects/ring_thread.h"

class RingReader : public Napi::ObjectWrap<RingReader> {
 public:
  static constexpr const char* kClassName = "RingReader";
  static constexpr napi_type_tag kTypeTag = {0x7c1c44d1f2b04a10, 0x9d0f6d6ce0a90b06};

  static Napi::Function Define(Napi::Env env);
  static Napi::Value Read(const Napi::CallbackInfo& info);

  explicit RingReader(const Napi::CallbackInfo& info);
  ~RingReader() override;

 private:
  struct Delivery {
    std::shared_ptr<RingThread> thread;
    // 0: each call gets memory of its own.
    size_t shared_bytes = 0;
    Napi::Reference<Napi::ArrayBuffer> buffer;
    bool calling = false;  // a call is using the buffer

    Napi::Value Call(Napi::Env env, const Napi::Function& on_batch, Batch batch);
  };
  // Outlives the reader for as long as a call of the thread waits in the queue of the event loop.
  using Context = std::shared_ptr<Delivery>;
  static void OnReady(Napi::Env env, Napi::Function on_batch, Context* context, void* data);
  static Napi::Value CallOrReport(Napi::Env env, const Napi::Function& on_batch, Delivery& delivery, Batch batch);
  using Queue = Napi::TypedThreadSafeFunction<Context, void, &RingReader::OnReady>;

  void Start(Napi::Env env, UniqueFd ring, const std::string& map, Napi::Function on_batch, RingThread::Options options,
             std::shared_ptr<Delivery> delivery);
  Napi::Value Flush(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);
  void Stop();
  static void OnExit(void* reader) { static_cast<RingReader*>(reader)->Stop(); }

  Context delivery_;  // null: closed
  Queue queue_;
  Napi::FunctionReference on_batch_;
};
