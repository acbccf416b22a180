// The network: its weights, packed once, and what a call is given.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <mutex>
#include <vector>

#include "batch.hpp"
#include "machine.hpp"
#include "panels.hpp"

namespace rnn {

// Shape letters as in `rnnimpl/interface.py`: T steps, B sequences, I features, H units, L layers, D directions.
struct Config {
    int L, D;
    long I, H;
    int threads;

    long layer_input(int layer) const { return layer == 0 ? I : D * H; }
    int layers() const { return L * D; }  // each direction of a layer counts as one
};

// One layer in one direction, G gates, as PyTorch lays it out: w_ih (G*H, I), w_hh (G*H, H), biases (G*H) or null.
template <class S>
struct LayerWeights {
    const S *w_ih, *w_hh, *b_ih, *b_hh;
};

// Where the gradients of these weights go; their shapes are those of LayerWeights.
template <class S>
struct LayerGradients {
    S *w_ih, *w_hh, *b_ih, *b_hh;  // the biases' may be null
};

// What the forward pass multiplies with.
template <class S>
struct PackedForward {
    Panels<S> input, state;  // w_ih.T and w_hh.T
    Buffer<S> bias;          // for the input's sums: b_ih, plus b_hh where both are simply added; padded with zeros
    Buffer<S> state_bias;    // for the state's sums that are kept apart: of a gate at most; padded with zeros
};

// What the backward pass multiplies with: w_ih and w_hh.
template <class S>
struct PackedBackward {
    Panels<S> input, state;
};

template <class S, class Cell>
class Network {
  public:
    // With several gates a unit of work is a vector of hidden units with all of their gates, with one gate a panel.
    static constexpr bool kGated = Cell::kGates > 1;
    // Stored sums that come from one of the two products alone: 1 of a GRU, whose candidate keeps its two sums apart.
    static constexpr long kApart = Cell::kStored - Cell::kGates;
    static_assert(kApart == 0 || kApart == 1);
    // Numbers in the stored sums of a vector of units.
    static constexpr long kUnitWidth = Cell::kStored * kLanes<S>;

    // The caller keeps `weights` in place: the first backward pass packs them again. `offsets` has the place of each
    // weight's gradient in the array of all gradients, in the order of LayerWeights; -1 for a missing bias.
    Network(const Config& config, const std::vector<LayerWeights<S>>& weights, const long* offsets)
        : config(config), barriers(config.threads), weights_(weights), offsets_(offsets, offsets + 4 * weights.size()), zeros_(static_cast<std::size_t>(config.H), S(0)) {
        for (int layer = 0; layer < config.L; ++layer)
            for (int direction = 0; direction < config.D; ++direction)
                forward_.push_back(pack_forward(layer, direction));
        each_sampled([&](const S* from, long count) { sample_.insert(sample_.end(), from, from + count); });
    }

    const PackedForward<S>& forward(int layer, int direction) const { return forward_[index(layer, direction)]; }

    const PackedBackward<S>& backward(int layer, int direction) const { return backward_[index(layer, direction)]; }

    // Packs the weights of the backward pass, once. The caller holds the lock.
    void prepare_backward() {
        std::vector<PackedBackward<S>> packed;
        for (int layer = 0; backward_.empty() && layer < config.L; ++layer)
            for (int direction = 0; direction < config.D; ++direction) packed.push_back(pack_backward(layer, direction));
        if (backward_.empty()) backward_ = std::move(packed);
    }

    // The places of the gradients of each layer in `to`, the array of all gradients; none where there is no array.
    std::vector<LayerGradients<S>> gradients(S* to) const {
        const auto at = [&](std::size_t i) { return offsets_[i] < 0 ? nullptr : to + offsets_[i]; };
        std::vector<LayerGradients<S>> found;
        for (std::size_t i = 0; to != nullptr && i < offsets_.size(); i += 4) found.push_back({at(i), at(i + 1), at(i + 2), at(i + 3)});
        return found;
    }

    // The number of vectors that hold the H units.
    long unit_vectors() const { return (config.H + kLanes<S> - 1) / kLanes<S>; }

    // Whether the weights, which are where they were, are no longer those that were packed: small ones by all their numbers,
    // large ones by a sample.
    bool weights_changed() const {
        const S* known = sample_.data();
        bool same = true;
        each_sampled([&](const S* from, long count) {
            same = same && std::memcmp(from, known, static_cast<std::size_t>(count) * sizeof(S)) == 0;
            known += count;
        });
        return !same;
    }

    // Numbers of a step and sequence that the backward pass reads: outputs of all layers but the last, and of each layer
    // what the cell saves of each vector of units.
    long saved_size() const {
        return (config.L - 1) * config.D * config.H + config.layers() * unit_vectors() * Cell::kSaved * kLanes<S>;
    }

    // Whether a call of so many steps of sequences exceeds the caches: x, y and what is saved for the backward pass.
    bool exceeds_caches(long steps) const { return rnn::exceeds_caches<S>(steps * (config.I + config.D * config.H * (1 + Cell::kSaved))); }

    // A row of H zeros.
    const S* zeros() const { return zeros_.data(); }

    const Config config;
    const Barriers barriers;

    // Room for what lies between layers, kept from call to call. Its user holds the lock.
    std::mutex lock;
    Buffer<S> layer_scratch, team_scratch, product_scratch;

  private:
    // Below this size no two threads share a step, and panels are best as wide as they can be.
    int shares() const { return config.H >= 128 ? config.threads : 1; }

