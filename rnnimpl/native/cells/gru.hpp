// GRU, the reset gate after the product: what a step does to its sums, and what the step back does to gradients.
#pragma once

#include <array>

#include "../vector_math.hpp"

namespace rnn {

// elman.hpp says what the constants are. The candidate n keeps its two sums apart, since r scales the state's alone.
// What a unit keeps from step to step, the memory, is its own h.
struct Gru {
    static constexpr int kGates = 3, kStored = 4, kStates = 1, kSaved = 5;
    static constexpr std::array<int, 4> kOfInput{-1, 0, 1, 2}, kOfState{2, 0, 1, -1};
    static constexpr double kPointwiseCycles = 55.0;

    // sums: the state's of n, then of r and z, then the input's of n. h: the memory, before the step, then after it. Saved
    // are r, z, n, the state's sum of n, and h before the step minus n.
    template <class S, std::size_t N>
    static void forward(const std::array<Vectors<S, N>, kStored>& sums, Vectors<S, N>& memory, Vectors<S, N>& h,
                        std::array<Vectors<S, N>, kSaved>& saved) {
        // References, for clang before version 16 captures no structured binding.
        auto &r = saved[0], &z = saved[1], &n = saved[2], &of_state = saved[3], &difference = saved[4];
        of_state = sums[0], r = sums[1], z = sums[2];
        sigmoid<S, N>(r);
        sigmoid<S, N>(z);
        each<N>([&](auto i) { n[i] = sums[3][i] + r[i] * of_state[i]; });
        tanh<S, N>(n);
        each<N>([&](auto i) { difference[i] = memory[i] - n[i]; });
        each<N>([&](auto i) { memory[i] = n[i] + z[i] * difference[i]; });
        h = memory;
    }

    // dh: gradient of the step's output without what h hands on directly, which is `carried`: of the step after, then of
    // this one. d: gradients of the sums, the state's of n first.
    template <class S>
    static void backward(const std::array<Vector<S>, kSaved>& saved, const Vector<S>& dh, Vector<S>& carried,
                         std::array<Vector<S>, kStored>& d) {
        const auto& [r, z, n, of_state, difference] = saved;
        const Vector<S> total = dh + carried;
        const Vector<S> dn = total * (S(1) - z) * (S(1) - n * n);
        d[0] = dn * r;
        d[1] = dn * of_state * (r * (S(1) - r));
        d[2] = total * difference * (z * (S(1) - z));
        d[3] = dn;
        carried = total * z;
    }
};

}  // namespace rnn
