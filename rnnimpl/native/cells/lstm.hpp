// LSTM: what a step does to the sums of its four gates, and what the step back does to gradients.
#pragma once

#include <array>

#include "../vector_math.hpp"

namespace rnn {

// elman.hpp says what the constants are. What a unit keeps from step to step beside its output, the memory, is c.
struct Lstm {
    static constexpr int kGates = 4, kStored = 4, kStates = 2, kSaved = 6;
    static constexpr std::array<int, 4> kOfInput{0, 1, 2, 3}, kOfState{0, 1, 2, 3};
    static constexpr double kPointwiseCycles = 75.0;

    // sums: of i, f, g and o. c: before the step, then after it. Saved are i, f, g, o, tanh(c) and c before the step.
    template <class S, std::size_t N>
    static void forward(const std::array<Vectors<S, N>, kStored>& sums, Vectors<S, N>& c, Vectors<S, N>& h,
                        std::array<Vectors<S, N>, kSaved>& saved) {
        // References, for clang before version 16 captures no structured binding.
        auto &i = saved[0], &f = saved[1], &g = saved[2], &o = saved[3], &squashed = saved[4], &before = saved[5];
        i = sums[0], f = sums[1], g = sums[2], o = sums[3];
        before = c;
        sigmoid<S, N>(f);
        sigmoid<S, N>(i);
        tanh<S, N>(g);
        sigmoid<S, N>(o);
        each<N>([&](auto n) { c[n] = f[n] * c[n] + i[n] * g[n]; });
        squashed = c;
        tanh<S, N>(squashed);
        each<N>([&](auto n) { h[n] = o[n] * squashed[n]; });
    }

    // dh: gradient of the step's output. carried: of c after the step, then of c before it. d: of the sums.
    template <class S>
    static void backward(const std::array<Vector<S>, kSaved>& saved, const Vector<S>& dh, Vector<S>& carried,
                         std::array<Vector<S>, kStored>& d) {
        const auto& [i, f, g, o, squashed, before] = saved;
        const Vector<S> dc = carried + dh * o * (S(1) - squashed * squashed);
        d[0] = dc * g * (i * (S(1) - i));
        d[1] = dc * before * (f * (S(1) - f));
        d[2] = dc * i * (S(1) - g * g);
        d[3] = dh * squashed * (o * (S(1) - o));
        carried = dc * f;
    }
};

}  // namespace rnn