    // Calls `use(from, count)` for numbers of each weight and bias: for all of them at once, or one by one and evenly apart.
    template <class Use>
    void each_sampled(Use&& use) const {
        // In double gradients are checked against differences, for which single numbers change.
        constexpr long small = sizeof(S) == sizeof(double) ? 1L << 18 : 1L << 12, sampled = 64;
        const auto of_one = [&](const S* from, long count) {
            if (from != nullptr && count <= small) use(from, count);
            for (long i = 0; from != nullptr && count > small && i < sampled; ++i)
                use(from + i * (count - 1) / (sampled - 1), 1L);
        };
        const long rows = Cell::kGates * config.H;
        for (std::size_t i = 0; i < weights_.size(); ++i) {
            const LayerWeights<S>& w = weights_[i];
            of_one(w.w_ih, rows * config.layer_input(static_cast<int>(i) / config.D));
            of_one(w.w_hh, rows * config.H);
            of_one(w.b_ih, rows);
            of_one(w.b_hh, rows);
        }
    }

    std::size_t index(int layer, int direction) const { return static_cast<std::size_t>(layer * config.D + direction); }

    // Packs w_ih or w_hh for the forward pass: one gate after the other, or all gates of a vector of units together.
    Panels<S> pack_columns(const S* w, long depth, const std::array<int, Cell::kStored>& of_stored) const {
        const long H = config.H;
        const auto offset = [](long k) { return k; };
        if constexpr (!kGated) {
            const auto column = [&](long n) { return n < H ? w + n * depth : nullptr; };
            return {depth, cut_panels<S>(H, shares()), 1, column, offset};
        } else {
            const auto column = [&](long n) {
                const long vector = n / kLanes<S>, unit = vector / Cell::kGates * kLanes<S> + n % kLanes<S>;
                return unit < H ? w + (gates(of_stored)[vector % Cell::kGates] * H + unit) * depth : nullptr;
            };
            const auto panels = cut_unit_panels<S>(H, Cell::kGates);
            return {depth, panels, panels_of_unit(Cell::kGates), column, offset};
        }
    }

    // The gates of a product, in the order of its stored sums.
    static const int* gates(const std::array<int, Cell::kStored>& of_stored) {
        return of_stored.data() + (of_stored[0] < 0 ? kApart : 0);
    }

    PackedForward<S> pack_forward(int layer, int direction) const {
        const LayerWeights<S>& w = weights_[index(layer, direction)];
        const long H = config.H;
        PackedForward<S> packed;
        packed.input = pack_columns(w.w_ih, config.layer_input(layer), Cell::kOfInput);
        packed.state = pack_columns(w.w_hh, H, Cell::kOfState);
        packed.bias = Buffer<S>(packed.input.padded());
        packed.state_bias = Buffer<S>(unit_vectors() * kLanes<S>);
        std::fill_n(packed.bias.data(), packed.input.padded(), S(0));
        std::fill_n(packed.state_bias.data(), unit_vectors() * kLanes<S>, S(0));
        for (long unit = 0; w.b_ih != nullptr && unit < H; ++unit)
            for (int stored = 0; stored < Cell::kStored; ++stored) {
                const long of_input = Cell::kOfInput[stored] * H + unit, of_state = Cell::kOfState[stored] * H + unit;
                if (Cell::kOfInput[stored] < 0) {
                    packed.state_bias.data()[unit] = w.b_hh[of_state];
                    continue;
                }
                const S both = w.b_ih[of_input] + (Cell::kOfState[stored] < 0 ? S(0) : w.b_hh[of_state]);
                const long vector = unit / kLanes<S> * Cell::kGates + stored - kApart;
                packed.bias.data()[vector * kLanes<S> + unit % kLanes<S>] = both;
            }
        return packed;
    }

    PackedBackward<S> pack_backward(int layer, int direction) const {
        const LayerWeights<S>& w = weights_[index(layer, direction)];
        const long H = config.H, I = config.layer_input(layer), depth = Cell::kGates * H;
        PackedBackward<S> packed;
        packed.input = {depth, cut_panels<S>(I), 1, [&](long n) { return n < I ? w.w_ih + n : nullptr; },
                        [&](long k) { return k * I; }};
        // The panels' rows are in the order of the stored gradients.
        packed.state = {depth, cut_panels<S>(H, shares()), 1, [&](long n) { return n < H ? w.w_hh + n : nullptr; },
                        [&](long k) { return (gates(Cell::kOfState)[k / H] * H + k % H) * H; }};
        return packed;
    }

    const std::vector<LayerWeights<S>> weights_;
    const std::vector<long> offsets_;
    std::vector<S> sample_;  // of the weights as they were packed
    const std::vector<S> zeros_;
    std::vector<PackedForward<S>> forward_;
    std::vector<PackedBackward<S>> backward_;
};

// A (T, B, N) array whose rows of N elements are contiguous, or one that is packed.
template <class S>
struct Sequence {
    S* data;
    long step, row;  // strides in elements
    const Batch* packed = nullptr;
    S* at(long t, long b) const { return data + (packed == nullptr ? t * step + b * row : packed->place(t, b) * row); }
};

// A part of something that is divided: of sequences among teams, of units among threads.
struct Share {
    long begin, size;
};

inline Share share_of(long count, long part, long parts) {
    const long begin = count * part / parts;
    return {begin, count * (part + 1) / parts - begin};
}

}  // namespace rnn
