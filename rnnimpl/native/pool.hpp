// Threads that help with one job at a time and sleep in between.
#pragma once

#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "wait.hpp"

namespace rnn {

// Two functions of an OpenMP runtime (`GOMP_parallel` and `omp_get_thread_num`), whose threads the process has already.
struct OpenMp {
    void (*parallel)(void (*body)(void*), void* data, unsigned threads, unsigned flags);
    int (*thread_number)();
};

// One pool for the process. The caller of `run` starts at once; helpers join when they have woken up. A job must be
// complete when the caller returns from it, no matter how many helpers joined: `Team` ensures that.
class Pool {
  public:
    static Pool& shared() {
        static std::once_flag once;
        // Threads do not survive a fork: the child starts a pool of its own and never touches the parent's.
        std::call_once(once, [] {
            current() = new Pool;
            pthread_atfork(nullptr, nullptr, [] {
                current() = new Pool;
                borrowed() = {};
            });
        });
        return *current();
    }

    // From now on jobs run on the threads of this runtime, and the pool starts none. Two sets of threads would take each
    // other's cores: those of either spin for a while after each job. A fork ends it: a child has no threads of the runtime.
    static void borrow(const OpenMp& runtime) {
        shared();
        borrowed() = runtime;
    }

    // Runs `job(0)` here and `job(1)`, `job(2)` ... on up to `threads - 1` helpers. A second caller finds the
    // helpers busy and works alone.
    void run(int threads, const std::function<void(int)>& job) {
        if (threads <= 1) return job(0);
        std::unique_lock lock(busy_, std::try_to_lock);
        if (!lock.owns_lock()) return job(0);
        if (borrowed().parallel != nullptr) return run_borrowed(threads, job);
        start_helpers(threads - 1);
        keep_helpers_off_this_core();
        job_ = &job;
        wanted_ = threads - 1;
        gate_.store(kOpen, std::memory_order_release);
        calls_.fetch_add(1, std::memory_order_release);
        calls_.notify_all();
        job(0);
        gate_.fetch_and(~kOpen, std::memory_order_acq_rel);
        wait_until(gate_, [](std::uint32_t gate) { return gate == 0; });
    }

  private:
    static constexpr std::uint32_t kOpen = 1, kOneInside = 2;
    // Some fifty microseconds: a caller in a loop calls again within that time, and waking a helper takes about as long.
    static constexpr int kCallSpins = 4 * kSpins;

    static Pool*& current() {
        static Pool* pool = nullptr;
        return pool;
    }

    static OpenMp& borrowed() {
        static OpenMp runtime{};
        return runtime;
    }

    // An exception does not cross the runtime's frames: the caller throws the first one again.
    static void run_borrowed(int threads, const std::function<void(int)>& job) {
        struct Call {
            const std::function<void(int)>& job;
            std::once_flag failed;
            std::exception_ptr failure;
        } call{job, {}, nullptr};
        const auto body = [](void* data) {
            Call& of = *static_cast<Call*>(data);
            try {
                of.job(borrowed().thread_number());
            } catch (...) {
                std::call_once(of.failed, [&] { of.failure = std::current_exception(); });
            }
        };
        borrowed().parallel(body, &call, static_cast<unsigned>(threads), 0);
        if (call.failure) std::rethrow_exception(call.failure);
    }

    // Where the system gives no more threads, there are fewer helpers.
    void start_helpers(int count) {
        while (static_cast<int>(helpers_.size()) < count) {
            const int index = static_cast<int>(helpers_.size()) + 1;
            try {
                std::thread helper([this, index] { help(index); });
                helpers_.push_back(helper.native_handle());
                helper.detach();
            } catch (const std::system_error&) {
                return;
            }
            callers_core_ = -1;
        }
    }

    // Linux wakes a thread on the core of the one that wakes it where it takes no other for idle, and on a virtual
    // machine an idle core that the host has taken back does not count as such: the two would share one core from
    // then on. So helpers may run wherever the caller may, but not where it is.
    void keep_helpers_off_this_core() {
#if defined(__linux__)
        const int core = sched_getcpu();
        if (core < 0 || core == callers_core_) return;
        cpu_set_t cores;
        if (sched_getaffinity(0, sizeof cores, &cores) != 0) return;
        CPU_CLR(static_cast<std::size_t>(core), &cores);
        if (CPU_COUNT(&cores) == 0) return;
        for (const pthread_t helper : helpers_) pthread_setaffinity_np(helper, sizeof cores, &cores);
        callers_core_ = core;
#endif
    }

    [[noreturn]] void help(int index) {
        std::uint32_t seen = 0;
        for (;;) {
            seen = wait_until(calls_, [seen](std::uint32_t calls) { return calls != seen; }, kCallSpins);
            if (!enter()) continue;
            if (index <= wanted_) (*job_)(index);
            gate_.fetch_sub(kOneInside, std::memory_order_acq_rel);
            gate_.notify_all();
        }
    }

    // The caller waits for those inside; one that comes after the gate has closed stays out.
    bool enter() {
        std::uint32_t gate = gate_.load(std::memory_order_acquire);
        while (gate & kOpen)
            if (gate_.compare_exchange_weak(gate, gate + kOneInside, std::memory_order_acq_rel)) return true;
        return false;
    }

    std::mutex busy_;
    const std::function<void(int)>* job_ = nullptr;
    int wanted_ = 0;
    std::vector<pthread_t> helpers_;
    int callers_core_ = -1;  // where the caller was when helpers were last kept off it
    alignas(64) std::atomic<std::uint32_t> calls_{0};
    alignas(64) std::atomic<std::uint32_t> gate_{0};
};

}  // namespace rnn
