// Waiting for another thread: look again for a bounded while, then sleep until woken.
#pragma once

#include <atomic>
#include <cstdint>

namespace rnn {

inline void pause_briefly() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

// Some ten microseconds: longer than two threads that both run ever differ at a step's end. One that waits
// longer waits for a thread that has lost its core, and had better leave its own to others.
inline constexpr int kSpins = 500;

// Returns when `ready(value)` holds. The thread that changes the value calls notify_all.
template <class Ready>
std::uint32_t wait_until(const std::atomic<std::uint32_t>& value, Ready ready, int spins = kSpins) {
    for (int spin = 0; spin < spins; ++spin) {
        const std::uint32_t now = value.load(std::memory_order_acquire);
        if (ready(now)) return now;
        pause_briefly();
    }
    for (;;) {
        const std::uint32_t now = value.load(std::memory_order_acquire);
        if (ready(now)) return now;
        value.wait(now, std::memory_order_acquire);
    }
}

}  // namespace rnn
