// Gradients of one cell's weights: products over all steps and sequences, da.T @ x and da.T @ h.
#pragma once

#include <vector>

#include "network.hpp"

namespace rnn {

// da, x and h of one cell by row k = p * B + b, in the order in which the cell ran through time.
template <class S>
struct ProductRows {
    int direction;
    long T, B, H;
    const S* da;           // (T*B, H)
    Sequence<const S> x;
    Sequence<const S> y;   // the cell's own outputs
    const S* h0;           // (B, H) or null for zeros

    const S* input(long k) const { return x.at(time_of(direction, k / B, T), k % B); }

    const S* state_before(long k) const {
        if (k >= B) return y.at(time_of(direction, k / B - 1, T), k % B);
        return h0 == nullptr ? nullptr : h0 + k * H;
    }
};

template <class S>
struct CellGradients {
    S *w_ih, *w_hh, *b_ih, *b_hh;  // the biases' may be null
};

template <class S>
class WeightProducts {
  public:
    // For rows `begin` to `begin + size` of both weights.
    WeightProducts(const ProductRows<S>& rows, long I, long begin, long size)
        : rows_(rows),
          I_(I),
          begin_(begin),
          size_(size),
          blocks_((size + kBlockRows - 1) / kBlockRows),
          block_((size + blocks_ - 1) / blocks_),
          input_panels_(cut_panels<S>(I)),
          state_panels_(cut_panels<S>(rows.H)),
          state_offset_(padded(input_panels_) * blocks_ * block_),
          left_(scratch(0, kRowsAtOnce * blocks_ * block_)),
          right_(scratch(1, kRowsAtOnce * kBlockVectors * kLanes<S>)),
          sums_(scratch(2, state_offset_ + padded(state_panels_) * blocks_ * block_)),
          bias_(scratch(3, 2 * size)) {
        std::fill_n(bias_, size, S(0));
    }

    void run(const CellGradients<S>& gradients) {
        const long K = rows_.T * rows_.B;
        for (long k = 0; k < K; k += kRowsAtOnce) {
            const long count = std::min(kRowsAtOnce, K - k);
            pack_left(k, count);
            add_to_bias(k, count);
            for (const Panel& panel : input_panels_)
                multiply(panel, I_, k, count, input_sums(panel), [&](long i) { return rows_.input(i); });
            for (const Panel& panel : state_panels_)
                multiply(panel, rows_.H, k, count, state_sums(panel), [&](long i) { return rows_.state_before(i); });
        }
        for (const Panel& panel : input_panels_) write(panel, input_sums(panel), gradients.w_ih, I_);
        for (const Panel& panel : state_panels_) write(panel, state_sums(panel), gradients.w_hh, rows_.H);
        for (S* bias : {gradients.b_ih, gradients.b_hh})
            if (bias != nullptr) copy(bias_, size_, bias + begin_);
    }

  private:
    // A packed panel of that depth, and the packed left factor, stay in the second-level cache.
    static constexpr long kRowsAtOnce = 256;

    // Each thread keeps its own; a call has no say over which threads help.
    static S* scratch(int which, long size) {
        thread_local Buffer<S> buffers[4];
        return buffers[which].reserve(size);
    }

    static long padded(const std::vector<Panel>& panels) {
        return panels.back().column + panels.back().vectors * kLanes<S>;
    }

    S* input_sums(const Panel& panel) const { return sums_ + panel.column * blocks_ * block_; }
    S* state_sums(const Panel& panel) const { return sums_ + state_offset_ + panel.column * blocks_ * block_; }

    // da.T in blocks of rows, the rows of a block interleaved.
    void pack_left(long k, long count) {
        static_assert(kBlockRows == 6);
        const S* from = rows_.da + k * rows_.H + begin_;
        switch (block_) {
            case 1: return pack_blocks<1>(from, count);
            case 2: return pack_blocks<2>(from, count);
            case 3: return pack_blocks<3>(from, count);
            case 4: return pack_blocks<4>(from, count);
            case 5: return pack_blocks<5>(from, count);
            default: return pack_blocks<6>(from, count);
        }
    }

    template <int R>
    void pack_blocks(const S* from, long count) {
        const long whole = size_ / R;
        for (long i = 0; i < count; ++i, from += rows_.H) {
            S* to = left_ + i * R;
            for (long block = 0; block < whole; ++block, to += kRowsAtOnce * R)
                std::memcpy(to, from + block * R, R * sizeof(S));
            // What is missing from the last block is zeros.
            if (whole < blocks_)
                for (long r = 0; r < R; ++r) to[r] = whole * R + r < size_ ? from[whole * R + r] : S(0);
        }
    }

    // The bias' gradient is the sum of da: first over a piece, so that its rounding error stays small.
    void add_to_bias(long k, long count) {
        S* piece = bias_ + size_;
        std::fill_n(piece, size_, S(0));
        for (long i = 0; i < count; ++i) {
            const S* row = rows_.da + (k + i) * rows_.H + begin_;
            for (long r = 0; r < size_; ++r) piece[r] += row[r];
        }
        for (long r = 0; r < size_; ++r) bias_[r] += piece[r];
    }

    template <class Row>
    void multiply(const Panel& panel, long columns, long k, long count, S* sums, Row row) {
        const long width = panel.vectors * kLanes<S>;
        for (long i = 0; i < count; ++i) {
            const S* from = row(k + i);
            for (long j = 0; j < width; j += kLanes<S>)
                store(right_ + i * width + j, from == nullptr ? Vector<S>{}
                                                              : load_first(from + panel.column + j,
                                                                           columns - panel.column - j));
        }
        const auto multiply_one = multiply_block_for<S, Interleaved>(block_, panel.vectors);
        for (long block = 0; block < blocks_; ++block) {
            const S* left = left_ + block * block_ * kRowsAtOnce;
            S* to = sums + block * block_ * width;
            multiply_one(&left, right_, count, k == 0 ? nullptr : to, width, to, width);
        }
    }

    void write(const Panel& panel, const S* sums, S* to, long columns) const {
        const long width = panel.vectors * kLanes<S>;
        for (long r = 0; r < size_; ++r)
            copy(sums + r * width, std::min(width, columns - panel.column), to + (begin_ + r) * columns + panel.column);
    }

    const ProductRows<S>& rows_;
    const long I_, begin_, size_;
    const long blocks_, block_;  // blocks of rows, and rows of a block: all alike, the last one padded
    const std::vector<Panel> input_panels_, state_panels_;
    const long state_offset_;
    S *const left_, *const right_, *const sums_, *const bias_;
};

}  // namespace rnn
