#include "memory/host_allocator.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <c10/util/Exception.h>
#include <torch/version.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <mutex>
#include <vector>

namespace crossblock {
namespace {

constexpr size_t kAlignment = 64;
// Below this the C library's own free lists serve well.
constexpr size_t kSmallest = 64 * 1024;
// What the pool may hold beyond the most that tensors have taken at once: sizes change from phase to phase, and what a plan
// counts are tensors.
constexpr size_t kSpare = size_t{64} << 20;
// Kept memory beyond half of what is in use and this goes back, so that a peak does not last.
constexpr size_t kLasting = size_t{512} << 20;

// Sizes are rounded up to an eighth of their power of two: little waste, many hits.
size_t sizeClass(size_t bytes) {
  size_t step = kSmallest / 8;
  while (step * 16 <= bytes) {
    step *= 2;
  }
  return (bytes + step - 1) / step * step;
}

class HostPool {
 public:
  // Never destroyed: tensors may outlive every environment.
  static HostPool& instance() {
    static auto* pool = new HostPool();
    return *pool;
  }

  void* take(size_t size) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      auto& list = kept_[size];
      if (!list.empty()) {
        void* memory = list.back();
        list.pop_back();
        keptBytes_ -= size;
        usedBytes_ += size;
        return memory;
      }
      const size_t wanted = usedBytes_ + size;
      peakBytes_ = std::max(peakBytes_, wanted);
      const size_t most = peakBytes_ + peakBytes_ / 16 + kSpare;
      if (wanted + keptBytes_ > most) {
        freeKept(wanted + keptBytes_ - most);
      }
      if (limit_ != 0 && wanted + keptBytes_ > limit_) {
        freeKept();
        TORCH_CHECK_WITH(OutOfMemoryError, usedBytes_ + size <= limit_, "CPU out of memory. Tried to allocate ", size,
                         " bytes beside ", usedBytes_, " of the ", limit_, " that tensors may take");
      }
      usedBytes_ += size;
    }
    void* memory = std::aligned_alloc(kAlignment, size);
    if (memory == nullptr) {
      releaseAll();
      memory = std::aligned_alloc(kAlignment, size);
    }
    if (memory == nullptr) {
      std::lock_guard<std::mutex> lock(mutex_);
      usedBytes_ -= size;
      throw std::bad_alloc();
    }
    return memory;
  }

  void give(void* memory, size_t size) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      usedBytes_ -= size;
      const bool fits = limit_ == 0 || usedBytes_ + keptBytes_ + size <= limit_;
      if (fits && keptBytes_ + size <= usedBytes_ / 2 + kLasting) {
        kept_[size].push_back(memory);
        keptBytes_ += size;
        return;
      }
    }
    std::free(memory);
  }

  void limit(size_t bytes) {
    std::lock_guard<std::mutex> lock(mutex_);
    limit_ = bytes;
    if (limit_ != 0 && usedBytes_ + keptBytes_ > limit_) {
      freeKept();
    }
  }

  void releaseAll() {
    std::lock_guard<std::mutex> lock(mutex_);
    freeKept();
  }

  size_t keptBytes() {
    std::lock_guard<std::mutex> lock(mutex_);
    return keptBytes_;
  }

 private:
  void freeKept() {
    for (auto& [size, list] : kept_) {
      for (void* memory : list) {
        std::free(memory);
      }
      list.clear();
    }
    keptBytes_ = 0;
  }

  // Frees at least so much, the largest first: each of them spares the most that are small and taken often.
  void freeKept(size_t bytes) {
    size_t freed = 0;
    for (auto list = kept_.rbegin(); list != kept_.rend() && freed < bytes; ++list) {
      while (!list->second.empty() && freed < bytes) {
        std::free(list->second.back());
        list->second.pop_back();
        freed += list->first;
      }
    }
    keptBytes_ -= freed;
  }

  std::mutex mutex_;
  std::map<size_t, std::vector<void*>> kept_;
  size_t keptBytes_ = 0;
  size_t usedBytes_ = 0;
  size_t peakBytes_ = 0;
  size_t limit_ = 0;
};

// In front of every block, so that its address alone says how to free it: libtorch's raw interface, which oneDNN's
// products take their scratch memory through, knows nothing else of a block.
struct Header {
  size_t size;  // of the whole, the header included
};
constexpr size_t kHeaderBytes = kAlignment;

void freeBlock(void* data) {
  if (data == nullptr) {
    return;
  }
  void* block = static_cast<char*>(data) - kHeaderBytes;
  const size_t size = static_cast<Header*>(block)->size;
  if (size < kSmallest) {
    std::free(block);
  } else {
    HostPool::instance().give(block, size);
  }
}

// Since libtorch 2.3 `allocate` is not const and an allocator also says how its data is copied.
class HostAllocator final : public c10::Allocator {
 public:
#if TORCH_VERSION_MAJOR < 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR < 3)
  c10::DataPtr allocate(size_t bytes) const override { return make(bytes); }
#else
  c10::DataPtr allocate(size_t bytes) override { return make(bytes); }
  void copy_data(void* destination, const void* source, size_t count) const override {
    default_copy_data(destination, source, count);
  }
#endif

  c10::DeleterFnPtr raw_deleter() const override { return &freeBlock; }

 private:
  static c10::DataPtr make(size_t bytes) {
    if (bytes == 0) {
      return {nullptr, nullptr, &freeBlock, c10::Device(c10::kCPU)};
    }
    const size_t needed = bytes + kHeaderBytes;
    const bool small = needed < kSmallest;
    const size_t size = small ? (needed + kAlignment - 1) / kAlignment * kAlignment : sizeClass(needed);
    void* block = small ? std::aligned_alloc(kAlignment, size) : HostPool::instance().take(size);
    if (block == nullptr) {
      throw std::bad_alloc();
    }
    static_cast<Header*>(block)->size = size;
    void* data = static_cast<char*>(block) + kHeaderBytes;
    return {data, data, &freeBlock, c10::Device(c10::kCPU)};
  }
};

}  // namespace

void installHostAllocator() {
  static auto* allocator = new HostAllocator();
  c10::SetCPUAllocator(allocator, 1);
}

double cachedHostBytes() { return static_cast<double>(HostPool::instance().keptBytes()); }

void limitHostMemory(size_t bytes) { HostPool::instance().limit(bytes); }

void releaseCachedHostMemory() { HostPool::instance().releaseAll(); }

}  // namespace crossblock
