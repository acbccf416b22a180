// Peaks of the cores: multiply-adds, reads by working set, the least dependent step, a cache line from core to core.
//
// Each probe takes samples for a given time and returns the best of them, as rates and latencies are limits. Each
// checks its result, so that the compiler cannot have removed work; a negative return value is a failure.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

#include "buffer.hpp"
#include "simd.hpp"
#include "wait.hpp"

namespace probes {
namespace {

using rnn::broadcast;
using rnn::kLanes;
using rnn::load;
using rnn::Vector;

constexpr double kSampleSeconds = 2e-4;
constexpr int kLeastSamples = 20;   // also when time is up: other programs may have the core,
constexpr double kOvertime = 10.0;  // but no longer than this many times the given time
constexpr double kNoMemory = -1.0, kNoThreads = -2.0, kWrong = -3.0;

double now() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Threads spin at it, and yield after a while, so that a thread without a core gets one.
class Barrier {
  public:
    explicit Barrier(int threads) : threads_(threads) {}
    void wait(long& arrivals) {
        arrivals += threads_;
        arrived_.fetch_add(1, std::memory_order_acq_rel);
        for (int spins = 0; arrived_.load(std::memory_order_acquire) < arrivals; ++spins)
            if (spins >= 10000) std::this_thread::yield();
    }

