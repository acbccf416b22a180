// How the work of a call is shared among threads: by sequences of the batch, by directions, by hidden units.
#pragma once

#include <algorithm>

#include "network.hpp"

namespace rnn {

// Teams take sequences of the batch and never wait for one another. Within a team the directions are apart, and
// each direction's hidden units are shared by `members`, with a barrier after every step where there are several. Or
// the layers are apart: each is a few steps behind the one below it.
struct Plan {
    int teams = 1, members = 1, threads = 1;
    bool layers_apart = false;
};

// The cycles that waking helpers costs; sharing a call has to save more.
inline constexpr double kWakingCycles = 30e3;

// The approximate number of barriers of a call whose layers are apart.
inline constexpr long kWaves = 8;

// Additional cycles of a vector of w_hh that comes from the second cache, and further ones from the third.
inline constexpr double kFromSecond = 0.85, kFromThird = 0.6;

// The share of the rate of multiply-adds that products reach with operands in the first cache.
inline constexpr double kReached = 0.85;

// The part of so many bytes, read back and forth, that a cache does not hold. Some of it holds what else a step reads
// and writes, and what is just too large is evicted twice as fast as it would have to be.
inline double beyond(double cache, double bytes) { return std::clamp(2.0 * (1.0 - 0.85 * cache / bytes), 0.0, 1.0); }

// Cycles of one step of one direction for one thread: its part of w_hh comes from where it lies and is multiplied by
// all rows; that of w_ih, of many steps at once, comes at no cost; and then there is what the cell does with the sums.
template <class S, class Cell>
double step_cycles(long rows, long I, long H, int members) {
    const double vectors = static_cast<double>((H + kLanes<S> - 1) / kLanes<S>);
    const double own = std::max(1.0, vectors / members);
    const double bytes = own * Cell::kGates * kVectorBytes * static_cast<double>(H);
    const Caches& caches = Caches::here();
    const double loads = kFromSecond * beyond(caches.first, bytes) + kFromThird * beyond(caches.second, bytes);
    const double products = static_cast<double>((I + H) * rows) / (kReached * multiply_adds_per_cycle<S>());
    const double of_gate = static_cast<double>(H) * loads + products;
    return own * (Cell::kGates * of_gate + Cell::kPointwiseCycles * static_cast<double>(rows)) + 100.0;
}

// One thread's share of steps when `workers` take a layer each at a time, with the waves that run in and out.
inline double wave_steps(long T, int L, int workers) {
    const int layers = (L + workers - 1) / workers;
    return static_cast<double>(T * layers) * (1.0 + static_cast<double>(L - 1) / kWaves);
}

// The cheapest way for up to the network's threads; fewer than all where waking and barriers cost more than they save.
template <class S, class Cell>
Plan make_plan(const Network<S, Cell>& network, const Batch& batch, bool layers_may_be_apart) {
    const Config& config = network.config;
    const long T = batch.T, B = batch.mean_rows();
    const int L = config.L, D = config.D, threads = config.threads;
    if (threads == 1) return {};
    // The mean number of input features of a layer.
    const long I = (config.I + (L - 1) * D * config.H) / L;
    Plan best;
    double least = 0;
    for (int teams = 1; teams <= std::min<long>(threads, B); ++teams) {
        for (int workers = 1; teams * workers <= threads; ++workers) {
            const auto consider = [&](int members, double steps, bool layers_apart) {
                const double waking = teams * workers > 1 ? kWakingCycles : 0.0;
                const double step = step_cycles<S, Cell>((B + teams - 1) / teams, I, config.H, members);
                const double cycles = waking + steps * (step + network.barriers.cycles(members));
                if (least == 0 || cycles < least) {
                    least = cycles;
                    best = {teams, members, teams * workers, layers_apart};
                }
            };
            consider(std::max(1, workers / D), static_cast<double>(T * L * (workers < D ? D : 1)), false);
            if (layers_may_be_apart && D == 1 && L > 1 && workers > 1 && T >= 2 * kWaves)
                consider(1, wave_steps(T, L, workers), true);
        }
    }
    return best;
}

}  // namespace rnn
