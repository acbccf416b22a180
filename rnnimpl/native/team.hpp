// Steps that follow one another, each made of parts that any thread may run.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "wait.hpp"

namespace rnn {

// Part `i` of every step belongs to thread `i`, which finds in its cache what it left there. But no thread ever
// waits for one that has not started its part: it runs that part itself. So a thread that comes late, or that
// the operating system keeps from its core, costs its help and not the others' time.
class Team {
  public:
    // `threads` is the number of threads that may run the team's parts; a single one needs no claims and no barriers.
    Team(long steps, int parts, long threads)
        : steps_(steps),
          parts_(parts),
          alone_(threads == 1),
          claimed_(alone_ ? nullptr : new Claim[static_cast<std::size_t>(parts)]) {}

    // Runs `part(step, i)` for every part that no other thread claims; returns when all parts of all steps are done.
    template <class Part>
    void run(int preferred, Part&& part) {
        if (alone_) {
            for (long step = 0; step < steps_; ++step)
                for (int i = 0; i < parts_; ++i) part(step, i);
            return;
        }
        // All steps before the current step of part 0 are done.
        for (long step = joins_at(); step < steps_; ++step) {
            for (int offset = 0; offset < parts_; ++offset) {
                const int i = (preferred + offset) % parts_;
                if (claim(i, step)) {
                    part(step, i);
                    done_.value.fetch_add(1, std::memory_order_acq_rel);
                    done_.value.notify_all();
                }
            }
            wait_for(step);
        }
    }

  private:
    struct alignas(64) Claim {
        std::atomic<long> next{0};  // the step that nobody has claimed yet
    };
    struct alignas(64) Done {
        // Padding against libstdc++'s table of waiting threads, which is indexed by bits of the address: if `value`
        // shared an entry with the pool's variable, notify_all would make a system call after each part.
        std::uint32_t apart[8] = {};
        std::atomic<std::uint32_t> value{0};  // parts, counted over all steps; may wrap around
    };

    long joins_at() const {
        const long claimed = claimed_[0].next.load(std::memory_order_acquire);
        return claimed > 0 ? claimed - 1 : 0;
    }

    bool claim(int i, long step) {
        std::atomic<long>& next = claimed_[static_cast<std::size_t>(i)].next;
        long expected = step;
        return next.load(std::memory_order_relaxed) == step &&
               next.compare_exchange_strong(expected, step + 1, std::memory_order_acq_rel);
    }

    void wait_for(long step) {
        const auto target = static_cast<std::uint32_t>((step + 1) * parts_);
        wait_until(done_.value, [target](std::uint32_t done) { return static_cast<std::int32_t>(done - target) >= 0; });
    }

    long steps_;
    int parts_;
    bool alone_;
    std::unique_ptr<Claim[]> claimed_;
    Done done_;
};

}  // namespace rnn
