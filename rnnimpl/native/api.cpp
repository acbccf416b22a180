// What Python calls. Every function returns 0, or 1 when memory ran out; no exception crosses over.
#include <new>
#include <utility>

#include "backward.hpp"
#include "forward.hpp"

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

// Where each layer's output goes: y for the last one, the others into `hidden`, `hidden_stride` apart.
template <class S>
std::vector<Sequence<S>> outputs(const Config& config, long B, S* hidden, long hidden_layers, long hidden_stride, S* y) {
    const long row = config.D * config.H;
    std::vector<Sequence<S>> found;
    for (int layer = 0; layer + 1 < config.L; ++layer)
        found.push_back({hidden + layer % hidden_layers * hidden_stride, B * row, row});
    found.push_back({y, B * row, row});
    return found;
}

template <class S>
int forward(Network<S>& network, long T, long B, const S* x, long x_step, long x_row, const S* h0, S* hidden, S* y,
            S* h_n) {
    return guarded([&] {
        const std::scoped_lock lock(network.lock);
        const Config& config = network.config;
        const long size = T * B * config.D * config.H;
        long hidden_layers = config.L - 1;
        if (hidden == nullptr && hidden_layers > 0) {
            // A layer needs only the output of the one below.
            hidden_layers = std::min(2L, hidden_layers);
            hidden = network.layer_scratch.reserve(hidden_layers * size);
        }
        const ForwardCall<S> call{T, B, {x, x_step, x_row}, h0, outputs(config, B, hidden, hidden_layers, size, y), h_n};
        Forward<S>(network, call).run();
    });
}

// Where the gradients of each cell's weights go: one after the other, in the order of `CellWeights`.
template <class S>
std::vector<CellGradients<S>> gradients(const Network<S>& network, S* to) {
    const Config& config = network.config;
    const auto take = [&](long size) { return std::exchange(to, to + size); };
    const auto take_bias = [&] { return network.with_bias ? take(config.H) : nullptr; };
    std::vector<CellGradients<S>> found;
    for (int cell = 0; cell < config.L * config.D; ++cell) {
        S* w_ih = take(config.H * config.layer_input(cell / config.D));
        S* w_hh = take(config.H * config.H);
        S* b_ih = take_bias();
        found.push_back({w_ih, w_hh, b_ih, take_bias()});
    }
    return found;
}

template <class S>
int backward(Network<S>& network, const BackwardCall<S>& call, S* hidden, S* y, S* dweights) {
    return guarded([&] {
        const std::scoped_lock lock(network.lock);
        const Config& config = network.config;
        BackwardCall<S> full = call;
        full.outputs = outputs(config, call.B, hidden, std::max(1, config.L - 1), call.T * call.B * config.D * config.H, y);
        full.gradients = gradients(network, dweights);
        Backward<S>(network, full).run();
    });
}

template <class S>
Network<S>* create(int L, int D, long I, long H, int nonlinearity, int threads, const S* const* weights) {
    std::vector<CellWeights<S>> cells;
    for (int i = 0; i < L * D; ++i)
        cells.push_back({weights[4 * i], weights[4 * i + 1], weights[4 * i + 2], weights[4 * i + 3]});
    const Config config{L, D, I, H, static_cast<Nonlinearity>(nonlinearity), threads};
    Network<S>* network = nullptr;
    guarded([&] { network = new Network<S>(config, cells.data()); });
    return network;
}

template <class S>
void tanh_of(long count, const S* from, S* to) {
    for (long i = 0; i < count; i += kLanes<S>) {
        Vectors<S, 1> x{load_first(from + i, count - i)};
        tanh<S, 1>(x);
        store_first<S>(to + i, x[0], count - i);
    }
}

}  // namespace
}  // namespace rnn

#define RNN_API(S, NAME)                                                                                              \
    void* rnn_create_##NAME(int L, int D, long I, long H, int nonlinearity, int threads, const S* const* weights) {   \
        return rnn::create<S>(L, D, I, H, nonlinearity, threads, weights);                                            \
    }                                                                                                                 \
    void rnn_destroy_##NAME(void* network) { delete static_cast<rnn::Network<S>*>(network); }                         \
    int rnn_forward_##NAME(void* network, long T, long B, const S* x, long x_step, long x_row, const S* h0,           \
                           S* hidden, S* y, S* h_n) {                                                                 \
        return rnn::forward<S>(*static_cast<rnn::Network<S>*>(network), T, B, x, x_step, x_row, h0, hidden, y, h_n);  \
    }                                                                                                                 \
    int rnn_backward_##NAME(void* network, long T, long B, const S* x, long x_step, long x_row, const S* h0,          \
                            S* hidden, S* y, const S* dy, const S* dh_n, S* dx, S* dh0, S* dweights) {                \
        const rnn::BackwardCall<S> call{T, B, {x, x_step, x_row}, h0, {}, dy, dh_n, dx, dh0, {}};                     \
        return rnn::backward<S>(*static_cast<rnn::Network<S>*>(network), call, hidden, y, dweights);                  \
    }                                                                                                                 \
    void rnn_tanh_##NAME(long count, const S* from, S* to) { rnn::tanh_of<S>(count, from, to); }

// All else is hidden: two builds loaded into one process must not take each other's tables for their own.
#pragma GCC visibility push(default)
extern "C" {
RNN_API(float, float32)
RNN_API(double, float64)
int rnn_vector_bits() { return 8 * rnn::kVectorBytes; }
double rnn_meeting_cycles(int threads) { return rnn::Meetings(threads).cycles(threads); }
}
#pragma GCC visibility pop
