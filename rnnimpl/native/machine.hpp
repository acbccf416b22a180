// What the plan has to know of the machine: its caches, by what the system says; and, measured at first use, how fast
// it multiplies and what a barrier of threads costs.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <vector>

#include "pool.hpp"
#include "simd.hpp"
#include "team.hpp"

namespace rnn {

// Bytes of a core's own caches.
struct Caches {
    double first = 32e3, second = 512e3;

    static const Caches& here() {
        static const Caches caches = [] {
            Caches found;
#if defined(_SC_LEVEL1_DCACHE_SIZE)
            // 0 or -1 where the system does not know.
            if (const long bytes = sysconf(_SC_LEVEL1_DCACHE_SIZE); bytes > 0) found.first = static_cast<double>(bytes);
            if (const long bytes = sysconf(_SC_LEVEL2_CACHE_SIZE); bytes > 0) found.second = static_cast<double>(bytes);
#endif
            return found;
        }();
        return caches;
    }
};

// Whether so many elements are more than `share` of the second-level cache.
template <class S>
bool exceeds_second_cache(long size, double share) {
    return static_cast<double>(size) * sizeof(S) > share * Caches::here().second;
}

// Whether arrays of so many elements exceed the caches by so much that prefetching them pays.
template <class S>
bool exceeds_caches(long size) {
    return exceeds_second_cache<S>(size, 4);
}

using Clock = std::chrono::steady_clock;

// Seconds of one of the `count` repetitions that `run` makes: the least of a few trials.
template <class Run>
double least_seconds(int count, Run&& run) {
    double least = 1;
    for (int trial = 0; trial < 5; ++trial) {
        const auto begin = Clock::now();
        run();
        least = std::min(least, std::chrono::duration<double>(Clock::now() - begin).count() / count);
    }
    return least;
}

// The seconds of a cycle, from a chain of dependent additions, which take a cycle each.
inline double cycle_seconds() {
    static const double seconds = [] {
        constexpr int count = 20000;
        unsigned long sum = 0;
        return least_seconds(count, [&] {
            for (int i = 0; i < count; ++i) asm volatile("" : "+r"(++sum));
        });
    }();
    return seconds;
}

// Vectors that are multiplied and added a cycle, none waiting for another.
template <class S>
double multiply_adds_per_cycle() {
    static const double rate = [] {
        constexpr int count = 2000, independent = 12;
        const double seconds = least_seconds(count * independent, [] {
            Vector<S> sums[independent] = {};
            Vector<S> factor = broadcast(S(0.5));
            // Hides the value from the compiler, which would compute the result ahead of time.
            asm volatile("" : "+m"(factor));
            const Vector<S> by = factor;
            for (int i = 0; i < count; ++i)
#pragma GCC unroll 12
                for (int j = 0; j < independent; ++j) sums[j] = sums[j] * by + by;
            for (Vector<S>& sum : sums) asm volatile("" : "+m"(sum));
        });
        return cycle_seconds() / seconds;
    }();
    return rate;
}

// Trials of a few barriers by threads that do nothing but exchange some lines, as states are exchanged after a step.
class BarrierTrials {
  public:
    static constexpr double kLateHelp = 3000;  // as barriers cost where cores share no cache

    // Cycles: the lower quartile of the trials in which all threads helped throughout, since anything else only makes a
    // barrier longer. Where that is rare, help comes late: the cores are far apart, or other processes have them.
    static double cycles(int members) {
        std::vector<double> found;
        for (std::size_t trial = 0; trial < kTrials; ++trial) {
            const BarrierTrials own(members);
            if (own.all_helped_) found.push_back(own.seconds_ / cycle_seconds() / kBarriers);
        }
        if (found.size() < kTrials / 4) return kLateHelp;
        std::nth_element(found.begin(), found.begin() + static_cast<long>(found.size() / 4), found.end());
        return found[found.size() / 4];
    }

  private:
    static constexpr std::size_t kTrials = 40, kLines = 4;
    static constexpr long kBarriers = 64;

    struct alignas(64) Line {
        float value = 0;
    };

    explicit BarrierTrials(int members) {
        // What is written in one step is read in the next.
        std::array<std::vector<std::array<Line, kLines>>, 2> exchanged;
        for (auto& lines : exchanged) lines.resize(static_cast<std::size_t>(members));
        std::vector<std::atomic<long>> helped(static_cast<std::size_t>(members));
        Team team(kBarriers, members, members);
        const auto begin = Clock::now();
        Pool::shared().run(members, [&](int thread) {
            team.run(thread, [&](long step, int part) {
                if (part == thread) helped[static_cast<std::size_t>(part)].fetch_add(1, std::memory_order_relaxed);
                const std::size_t now = static_cast<std::size_t>(step % 2);
                float sum = 1;
                for (const auto& lines : exchanged[now])
                    for (const Line& line : lines) sum += line.value;
                for (Line& line : exchanged[1 - now][static_cast<std::size_t>(part)]) line.value = 0.5F * sum;
            });
        });
        seconds_ = std::chrono::duration<double>(Clock::now() - begin).count();
        all_helped_ = std::all_of(helped.begin(), helped.end(), [](const auto& own) { return own > kBarriers * 3 / 4; });
    }

    double seconds_ = 0;
    bool all_helped_ = false;
};

// Cycles of a barrier of so many threads, measured in about a millisecond: once a process, or again for each network that is
// built while help comes late, for then other processes may have had the cores.
inline double measured_barrier_cycles(int members) {
    static std::mutex lock;
    static std::map<int, double> measured;
    const std::scoped_lock locked(lock);
    double& cycles = measured.try_emplace(members, BarrierTrials::kLateHelp).first->second;
    if (cycles >= BarrierTrials::kLateHelp) cycles = BarrierTrials::cycles(members);
    return cycles;
}

// The cost of a barrier of some of up to `threads` threads: measured for two and for all, and linear between.
class Barriers {
  public:
    explicit Barriers(int threads)
        : threads_(threads),
          of_two_(threads > 1 ? measured_barrier_cycles(2) : 0),
          of_all_(threads > 2 ? measured_barrier_cycles(threads) : of_two_) {}

    double cycles(int members) const {
        if (members <= 1) return 0;
        return of_two_ + (of_all_ - of_two_) * (members - 2) / std::max(1, threads_ - 2);
    }

  private:
    int threads_;
    double of_two_, of_all_;
};

}  // namespace rnn
