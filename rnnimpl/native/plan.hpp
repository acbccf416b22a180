// How the work of a call is shared among threads: by sequences of the batch, by directions, by hidden units.
#pragma once

#include <algorithm>

#include "simd.hpp"

namespace rnn {

// Teams take sequences of the batch and never wait for one another. Within a team the directions are apart, and
// each direction's hidden units are shared by `members`, who meet after every step where there are several.
struct Plan {
    int teams = 1, members = 1, threads = 1;
};

// Cycles of one step of one direction for one thread, by what bounds it: the multipliers, or the cache that
// holds its part of w_hh.
template <class S>
double step_cycles(long rows, long H, int members) {
    const double vectors = static_cast<double>((H + kLanes<S> - 1) / kLanes<S>);
    const double own = std::max(1.0, vectors / members);
    const double bytes = own * kVectorBytes * static_cast<double>(H);
    const double first = bytes <= 24e3 ? 1.0 : (bytes <= 900e3 ? 2.0 : 4.5);
    const double blocks = static_cast<double>((rows + kBlockRows - 1) / kBlockRows);
    const double products = std::max(static_cast<double>(rows), first + 2.0 * (blocks - 1));
    const double meeting = members > 1 ? 600.0 : 0.0;
    return own * (static_cast<double>(H) * products + 25.0 * static_cast<double>(rows)) + 100.0 + meeting;
}

// The cheapest way for up to `threads` threads; fewer than all where waking and meeting cost more than they save.
template <class S>
Plan make_plan(long T, long B, long H, int L, int D, int threads) {
    constexpr double waking = 15e3;
    Plan best;
    double least = 0;
    for (int teams = 1; teams <= std::min<long>(threads, B); ++teams) {
        for (int workers = 1; teams * workers <= threads; ++workers) {
            const int members = std::max(1, workers / D);
            const double directions = workers < D ? D : 1;
            const double step = directions * step_cycles<S>((B + teams - 1) / teams, H, members);
            const double cycles = step * static_cast<double>(T * L) + (teams * workers > 1 ? waking : 0.0);
            if (least == 0 || cycles < least) {
                least = cycles;
                best = {teams, members, teams * workers};
            }
        }
    }
    return best;
}

}  // namespace rnn
