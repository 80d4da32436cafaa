// How a backward in JavaScript runs while libtorch's engine is on other threads.
#pragma once

#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>

namespace crossblock {

// Engine threads of other devices can't run JavaScript: they leave the work here and wait, while
// the script thread, which is inside backward(), does it.
class ScriptQueue {
 public:
  void run(const std::function<void()>& work) {
    std::unique_lock<std::mutex> lock(mutex_);
    Request request{&work, false, nullptr};
    requests_.push_back(&request);
    wake_.notify_all();
    wake_.wait(lock, [&] { return request.done; });
    if (request.error != nullptr) {
      std::rethrow_exception(request.error);
    }
  }

  void finish() {
    std::lock_guard<std::mutex> lock(mutex_);
    finished_ = true;
    wake_.notify_all();
  }

  void serve() {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      wake_.wait(lock, [&] { return finished_ || !requests_.empty(); });
      if (requests_.empty()) {
        return;
      }
      Request* request = requests_.front();
      requests_.pop_front();
      lock.unlock();
      try {
        (*request->work)();
      } catch (...) {
        request->error = std::current_exception();
      }
      lock.lock();
      request->done = true;
      wake_.notify_all();
    }
  }

 private:
  struct Request {
    const std::function<void()>* work;
    bool done;
    std::exception_ptr error;
  };
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Request*> requests_;
  bool finished_ = false;
};

}  // namespace crossblock
