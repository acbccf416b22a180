// What rnnimpl/cuda/device.cuh gives the kernel, in plain C++: every CUDA thread is a fiber on one CPU thread.
//
// A fiber runs until it waits: for its block at a barrier, for its warp at an exchange of lanes, or for a word that
// another block has not written. Fibers take turns in an order that a seed shuffles, and a block is held up now and then
// while others go on, as on a GPU. When none can go on, `emulate` gives 1; when memory is read in vectors that are not
// aligned, 2.

#include <ucontext.h>

#include <cstdint>
#include <cstring>
#include <vector>

#define __device__
#define __global__
#define __forceinline__ inline
#define __launch_bounds__(...)

struct float4 {
    float x, y, z, w;
};

struct Index {
    int x, y, z;
};

namespace emulated {

struct Barrier {
    int size = 0, arrived = 0;
    long generation = 0;
};

struct Block {
    Index index;
    Barrier barrier;
    std::vector<Barrier> warps;
    std::vector<float> lanes[2];  // of all threads; two, so that one exchange cannot overtake another
    std::vector<float4> shared;
    long held_until = 0;
};

struct Fiber {
    ucontext_t context;
    Block* block;
    int thread;
    long exchanges = 0;
    bool done = false;
};

constexpr size_t STACK_BYTES = 64 << 10;
constexpr int MOST_IDLE_ROUNDS = 1000;
constexpr unsigned HELD_ROUNDS = 32;

inline ucontext_t scheduler;
inline Fiber* current;
inline void (*body)();
inline long progress;
inline int fault;

inline void wait() { swapcontext(&current->context, &scheduler); }

inline void meet(Barrier& barrier) {
    if (++barrier.arrived == barrier.size) {
        barrier.arrived = 0;
        ++barrier.generation;
        ++progress;
        return;
    }
    for (const long generation = barrier.generation; generation == barrier.generation;) wait();
}

inline void run_fiber() {
    body();
    current->done = true;
    ++progress;
    swapcontext(&current->context, &scheduler);
}

// Numerical Recipes' generator; its low bits are poor.
inline unsigned draw(unsigned& seed, unsigned below) {
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % below;
}

// Run all threads to their end; false when none can go on.
inline bool run(std::vector<Block>& blocks, std::vector<Fiber>& fibers, unsigned seed) {
    std::vector<Fiber*> order;
    for (Fiber& fiber : fibers) order.push_back(&fiber);
    for (size_t left = order.size(); left > 1; --left) std::swap(order[left - 1], order[draw(seed, left)]);
    long last = 0;
    for (long round = 0; !order.empty(); ++round) {
        const long before = progress;
        for (Block& block : blocks)
            if (round >= block.held_until && draw(seed, 8) == 0) block.held_until = round + draw(seed, HELD_ROUNDS);
        size_t kept = 0;
        for (Fiber* fiber : order) {
            if (round >= fiber->block->held_until) {
                current = fiber;
                swapcontext(&scheduler, &fiber->context);
            }
            if (!fiber->done) order[kept++] = fiber;
        }
        order.resize(kept);
        if (progress != before) last = round;
        if (round > last + MOST_IDLE_ROUNDS) return false;
    }
    return true;
}

}  // namespace emulated

#define threadIdx (Index{emulated::current->thread, 0, 0})
#define blockIdx (emulated::current->block->index)

extern "C" float tanhf(float);

inline int min(int a, int b) { return a < b ? a : b; }

inline void __syncthreads() { emulated::meet(emulated::current->block->barrier); }

inline float from_lane(float value, int offset) {
    emulated::Fiber& fiber = *emulated::current;
    auto& lanes = fiber.block->lanes[fiber.exchanges++ % 2];
    lanes[fiber.thread] = value;
    emulated::meet(fiber.block->warps[fiber.thread / 32]);
    return lanes[fiber.thread ^ offset];
}

inline float* shared_memory() { return &emulated::current->block->shared[0].x; }

#if SCALAR_BITS == 32
typedef std::uint32_t Raw;
inline float to_float(Raw raw) {
    float value;
    std::memcpy(&value, &raw, sizeof value);
    return value;
}
inline Raw to_raw(float value) {
    Raw raw;
    std::memcpy(&raw, &value, sizeof raw);
    return raw;
}
#else
typedef std::uint16_t Raw;
#if SCALAR_FLOAT16
inline float to_float(Raw raw) {
    _Float16 value;
    std::memcpy(&value, &raw, sizeof value);
    return value;
}
inline Raw to_raw(float value) {
    const _Float16 rounded = static_cast<_Float16>(value);
    Raw raw;
    std::memcpy(&raw, &rounded, sizeof raw);
    return raw;
}
#else
inline float to_float(Raw raw) {
    const std::uint32_t bits = static_cast<std::uint32_t>(raw) << 16;
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}
inline Raw to_raw(float value) {
    std::uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    return static_cast<Raw>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
#endif
#endif

inline void read_now(const Raw* address, unsigned int (&words)[EXCHANGE_WORDS]) {
    if (reinterpret_cast<std::uintptr_t>(address) % EXCHANGE_BYTES != 0) emulated::fault = 2;
    emulated::wait();
    std::memset(words, 0, sizeof words);
    std::memcpy(words, address, EXCHANGE_BYTES);
}

inline void publish(Raw* address, Raw raw) {
    *address = raw;
    ++emulated::progress;
}

inline void give_up() { emulated::fault = 1; }
