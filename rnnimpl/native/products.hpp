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
        : rows_(rows), I_(I), begin_(begin), size_(size), blocks_(size, kBlockRows) {
        input_panels_ = cut_panels<S>(I);
        state_panels_ = cut_panels<S>(rows.H);
        state_offset_ = padded(input_panels_) * size;
        left_ = scratch(0, kPiece * size);
        right_ = scratch(1, kPiece * kBlockVectors * kLanes<S>);
        sums_ = scratch(2, (padded(input_panels_) + padded(state_panels_)) * size);
        bias_.assign(static_cast<std::size_t>(size), S(0));
    }

    void run(const CellGradients<S>& gradients) {
        const long K = rows_.T * rows_.B;
        for (long k = 0; k < K; k += kPiece) {
            const long count = std::min(kPiece, K - k);
            pack_left(k, count);
            for (const Panel& panel : input_panels_)
                multiply(panel, I_, k, count, sums_ + panel.column * size_, [&](long i) { return rows_.input(i); });
            for (const Panel& panel : state_panels_)
                multiply(panel, rows_.H, k, count, sums_ + state_offset_ + panel.column * size_,
                         [&](long i) { return rows_.state_before(i); });
        }
        write(input_panels_, sums_, gradients.w_ih, I_);
        write(state_panels_, sums_ + state_offset_, gradients.w_hh, rows_.H);
        for (S* bias : {gradients.b_ih, gradients.b_hh})
            if (bias != nullptr) std::copy(bias_.begin(), bias_.end(), bias + begin_);
    }

  private:
    // Each thread keeps its own; a call has no say over which threads help.
    static S* scratch(int which, long size) {
        thread_local Buffer<S> buffers[3];
        return buffers[which].reserve(size);
    }

    static long padded(const std::vector<Panel>& panels) {
        return panels.back().column + panels.back().vectors * kLanes<S>;
    }

    // da.T in blocks of rows, the rows of a block interleaved; its row sums are the bias' gradient.
    void pack_left(long k, long count) {
        std::vector<S>& total = bias_;
        thread_local std::vector<S> piece;
        piece.assign(static_cast<std::size_t>(size_), S(0));
        for (long i = 0; i < count; ++i) {
            const S* row = rows_.da + (k + i) * rows_.H + begin_;
            for (long block = 0; block < blocks_.parts; ++block) {
                const long first = blocks_.begin(block), size = blocks_.size(block);
                S* to = left_ + first * kPiece + i * size;
                for (long r = 0; r < size; ++r) to[r] = row[first + r];
            }
            for (long r = 0; r < size_; ++r) piece[static_cast<std::size_t>(r)] += row[r];
        }
        for (std::size_t r = 0; r < total.size(); ++r) total[r] += piece[r];
    }

    template <class Row>
    void multiply(const Panel& panel, long columns, long k, long count, S* sums, Row row) {
        const long width = panel.vectors * kLanes<S>;
        for (long i = 0; i < count; ++i) {
            const S* from = row(k + i);
            for (long j = 0; j < width; j += kLanes<S>) {
                const long left_over = columns - panel.column - j;
                store(right_ + i * width + j,
                      from == nullptr ? Vector<S>{} : load_first(from + panel.column + j, left_over));
            }
        }
        for (long block = 0; block < blocks_.parts; ++block) {
            const long first = blocks_.begin(block);
            const S* left = left_ + first * kPiece;
            S* to = sums + first * width;
            multiply_block_for<S, Interleaved>(blocks_.size(block), panel.vectors)(&left, right_, count,
                                                                                   k == 0 ? nullptr : to, width, to, width);
        }
    }

    void write(const std::vector<Panel>& panels, const S* sums, S* to, long columns) const {
        for (const Panel& panel : panels) {
            const long width = panel.vectors * kLanes<S>;
            for (long r = 0; r < size_; ++r)
                for (long j = 0; j < width; j += kLanes<S>)
                    store_first<S>(to + (begin_ + r) * columns + panel.column + j,
                                   load(sums + panel.column * size_ + r * width + j), columns - panel.column - j);
        }
    }

    const ProductRows<S>& rows_;
    long I_, begin_, size_, state_offset_ = 0;
    EvenSplit blocks_;
    std::vector<Panel> input_panels_, state_panels_;
    std::vector<S> bias_;
    S *left_ = nullptr, *right_ = nullptr, *sums_ = nullptr;
};

}  // namespace rnn