  private:
    const int threads_;
    alignas(64) std::atomic<long> arrived_{0};
};

// Least seconds of `work(thread)` on all threads together. The clock is read before any thread starts and after all
// have ended, so imperfect overlap makes a sample longer, never shorter.
template <class Work>
double best_seconds(int threads, double budget, const Work& work) {
    Barrier barrier(threads);
    std::atomic<bool> more{true};
    double best = -1.0;
    int samples = 0;
    const double begin = now();
    const auto sample = [&](int thread) {
        for (long arrivals = 0;;) {
            if (thread == 0) {
                const double spent = now() - begin;
                more.store(samples == 0 || spent < budget || (samples < kLeastSamples && spent < kOvertime * budget),
                           std::memory_order_release);
                ++samples;
            }
            barrier.wait(arrivals);
            if (!more.load(std::memory_order_acquire)) return;
            const double start = now();
            barrier.wait(arrivals);
            work(thread);
            barrier.wait(arrivals);
            if (thread == 0) best = best < 0 ? now() - start : std::min(best, now() - start);
        }
    };
    std::atomic<int> gate{0};  // shut; then 1 for all to start, or -1 for none
    std::vector<std::thread> others;
    const auto release = [&](int value) {
        gate.store(value);
        gate.notify_all();
        if (value > 0) sample(0);
        for (std::thread& other : others) other.join();
    };
    try {
        for (int thread = 1; thread < threads; ++thread)
            others.emplace_back([&, thread] {
                gate.wait(0);
                if (gate.load() > 0) sample(thread);
            });
    } catch (const std::system_error&) {
        release(-1);
        throw;
    }
    release(1);
    return best;
}

// Number of runs of `once` that make a sample long enough.
template <class Once>
long repetitions(const Once& once) {
    long count = 1;
    for (;;) {
        const double start = now();
        for (long i = 0; i < count; ++i) once();
        if (now() - start >= kSampleSeconds || count >= (1L << 40)) return count;
        count *= 2;
    }
}

template <class Function>
double guarded(const Function& function) {
    try {
        return function();
    } catch (const std::bad_alloc&) {
        return kNoMemory;
    } catch (const std::system_error&) {
        return kNoThreads;
    }
}

// n rounds of one multiply-add a register, as many registers as the kernels sum in; the sum of all results.
template <class S>
S multiply_add(long n, S factor, S term) {
    constexpr int registers = rnn::kBlockRows * rnn::kBlockVectors;
    const Vector<S> a = broadcast(factor), b = broadcast(term);
    Vector<S> sum[registers];
#pragma GCC unroll 32
    for (int r = 0; r < registers; ++r) sum[r] = broadcast(static_cast<S>(r));  // all different
    for (long i = 0; i < n; ++i)
#pragma GCC unroll 32
        for (int r = 0; r < registers; ++r) sum[r] = sum[r] * a + b;
    S total = 0;
    for (int r = 0; r < registers; ++r)
        for (int lane = 0; lane < kLanes<S>; ++lane) total += sum[r][lane];
    return total;
}

// Operations a second of all threads.
template <class S>
double multiply_adds(int threads, double budget) {
    constexpr long n = 4096, registers = rnn::kBlockRows * rnn::kBlockVectors;
    constexpr S expected = static_cast<S>((n * registers + registers * (registers - 1) / 2) * kLanes<S>);
    volatile S one = 1;
    std::atomic<bool> right{true};
    const auto once = [&] {
        if (multiply_add<S>(n, one, one) != expected) right.store(false, std::memory_order_relaxed);
    };
    const long count = repetitions(once);
    const double seconds = best_seconds(threads, budget, [&](int) {
        for (long i = 0; i < count; ++i) once();
    });
    const double operations = 2.0 * n * registers * kLanes<S>;
    return right.load() ? operations * static_cast<double>(count * threads) / seconds : kWrong;
}

constexpr long kAtOnce = 8;
constexpr long kBytesAtOnce = 1L << 20;  // between reductions to one number, which take long

// The sum of so many blocks of kAtOnce vectors, read `passes` times: from the first to the last, and back, and so on.
float sum_of(const float* data, long blocks, long passes) {
    constexpr long block = kAtOnce * kLanes<float>;
    Vector<float> sum[kAtOnce] = {};
    for (long pass = 0; pass < passes; ++pass) {
        for (long i = 0; i < blocks; ++i) {
            const float* from = data + (pass % 2 == 0 ? i : blocks - 1 - i) * block;
#pragma GCC unroll 8
            for (long j = 0; j < kAtOnce; ++j) sum[j] += load(from + j * kLanes<float>);
        }
        asm volatile("" ::: "memory");  // so that the compiler does not merge passes
    }
    float total = 0;
    for (const Vector<float>& part : sum)
        for (int lane = 0; lane < kLanes<float>; ++lane) total += part[lane];
    return total;
}

// Bytes a second that all threads together read, each its own array or all the same one, back and forth: data in a
// near cache are read first, as a kernel does with its weights.
double read(int threads, long bytes, bool shared, double budget) {
    constexpr long block = kAtOnce * kLanes<float>;
    const long blocks = std::max(1L, bytes / static_cast<long>(block * sizeof(float)));
    std::vector<rnn::Buffer<float>> arrays;
    for (int thread = 0; thread < (shared ? 1 : threads); ++thread) {
        arrays.emplace_back(blocks * block);
        std::fill_n(arrays.back().data(), blocks * block, 0.0f);
        arrays.back().data()[blocks * block - 1] = arrays.back().data()[0] = 1.0f;
    }
    const long passes = 2 * std::max(1L, kBytesAtOnce / bytes / 2);
    std::atomic<bool> right{true};
    const auto back_and_forth = [&](int thread) {
        const float* data = arrays[static_cast<std::size_t>(shared ? 0 : thread)].data();
        const float sum = sum_of(data, blocks, passes);
        if (sum != 2.0f * static_cast<float>(passes)) right.store(false, std::memory_order_relaxed);
    };
    const long count = repetitions([&] { back_and_forth(0); });
    const double seconds = best_seconds(threads, budget, [&](int thread) {
        for (long i = 0; i < count; ++i) back_and_forth(thread);
    });
    if (!right.load()) return kWrong;
    const double bytes_read = static_cast<double>(blocks * block * static_cast<long>(sizeof(float)) * passes);
    return bytes_read * static_cast<double>(count * threads) / seconds;
}

// Seconds of one dependent step of the least kind: an element of the state is read, spread over a vector, multiplied,
// added to and stored as the next state.
template <class S>
double least_step(double budget) {
    constexpr long n = 1024;
    alignas(64) S state[kLanes<S>];
    volatile S one = 1;
    bool right = true;
    const auto once = [&] {
        rnn::store(state, Vector<S>{});
        const Vector<S> weight = broadcast(static_cast<S>(one)), term = weight;
        for (long i = 0; i < n; ++i) {
            const Vector<S> next = broadcast(state[0]) * weight + term;
            rnn::store(state, next);
            asm volatile("" ::: "memory");  // the state goes through memory
        }
        if (state[0] != static_cast<S>(n)) right = false;
    };
    const long count = repetitions(once);
    const double seconds = best_seconds(1, budget, [&](int) {
        for (long i = 0; i < count; ++i) once();
    });
    return right ? seconds / static_cast<double>(count * n) : kWrong;
}

// Seconds until what one thread wrote is seen by another: half of a round trip of one cache line.
double exchange(double budget) {
    constexpr long n = 32;  // few, so that in some sample both threads have their cores all along
    alignas(64) std::atomic<long> line{0};
    const double seconds = best_seconds(2, budget, [&](int thread) {
        const long begin = line.load(std::memory_order_acquire) / (2 * n) * (2 * n);
        for (long i = 0; i < n; ++i) {
            const long wanted = begin + 2 * i + thread;
            while (line.load(std::memory_order_acquire) != wanted) continue;  // a pause would be part of the time
            line.store(wanted + 1, std::memory_order_release);
        }
    });
    return seconds / (2.0 * n);
}

}  // namespace
}  // namespace probes

#pragma GCC visibility push(default)
extern "C" {
double probe_multiply_adds_float32(int threads, double budget) {
    return probes::guarded([&] { return probes::multiply_adds<float>(threads, budget); });
}
double probe_multiply_adds_float64(int threads, double budget) {
    return probes::guarded([&] { return probes::multiply_adds<double>(threads, budget); });
}
double probe_read(int threads, long bytes, int shared, double budget) {
    return probes::guarded([&] { return probes::read(threads, bytes, shared != 0, budget); });
}
double probe_least_step_float32(double budget) {
    return probes::guarded([&] { return probes::least_step<float>(budget); });
}
double probe_least_step_float64(double budget) {
    return probes::guarded([&] { return probes::least_step<double>(budget); });
}
double probe_exchange(double budget) {
    return probes::guarded([&] { return probes::exchange(budget); });
}
}
#pragma GCC visibility pop
