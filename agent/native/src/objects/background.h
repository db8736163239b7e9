// Work for a thread of libuv.
#pragma once

#include <napi.h>

#include <functional>
#include <memory>
#include <utility>

// Runs `work` in another thread and then `finish` on the main one. The promise has what `finish` returns or throws.
// `job` is what both work on; it must not hold JavaScript values.
template <typename Job>
class Background : public Napi::AsyncWorker {
 public:
  using Work = void (*)(Job&);
  using Finish = std::function<Napi::Value(Napi::Env, Job&)>;

  static Napi::Value Run(Napi::Env env, std::shared_ptr<Job> job, Work work, Finish finish) {
    auto* background = new Background(env, std::move(job), work, std::move(finish));
    Napi::Promise promise = background->settled_.Promise();
    background->Queue();
    return promise;
  }

 private:
  Background(Napi::Env env, std::shared_ptr<Job> job, Work work, Finish finish)
      : Napi::AsyncWorker(env),
        job_(std::move(job)),
        work_(work),
        finish_(std::move(finish)),
        settled_(Napi::Promise::Deferred::New(env)) {}

  void Execute() override { work_(*job_); }

  void OnOK() override {
    try {
      Settle();
    } catch (const Napi::Error&) {
      // Nothing can be settled any more: a worker is being terminated, and the environment goes away with it.
    }
  }

  void Settle() {
    try {
      settled_.Resolve(finish_(Env(), *job_));
    } catch (const Napi::Error& error) {
      settled_.Reject(error.Value());
    }
  }

  std::shared_ptr<Job> job_;
  Work work_;
  Finish finish_;
  Napi::Promise::Deferred settled_;
};
