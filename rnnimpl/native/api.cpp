// What Python calls, for one cell and one type of number: RNN_CELL and RNN_REAL name them when this is compiled. Every
// pass returns 0, or 1 when memory ran out; no exception crosses over.
#include <cstdint>
#include <new>

#include "backward.hpp"
#include "cells/elman.hpp"
#include "cells/gru.hpp"
#include "cells/lstm.hpp"
#include "forward.hpp"

#if !defined(RNN_CELL) || !defined(RNN_REAL)
#error "compile with -DRNN_CELL=Tanh, Relu, Lstm or Gru and -DRNN_REAL=float or double"
#endif

namespace rnn {
namespace {

template <class Function>
int guarded(Function&& function) {
    try {
        function();
        return 0;
    } catch (const std::bad_alloc&) {
        return 1;
    }
}

using Real = RNN_REAL;
using Cell = RNN_CELL;
using Net = Network<Real, Cell>;

// What the forward pass leaves for the backward pass: the outputs of all layers but the last, and what the cell saves, in
// whole vectors, for which the caller gives a cache line more than it takes.
struct Kept {
    Real *hidden, *saved;
};

Kept kept_in(const Config& config, long T, long B, Real* kept) {
    if (kept == nullptr) return {nullptr, nullptr};
    const auto saved = reinterpret_cast<std::uintptr_t>(kept + (config.L - 1) * T * B * config.D * config.H);
    return {kept, reinterpret_cast<Real*>((saved + 63) / 64 * 64)};
}

// Where each layer's output goes: y for the last one, the others into `hidden`, which has room for `hidden_layers`.
std::vector<Sequence<Real>> outputs(const Config& config, long T, long B, Real* hidden, long hidden_layers, Real* y) {
    const long row = config.D * config.H;
    std::vector<Sequence<Real>> found;
    for (int layer = 0; layer + 1 < config.L; ++layer)
        found.push_back({hidden + layer % hidden_layers * T * B * row, B * row, row});
    found.push_back({y, B * row, row});
    return found;
}

int forward(Net& network, ForwardCall<Real> call, Real* kept, Real* y) {
    return guarded([&] {
        const std::scoped_lock lock(network.lock);
        const Config& config = network.config;
        auto [hidden, saved] = kept_in(config, call.T, call.B, kept);
        long hidden_layers = config.L - 1;
        if (kept == nullptr && hidden_layers > 0) {
            // A layer needs only the output of the one below.
            hidden_layers = std::min(2L, hidden_layers);
            hidden = network.layer_scratch.reserve(hidden_layers * call.T * call.B * config.D * config.H);
        }
        call.outputs = outputs(config, call.T, call.B, hidden, hidden_layers, y);
        call.saved = Cell::kSaved > 0 ? saved : nullptr;
        Forward<Real, Cell>(network, call).run();
    });
}

int backward(Net& network, BackwardCall<Real> call, Real* kept, Real* y, Real* dweights) {
    return guarded([&] {
        const std::scoped_lock lock(network.lock);
        const Config& config = network.config;
        network.prepare_backward();
        const auto [hidden, saved] = kept_in(config, call.T, call.B, kept);
        call.outputs = outputs(config, call.T, call.B, hidden, config.L - 1, y);
        call.saved = saved;
        call.gradients = network.gradients(dweights);
        Backward<Real, Cell>(network, call).run();
    });
}

// Arrays of a state, one after the other; all null where the first is.
template <class Pointer>
std::array<Pointer, 2> states_in(const Config& config, long B, Pointer first) {
    return {first, Cell::kStates == 1 || first == nullptr ? nullptr : first + config.layers() * B * config.H};
}

Net* create(const Config& config, const Real* const* weights, const long* offsets) {
    Net* network = nullptr;
    guarded([&] {
        std::vector<LayerWeights<Real>> layers;
        for (const Real* const* w = weights; w < weights + 4 * config.layers(); w += 4)
            layers.push_back({w[0], w[1], w[2], w[3]});
        network = new Net(config, layers, offsets);
    });
    return network;
}

template <class Function>
void of_each_vector(long count, const Real* from, Real* to, Function&& function) {
    for (long i = 0; i < count; i += kLanes<Real>) {
        Vectors<Real, 1> x{load_first(from + i, count - i)};
        function(x);
        store_first<Real>(to + i, x[0], count - i);
    }
}

}  // namespace
}  // namespace rnn

// All else is hidden: two builds loaded into one process must not take each other's tables for their own.
#pragma GCC visibility push(default)
extern "C" {

// Weights: w_ih, w_hh, b_ih and b_hh of each layer in each direction, which have to stay where they are; the biases may
// be null. Offsets: where the gradients of the same begin in `dweights`, -1 for none.
void* rnn_create(int L, int D, long I, long H, int threads, const rnn::Real* const* weights, const long* offsets) {
    return rnn::create({L, D, I, H, threads}, weights, offsets);
}

void rnn_destroy(void* network) { delete static_cast<rnn::Net*>(network); }

// Numbers that the forward pass keeps of each step and sequence for the backward pass, where `kept` is given.
long rnn_kept_size(void* network) { return static_cast<rnn::Net*>(network)->kept_size(); }

// `states`: h_n and, of cells with two states, c_n after it; both (L*D, B, H). Null are h0 and c0 for zeros.
int rnn_forward(void* network, long T, long B, const rnn::Real* x, long x_step, long x_row, const rnn::Real* h0,
                rnn::Real* kept, rnn::Real* y, const rnn::Real* c0, rnn::Real* states) {
    auto& net = *static_cast<rnn::Net*>(network);
    return rnn::forward(net, {T, B, {x, x_step, x_row}, {h0, c0}, {}, {}, rnn::states_in(net.config, B, states)}, kept, y);
}

int rnn_backward(void* network, long T, long B, const rnn::Real* x, long x_step, long x_row, const rnn::Real* h0,
                 rnn::Real* kept, rnn::Real* y, const rnn::Real* dy, const rnn::Real* dh_n, const rnn::Real* dc_n,
                 rnn::Real* dx, rnn::Real* dstates, rnn::Real* dweights) {
    auto& net = *static_cast<rnn::Net*>(network);
    return rnn::backward(net,
                         {T, B, {x, x_step, x_row}, h0, {}, {}, dy, {dh_n, dc_n}, dx,
                          rnn::states_in(net.config, B, dstates), {}},
                         kept, y, dweights);
}

void rnn_tanh(long count, const rnn::Real* from, rnn::Real* to) {
    rnn::of_each_vector(count, from, to, [](auto& x) { rnn::tanh<rnn::Real, 1>(x); });
}

void rnn_sigmoid(long count, const rnn::Real* from, rnn::Real* to) {
    rnn::of_each_vector(count, from, to, [](auto& x) { rnn::sigmoid<rnn::Real, 1>(x); });
}

int rnn_vector_bits() { return 8 * rnn::kVectorBytes; }

double rnn_meeting_cycles(int threads) { return rnn::Meetings(threads).cycles(threads); }
}
#pragma GCC visibility pop
