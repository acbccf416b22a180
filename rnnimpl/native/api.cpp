// The functions that Python calls, for one cell and one type of number: RNN_CELL and RNN_REAL name them when this is
// compiled. A pass returns 0, or 1 when memory ran out; no exception leaves them.
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

using Real = RNN_REAL;
using Cell = RNN_CELL;
using Net = Network<Real, Cell>;
using ForwardPass = Forward<Real, Cell>;
using BackwardPass = Backward<Real, Cell>;

// The phases of a pass. A profiler finds them by these names, so they are exported and never inlined; the passes, which
// are templates, find them by the types of their arguments.
#pragma GCC visibility push(default)
extern "C" {

[[gnu::noinline]] void rnn_phase_projection(ForwardPass& pass, const ForwardPass::Work& work) { pass.project(work); }

[[gnu::noinline]] void rnn_phase_recurrence(ForwardPass& pass, const ForwardPass::Work& work, long p, long end) {
    pass.recur(work, p, end);
}

[[gnu::noinline]] void rnn_phase_recurrence_back(BackwardPass& pass, const BackwardPass::Work& work, long p, long end) {
    pass.recur_back(work, p, end);
}

[[gnu::noinline]] void rnn_phase_input_gradient(BackwardPass& pass, const BackwardPass::Work& work, int part) {
    pass.multiply_input(work, part);
}

[[gnu::noinline]] void rnn_phase_weight_gradients(WeightProducts<Real>& products, bool first, bool last,
                                                  const LayerGradients<Real>& gradients) {
    products.run(first, last, gradients);
}
}
#pragma GCC visibility pop

// The arrays of a pass; rnnimpl/native/calls.py has the same records and says what each array is.
struct ForwardArguments {
    long T, B;
    const Real* x;
    long x_step, x_row;
    const Real *h0, *c0;
    Real *saved, *y, *h_n, *c_n;
    const long* lengths;
    long packed;
};

struct BackwardArguments {
    const Real *dy, *dh_n, *dc_n;
    Real *dx, *dh0, *dc0, *weights;
};

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

// What the forward pass saves for the backward pass: the outputs of all layers but the last, and what the cell saves, in
// whole vectors, for which the caller gives a cache line more than it takes.
struct Saved {
    Real *hidden, *of_cell;
};

Saved saved_in(const Config& config, const Batch& batch, const ForwardArguments& arguments) {
    if (arguments.saved == nullptr) return {nullptr, nullptr};
    Real* hidden = arguments.saved;
    const long hidden_size = (config.L - 1) * batch.rows() * config.D * config.H;
    const auto of_cell = reinterpret_cast<std::uintptr_t>(hidden + hidden_size);
    return {hidden, reinterpret_cast<Real*>((of_cell + 63) / 64 * 64)};
}

Batch batch_of(const ForwardArguments& arguments) {
    return Batch(arguments.lengths, arguments.T, arguments.B, arguments.packed != 0);
}

// The array of each layer's output: y for the last layer, else a part of `hidden`, which has room for `hidden_layers`.
std::vector<Sequence<Real>> outputs(const Config& config, const Batch& batch, Real* hidden, long hidden_layers, Real* y) {
    const long row = config.D * config.H;
    const Batch* const packed = batch.packed ? &batch : nullptr;
    std::vector<Sequence<Real>> found;
    for (int layer = 0; layer + 1 < config.L; ++layer)
        found.push_back({hidden + layer % hidden_layers * batch.rows() * row, batch.B * row, row, packed});
    found.push_back({y, batch.B * row, row, packed});
    return found;
}

// x with the caller's strides.
Sequence<const Real> input(const Batch& batch, const ForwardArguments& arguments) {
    return {arguments.x, arguments.x_step, arguments.x_row, batch.packed ? &batch : nullptr};
}

