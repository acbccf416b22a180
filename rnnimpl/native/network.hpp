// The network: its weights, packed once, and what a call is given.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "activation.hpp"
#include "machine.hpp"
#include "panels.hpp"

namespace rnn {

// Shape letters as in `rnnimpl/interface.py`: T steps, B sequences, I features, H units, L layers, D directions.
struct Config {
    int L, D;
    long I, H;
    Nonlinearity nonlinearity;
    int threads;

    long layer_input(int layer) const { return layer == 0 ? I : D * H; }
};

// One layer in one direction, as PyTorch lays it out: w_ih (H, I), w_hh (H, H), biases (H) or null.
template <class S>
struct CellWeights {
    const S *w_ih, *w_hh, *b_ih, *b_hh;
};

template <class S>
struct Cell {
    Panels<S> input, state;  // w_ih.T and w_hh.T: what the forward pass multiplies with
    Buffer<S> bias;          // b_ih + b_hh, padded with zeros
    Panels<S> input_back, state_back;  // w_ih and w_hh: the backward pass
};

template <class S>
class Network {
  public:
    Network(const Config& config, const CellWeights<S>* weights)
        : config(config), with_bias(weights[0].b_ih != nullptr), meetings(config.threads) {
        const long H = config.H;
        for (int layer = 0; layer < config.L; ++layer)
            for (int direction = 0; direction < config.D; ++direction) {
                const CellWeights<S>& w = weights[layer * config.D + direction];
                const long I = config.layer_input(layer);
                Cell<S> cell;
                cell.input = Panels<S>({w.w_ih, 1, I}, I, H, shares());
                cell.state = Panels<S>({w.w_hh, 1, H}, H, H, shares());
                cell.input_back = Panels<S>({w.w_ih, I, 1}, H, I, 1);
                cell.state_back = Panels<S>({w.w_hh, H, 1}, H, H, shares());
                cell.bias = Buffer<S>(cell.state.padded());
                for (long j = 0; j < cell.state.padded(); ++j)
                    cell.bias.data()[j] = w.b_ih == nullptr || j >= H ? S(0) : w.b_ih[j] + w.b_hh[j];
                cells_.push_back(std::move(cell));
            }
    }

    const Cell<S>& cell(int layer, int direction) const {
        return cells_[static_cast<std::size_t>(layer * config.D + direction)];
    }

    // Whether x and y of a call are.
    bool far(long T, long B) const { return is_far<S>(T * B * (config.I + config.D * config.H)); }

    const Config config;
    const bool with_bias;
    const Meetings meetings;

    // Room for what lies between layers, kept from call to call; whoever uses it holds the lock.
    std::mutex lock;
    Buffer<S> layer_scratch, team_scratch, product_scratch;

  private:
    // Below this size no two threads share a step, and panels are best as wide as they can be.
    int shares() const { return config.H >= 128 ? config.threads : 1; }

    std::vector<Cell<S>> cells_;
};

// A (T, B, N) array: elements of a row side by side.
template <class S>
struct Sequence {
    S* data;
    long step, row;  // strides in elements
    S* at(long t, long b) const { return data + t * step + b * row; }
};

// Time at which `direction` takes its `p`-th step.
inline long time_of(int direction, long p, long T) { return direction == 0 ? p : T - 1 - p; }

// Sequences of the batch that one team takes.
struct Share {
    long begin, size;
};

inline Share share_of(long count, long part, long parts) {
    const long begin = count * part / parts;
    return {begin, count * (part + 1) / parts - begin};
}

}  // namespace rnn
