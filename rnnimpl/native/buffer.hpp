// Memory for packed weights and intermediate results: aligned to vectors, in large pages where it is large.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>
#include <utility>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace rnn {

template <class S>
class Buffer {
  public:
    Buffer() = default;
    explicit Buffer(long size) { reserve(size); }
    Buffer(Buffer&& other) noexcept : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
    Buffer& operator=(Buffer&& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        return *this;
    }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    ~Buffer() { std::free(data_); }

    S* data() { return data_; }
    const S* data() const { return data_; }

    // At least `size` elements, of any value. What was there is lost when it has to grow.
    S* reserve(long size) {
        if (size <= size_) return data_;
        std::free(data_);
        data_ = nullptr;
        size_ = 0;
        const std::size_t bytes = static_cast<std::size_t>(size) * sizeof(S);
        // Weights are read over and over: in pages of 2 MiB the address translations fit the processor's tables.
        const std::size_t alignment = bytes >= kHugePage / 2 ? kHugePage : 64;
        const std::size_t rounded = (bytes + alignment - 1) / alignment * alignment;
        data_ = static_cast<S*>(std::aligned_alloc(alignment, rounded));
        if (data_ == nullptr) throw std::bad_alloc();
#if defined(__linux__)
        if (alignment == kHugePage) madvise(data_, rounded, MADV_HUGEPAGE);
#endif
        size_ = size;
        return data_;
    }

  private:
    static constexpr std::size_t kHugePage = std::size_t{1} << 21;
    S* data_ = nullptr;
    long size_ = 0;
};

}  // namespace rnn