int forward(Net& network, const ForwardArguments& arguments) {
    return guarded([&] {
        const std::scoped_lock lock(network.lock);
        const Config& config = network.config;
        const Batch batch = batch_of(arguments);
        auto [hidden, of_cell] = saved_in(config, batch, arguments);
        long hidden_layers = config.L - 1;
        if (hidden == nullptr && hidden_layers > 0) {
            // A layer needs the output of the layer below alone, so two arrays serve all layers.
            hidden_layers = std::min(2L, hidden_layers);
            hidden = network.layer_scratch.reserve(hidden_layers * batch.rows() * config.D * config.H);
        }
        ForwardCall<Real> call{.batch = batch};
        call.x = input(batch, arguments);
        call.state = {arguments.h0, arguments.c0};
        call.outputs = outputs(config, batch, hidden, hidden_layers, arguments.y);
        call.saved = Cell::kSaved > 0 ? of_cell : nullptr;
        call.final_state = {arguments.h_n, arguments.c_n};
        ForwardPass(network, call).run();
    });
}

int backward(Net& network, const ForwardArguments& before, const BackwardArguments& arguments) {
    return guarded([&] {
        const std::scoped_lock lock(network.lock);
        const Config& config = network.config;
        network.prepare_backward();
        const Batch batch = batch_of(before);
        const auto [hidden, of_cell] = saved_in(config, batch, before);
        BackwardCall<Real> call{.batch = batch};
        call.x = input(batch, before);
        call.h0 = before.h0;
        call.outputs = outputs(config, batch, hidden, config.L - 1, before.y);
        call.saved = of_cell;
        call.dy = arguments.dy;
        call.dstate_n = {arguments.dh_n, arguments.dc_n};
        call.dx = arguments.dx;
        call.dstate = {arguments.dh0, arguments.dc0};
        call.gradients = network.gradients(arguments.weights);
        BackwardPass(network, call).run();
        // Steps that no sequence has.
        if (call.dx != nullptr && !batch.packed)
            clear(call.dx + batch.T * batch.B * config.I, (batch.padded_T - batch.T) * batch.B * config.I);
    });
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

// All other symbols are hidden: two builds in one process must not use each other's tables.
#pragma GCC visibility push(default)
extern "C" {

// `weights`: w_ih, w_hh, b_ih and b_hh of each layer in each direction, which the caller keeps in place; biases may be
// null. `offsets`: where the gradient of each of these begins in the array of all gradients, -1 for none.
void* rnn_create(int L, int D, long I, long H, int threads, const rnn::Real* const* weights, const long* offsets) {
    return rnn::create({L, D, I, H, threads}, weights, offsets);
}

void rnn_destroy(void* network) { delete static_cast<rnn::Net*>(network); }

// Numbers that the forward pass saves of each step and sequence for the backward pass.
long rnn_saved_size(void* network) { return static_cast<rnn::Net*>(network)->saved_size(); }

// Whether the weights, which are where they were, are no longer those that were packed, as far as a sample tells.
int rnn_weights_changed(void* network) { return static_cast<rnn::Net*>(network)->weights_changed(); }

int rnn_forward(void* network, const rnn::ForwardArguments* arguments) {
    return rnn::forward(*static_cast<rnn::Net*>(network), *arguments);
}

// `before`: the arguments of the forward pass, whose arrays are as it left them.
int rnn_backward(void* network, const rnn::ForwardArguments* before, const rnn::BackwardArguments* arguments) {
    return rnn::backward(*static_cast<rnn::Net*>(network), *before, *arguments);
}

void rnn_tanh(long count, const rnn::Real* from, rnn::Real* to) {
    rnn::of_each_vector(count, from, to, [](auto& x) { rnn::tanh<rnn::Real, 1>(x); });
}

void rnn_sigmoid(long count, const rnn::Real* from, rnn::Real* to) {
    rnn::of_each_vector(count, from, to, [](auto& x) { rnn::sigmoid<rnn::Real, 1>(x); });
}

// Runs all later passes on the threads of an OpenMP runtime, by its GOMP_parallel and omp_get_thread_num. No pass may run
// while this is called.
void rnn_borrow_threads(void* parallel, void* thread_number) {
    rnn::Pool::borrow({reinterpret_cast<decltype(rnn::OpenMp::parallel)>(parallel),
                       reinterpret_cast<decltype(rnn::OpenMp::thread_number)>(thread_number)});
}

int rnn_vector_bits() { return 8 * rnn::kVectorBytes; }

double rnn_barrier_cycles(int threads) { return rnn::Barriers(threads).cycles(threads); }
}
#pragma GCC visibility pop
