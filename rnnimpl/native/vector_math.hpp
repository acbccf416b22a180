// tanh and sigmoid of vectors, to a few units in the last place over the whole range.
#pragma once

#include <array>

#include "simd.hpp"

namespace rnn {

template <class S>
struct ExpConstants;

template <>
struct ExpConstants<float> {
    static constexpr float log2_e = 1.44269504f;
    static constexpr float ln2 = 0.693147181f;
    // ln 2 in two parts; the first has few bits, so that its product with a small whole number is exact.
    static constexpr float ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
    // Adding 1.5 * 2**(significand bits) rounds to a whole number and leaves it in the lowest bits.
    static constexpr float round = 12582912.0f;
    static constexpr int significand_bits = 23;
    static constexpr int exponent_bias = 127;
    // tanh rounds to 1 well before: exp(2 * 10) + 2 == exp(2 * 10).
    static constexpr float tanh_limit = 10.0f;
    // exp of the first is less than half of the least number above zero; exp of the second plus 1 is exp of the second.
    static constexpr float sigmoid_least = -104.0f, sigmoid_most = 40.0f;
    // exp(x) times 2**shifted is not subnormal where exp(x) may be.
    static constexpr int shifted = 64;
    static constexpr float shifted_one = 0x1p64f;
    // (exp(r) - 1 - r) / r**2 for |r| <= ln(2) / 2, from the constant term on: the polynomial that is exact at Chebyshev's
    // points. With it exp(r) - 1 is off by at most 0.21 units in the last place.
    static constexpr std::array expm1_terms{0.5, 0.166665770256, 0.0416665546621, 0.00836317307451, 0.00139261761199};
};

template <>
struct ExpConstants<double> {
    static constexpr double log2_e = 1.4426950408889634;
    static constexpr double ln2 = 0.69314718055994531;
    static constexpr double ln2_high = 6.93145751953125e-1, ln2_low = 1.42860682030941723212e-6;
    static constexpr double round = 6755399441055744.0;
    static constexpr int significand_bits = 52;
    static constexpr int exponent_bias = 1023;
    static constexpr double tanh_limit = 20.0;
    static constexpr double sigmoid_least = -746.0, sigmoid_most = 40.0;
    static constexpr int shifted = 512;
    static constexpr double shifted_one = 0x1p512;
    static constexpr std::array expm1_terms{0.5,
                                            0.16666666666666670986,
                                            0.041666666666666669752,
                                            0.008333333333326140884,
                                            0.0013888888888883752417,
                                            0.00019841269874800491981,
                                            0.000024801587325533363819,
                                            2.7557255425746434282e-6,
                                            2.7557273661348636219e-7,
                                            2.5105206373957011116e-8,
                                            2.09146793765839351e-9};
};

// The terms of (exp(m*r) - 1 - m*r) / (m * r**2). A table, so that the compiler and not each call computes them.
template <class S, int m>
constexpr auto make_expm1_terms() {
    std::array<S, ExpConstants<S>::expm1_terms.size()> terms{};
    double power = m;
    for (std::size_t n = 0; n < terms.size(); ++n, power *= m) terms[n] = static_cast<S>(ExpConstants<S>::expm1_terms[n] * power);
    return terms;
}

template <class S, int m>
inline constexpr auto kExpm1Terms = make_expm1_terms<S, m>();

// Several vectors may go through each stage together: a single one mostly waits for its own last result where the
// processor's window of instructions holds hardly more than one tanh.
template <class S, std::size_t N>
using Vectors = std::array<Vector<S>, N>;

template <std::size_t N, class Function>
inline void each(Function&& function) {
#pragma GCC unroll 8
    for (std::size_t i = 0; i < N; ++i) function(i);
}

// (exp(m*r) - 1) / m for |m*r| <= ln(2) / 2. Two terms at a time: their chain is half as long as one term at a time makes it.
template <int m, class S, std::size_t N>
inline Vectors<S, N> expm1_near_zero(const Vectors<S, N>& r) {
    constexpr auto& terms = kExpm1Terms<S, m>;
    static_assert(terms.size() % 2 == 1);
    Vectors<S, N> squared, sum;
    each<N>([&](auto i) { squared[i] = r[i] * r[i]; });
    each<N>([&](auto i) { sum[i] = broadcast(terms.back()); });
#pragma GCC unroll 8
    for (std::size_t n = terms.size() - 1; n >= 2; n -= 2) {
        Vectors<S, N> two;
        each<N>([&](auto i) { two[i] = r[i] * terms[n - 1] + terms[n - 2]; });
        each<N>([&](auto i) { sum[i] = sum[i] * squared[i] + two[i]; });
    }
    each<N>([&](auto i) { sum[i] = sum[i] * squared[i] + r[i]; });
    return sum;
}

// tanh(x) = (exp(2x) - 1) / (exp(2x) + 1), on |x| and with the sign put back. Working with exp(2x) - 1 keeps the relative error
// at a few units in the last place down to the smallest x; near -1 it would be twice as large without |x|. NaN stays NaN.
template <class S, std::size_t N>
inline void tanh(Vectors<S, N>& x) {
    using C = ExpConstants<S>;
    using Bits = VectorBits<S>;
    // Rounded to a whole number n, with the exponent of 2 * 2**n in its lowest bits.
    constexpr S round = C::round + (C::exponent_bias + 1);
    Vectors<S, N> rounded, r, twice_power;
    std::array<Bits, N> sign;
    each<N>([&](auto i) { sign[i] = (Bits)x[i] & (Bits)broadcast(S(-0.0)); });
    each<N>([&](auto i) { x[i] = at_most<S>((Vector<S>)((Bits)x[i] ^ sign[i]), C::tanh_limit); });
    each<N>([&](auto i) { rounded[i] = x[i] * (2 * C::log2_e) + round; });
    each<N>([&](auto i) {
        r[i] = x[i] - (rounded[i] - round) * (C::ln2 / 2);  // exp(2x) = 2**n * exp(2r)
        twice_power[i] = (Vector<S>)((Bits)rounded[i] << C::significand_bits);
    });
    const Vectors<S, N> half_expm1_r = expm1_near_zero<2, S, N>(r);
    each<N>([&](auto i) { x[i] = twice_power[i] * half_expm1_r[i] + (twice_power[i] * S(0.5) - S(1)); });
    each<N>([&](auto i) { x[i] = (Vector<S>)((Bits)(x[i] / (x[i] + S(2))) | sign[i]); });
}

// sigmoid(x) = e / (e + 1) with e = exp(x), both times a power of two where e may be subnormal: the relative error stays at a
// few units in the last place also where the result is tiny. NaN stays NaN.
template <class S, std::size_t N>
inline void sigmoid(Vectors<S, N>& x) {
    using C = ExpConstants<S>;
    using Bits = VectorBits<S>;
    // Rounded to a whole number n, with the exponent of 2**(n + shifted) in its lowest bits.
    constexpr S round = C::round + (C::exponent_bias + C::shifted);
    Vectors<S, N> rounded, r, e;
    each<N>([&](auto i) { x[i] = at_most<S>(at_least<S>(x[i], C::sigmoid_least), C::sigmoid_most); });
    each<N>([&](auto i) { rounded[i] = x[i] * C::log2_e + round; });
    each<N>([&](auto i) {
        const Vector<S> n = rounded[i] - round;  // e = 2**n * exp(r)
        r[i] = (x[i] - n * C::ln2_high) - n * C::ln2_low;
    });
    const Vectors<S, N> expm1_r = expm1_near_zero<1, S, N>(r);
    each<N>([&](auto i) {
        const Vector<S> power = (Vector<S>)((Bits)rounded[i] << C::significand_bits);
        e[i] = power * expm1_r[i] + power;
    });
    each<N>([&](auto i) { x[i] = e[i] / (e[i] + C::shifted_one); });
}

}  // namespace rnn
