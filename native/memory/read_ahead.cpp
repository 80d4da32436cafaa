#include "memory/read_ahead.h"

#include <fcntl.h>
#ifndef _WIN32
#include <unistd.h>
#endif

#include <algorithm>
#include <utility>

namespace crossblock {

#ifdef POSIX_FADV_WILLNEED

namespace {

struct Range {
  int fd;
  int64_t offset;
  int64_t length;
};

// Linux reads no more for one call than it reads ahead by itself, 128 KiB by default.
constexpr int64_t kPiece = 128 * 1024;

}  // namespace

// The calls wait where the disk's queue is full, so they have a thread, which the destructor joins: the code must not be
// unloaded under it.
class ReadAhead {
 public:
  explicit ReadAhead(std::vector<Range> ranges) : ranges_(std::move(ranges)) {
    // Its own descriptors: the files may be closed meanwhile.
    for (Range& range : ranges_) range.fd = dup(range.fd);
    thread_ = std::thread([this] { run(); });
  }
  ~ReadAhead() {
    stopped_ = true;
    thread_.join();
    for (const Range& range : ranges_) {
      if (range.fd >= 0) close(range.fd);
    }
  }

 private:
  void run() {
    for (const Range& range : ranges_) {
      for (int64_t at = 0; at < range.length && !stopped_; at += kPiece) {
        if (posix_fadvise(range.fd, range.offset + at, std::min(kPiece, range.length - at), POSIX_FADV_WILLNEED) != 0) break;
      }
    }
  }

  std::vector<Range> ranges_;
  std::atomic<bool> stopped_{false};
  std::thread thread_;
};

Napi::Value readAhead(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Environment& environment) -> Napi::Value {
    Napi::Env env = info.Env();
    if (!info[0].IsArray() || info[0].As<Napi::Array>().Length() % 3 != 0) {
      throw Napi::TypeError::New(env, "readAhead takes ([fd, offset, length, ...])");
    }
    const Napi::Array numbers = info[0].As<Napi::Array>();
    std::vector<Range> ranges;
    for (uint32_t i = 0; i < numbers.Length(); i += 3) {
      const auto number = [&](uint32_t at) {
        const Napi::Value value = numbers.Get(at);
        if (!value.IsNumber()) throw Napi::TypeError::New(env, "readAhead takes numbers");
        return value.As<Napi::Number>().Int64Value();
      };
      const Range range{static_cast<int>(number(i)), number(i + 1), number(i + 2)};
      TORCH_CHECK(range.offset >= 0 && range.length >= 0 && range.length <= INT64_MAX - range.offset, "bytes from ",
                  range.offset, " on, ", range.length, " of them, lie in no file");
      ranges.push_back(range);
    }
    environment.readAhead = nullptr;
    environment.readAhead = std::make_shared<ReadAhead>(std::move(ranges));
    return Napi::Boolean::New(env, true);
  });
}

#else

Napi::Value readAhead(const Napi::CallbackInfo& info) { return Napi::Boolean::New(info.Env(), false); }

#endif

}  // namespace crossblock
