// tanh and sigmoid of vectors, to a few units in the last place over the whole range.
#pragma once

#include <array>

#include "simd.hpp"

namespace rnn {

template <class S>
struct ExpConstants;

template <>
struct ExpConstants<float> {
    // tanh rounds to 1 well before; exp(2 * 10) + 2 == exp(2 * 10), so the quotient below is exactly 1.
    static constexpr float limit = 10.0f;
    static constexpr float log2_e = 1.44269504f;
    // ln 2 in two parts; the first has few bits, so that its product with a small whole number is exact.
    static constexpr float ln2_high = 0.693359375f;
    static constexpr float ln2_low = -2.12194440e-4f;
    // Adding 1.5 * 2**(significand bits) rounds to a whole number and leaves it in the lowest bits.
    static constexpr float round = 12582912.0f;
    static constexpr int significand_bits = 23;
    static constexpr int exponent_bias = 127;
    static constexpr int terms = 7;
    // exp of minus this is less than half of the least number above zero.
    static constexpr float sigmoid_limit = 104.0f;
    static constexpr int shifted = 64;
    static constexpr float shift_back = 0x1p-64f;
};

template <>
struct ExpConstants<double> {
    static constexpr double limit = 20.0;
    static constexpr double log2_e = 1.4426950408889634;
    static constexpr double ln2_high = 6.93145751953125e-1;
    static constexpr double ln2_low = 1.42860682030941723212e-6;
    static constexpr double round = 6755399441055744.0;
    static constexpr int significand_bits = 52;
    static constexpr int exponent_bias = 1023;
    static constexpr int terms = 13;
    static constexpr double sigmoid_limit = 746.0;
    static constexpr int shifted = 512;
    static constexpr double shift_back = 0x1p-512;
};

constexpr double factorial(int n) { return n <= 1 ? 1.0 : n * factorial(n - 1); }

// 1 / n!, the coefficients of exp's Taylor series. A table, so that the compiler and not each call computes them.
template <class S>
constexpr auto make_exp_terms() {
    std::array<S, ExpConstants<S>::terms + 1> terms{};
    for (int n = 0; n < static_cast<int>(terms.size()); ++n)
        terms[static_cast<std::size_t>(n)] = static_cast<S>(1.0 / factorial(n));
    return terms;
}

template <class S>
inline constexpr auto kExpTerms = make_exp_terms<S>();

// Several vectors may go through each stage together: a single one mostly waits for its own last result where the
// processor's window of instructions holds hardly more than one tanh.
template <class S, std::size_t N>
using Vectors = std::array<Vector<S>, N>;

template <std::size_t N, class Function>
inline void each(Function&& function) {
#pragma GCC unroll 8
    for (std::size_t i = 0; i < N; ++i) function(i);
}

// exp(r) - 1 for |r| <= ln(2) / 2 by its Taylor series; the first dropped term is below half a unit in the last place.
// Two terms at a time: their chain is half as long as one term at a time makes it.
template <class S, std::size_t N>
inline Vectors<S, N> expm1_near_zero(const Vectors<S, N>& r) {
    constexpr std::size_t last = ExpConstants<S>::terms;
    static_assert(last % 2 == 1);
    Vectors<S, N> squared, sum;
    each<N>([&](auto i) { squared[i] = r[i] * r[i]; });
    each<N>([&](auto i) { sum[i] = r[i] * kExpTerms<S>[last] + kExpTerms<S>[last - 1]; });
#pragma GCC unroll 8
    for (std::size_t n = last - 3; n >= 2; n -= 2) {
        Vectors<S, N> terms;
        each<N>([&](auto i) { terms[i] = r[i] * kExpTerms<S>[n + 1] + kExpTerms<S>[n]; });
        each<N>([&](auto i) { sum[i] = sum[i] * squared[i] + terms[i]; });
    }
    each<N>([&](auto i) { sum[i] = sum[i] * squared[i] + r[i]; });
    return sum;
}

// tanh(x) = (exp(2x) - 1) / (exp(2x) + 1), on |x| and with the sign put back. Working with exp(2x) - 1 keeps the
// relative error at a few units in the last place down to the smallest x. NaN stays NaN: no comparison takes it.
template <class S, std::size_t N>
inline void tanh(Vectors<S, N>& x) {
    using C = ExpConstants<S>;
    using Bits = VectorBits<S>;
    std::array<Bits, N> sign;
    Vectors<S, N> rounded, r, power;
    each<N>([&](auto i) { sign[i] = (Bits)x[i] & (Bits)broadcast(S(-0.0)); });
    each<N>([&](auto i) { x[i] = (Vector<S>)((Bits)x[i] ^ sign[i]); });
    each<N>([&](auto i) { x[i] = C::limit < x[i] ? broadcast(C::limit) : x[i]; });
    each<N>([&](auto i) { rounded[i] = x[i] * (2 * C::log2_e) + C::round; });
    each<N>([&](auto i) {
        const Vector<S> n = rounded[i] - C::round;  // exp(2x) = 2**n * exp(r)
        r[i] = (x[i] - n * (C::ln2_high / 2)) - n * (C::ln2_low / 2);
        r[i] += r[i];
        power[i] = (Vector<S>)(((Bits)rounded[i] + C::exponent_bias) << C::significand_bits);  // 2**n
    });
    const Vectors<S, N> expm1_r = expm1_near_zero<S, N>(r);
    each<N>([&](auto i) { x[i] = power[i] * expm1_r[i] + (power[i] - S(1)); });
    each<N>([&](auto i) { x[i] = (Vector<S>)((Bits)(x[i] / (x[i] + S(2))) | sign[i]); });
}

// sigmoid(x) = 1 / (1 + e) from zero up and e / (1 + e) below, with e = exp(-|x|): the relative error stays at a few units
// in the last place also where the result is tiny. NaN stays NaN: no comparison takes it.
template <class S, std::size_t N>
inline void sigmoid(Vectors<S, N>& x) {
    using C = ExpConstants<S>;
    using Bits = VectorBits<S>;
    Vectors<S, N> minus, rounded, r, e;
    each<N>([&](auto i) { minus[i] = (Vector<S>)((Bits)x[i] | (Bits)broadcast(S(-0.0))); });
    each<N>([&](auto i) { minus[i] = minus[i] < -C::sigmoid_limit ? broadcast(-C::sigmoid_limit) : minus[i]; });
    each<N>([&](auto i) { rounded[i] = minus[i] * C::log2_e + C::round; });
    each<N>([&](auto i) {
        const Vector<S> n = rounded[i] - C::round;  // e = 2**n * exp(r)
        r[i] = (minus[i] - n * C::ln2_high) - n * C::ln2_low;
    });
    const Vectors<S, N> expm1_r = expm1_near_zero<S, N>(r);
    each<N>([&](auto i) {
        // 2**n may be subnormal: it is made larger by a power of two, and e smaller by the same.
        const Vector<S> power =
            (Vector<S>)(((Bits)rounded[i] + (C::exponent_bias + C::shifted)) << C::significand_bits);
        e[i] = (power * expm1_r[i] + power) * C::shift_back;
    });
    each<N>([&](auto i) { x[i] = (x[i] < S(0) ? e[i] : broadcast(S(1))) / (S(1) + e[i]); });
}

}  // namespace rnn
