// The plain cells: h = f(a), where f is tanh or relu.
#pragma once

#include <array>

#include "../vector_math.hpp"

namespace rnn {

// The constants of a cell:
//
//   kGates         blocks of H rows in each weight
//   kStored        sums that are stored for a unit and step, and gradients of sums: one a gate, or two where those of
//                  state and input are not simply added, the state's first. The product of the state adds to the first
//                  kGates of them, that of the input to the last kGates
//   kOfInput       the gate whose block of w_ih belongs to each stored sum, -1 for none
//   kOfState       the gate whose block of w_hh belongs to each stored sum, -1 for none
//   kStates        arrays of the state
//   kSaved         numbers of a unit and step that the backward pass reads; 0: it needs the output alone
//   kPointwiseCycles  approximate cycles of a vector of units beside the products

struct Elman {
    static constexpr int kGates = 1, kStored = 1, kStates = 1, kSaved = 0;
    static constexpr std::array<int, 1> kOfInput{0}, kOfState{0};
    static constexpr double kPointwiseCycles = 18.0;
};

struct Tanh : Elman {
    template <class S, std::size_t N>
    static void activate(Vectors<S, N>& a) {
        tanh<S, N>(a);
    }

    // The derivative, in terms of the result.
    template <class S>
    static Vector<S> slope(const Vector<S>& h) {
        return S(1) - h * h;
    }
};

struct Relu : Elman {
    // Not max(a, 0), which may turn NaN into 0.
    template <class S, std::size_t N>
    static void activate(Vectors<S, N>& a) {
        each<N>([&](auto i) { a[i] = a[i] < S(0) ? Vector<S>{} : a[i]; });
    }

    template <class S>
    static Vector<S> slope(const Vector<S>& h) {
        return h > S(0) ? broadcast(S(1)) : Vector<S>{};
    }
};

}  // namespace rnn
