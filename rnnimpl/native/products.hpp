// Gradients of one layer's weights: products over steps and sequences, da.T @ x and da.T @ h.
#pragma once

#include <vector>

#include "network.hpp"

namespace rnn {

// da, x and h of one layer for some steps, in the order in which the layer ran through time.
template <class S>
struct ProductRows {
    int direction;
    long T, H;
    const TeamRows& rows;  // of all sequences
    bool exceed_caches;    // x and y
    long begin, end;       // steps
    const S* da;           // the rows of these steps, one after another
    long da_row;           // the stride of da's rows
    Sequence<const S> x;
    Sequence<const S> y;   // the layer's own outputs
    const S* h0;           // (B, H) or null for zeros

    const S* input(long p, long row) const { return x.at(time_of(direction, p, T), rows.sequence(row)); }

    // `going_on`: the number of rows that have the step before, too.
    const S* state_before(long p, long row, long going_on) const {
        if (row < going_on) return y.at(time_of(direction, p - 1, T), rows.sequence(row));
        return h0 == nullptr ? nullptr : h0 + rows.sequence(row) * H;
    }
};

// A block of rows of da.T, and the first rows of the gradients of w_ih and w_hh that it gives; -1 for none.
struct WeightBlock {
    long begin, size, of_input, of_state;
};

// All rows of a cell's da.T in blocks of at most `most`, nearly equal, and as many as `wanted` where they are not too small.
template <class Cell>
std::vector<WeightBlock> weight_blocks(long H, long most, long wanted) {
    const long all = Cell::kStored * H;
    std::vector<WeightBlock> blocks;
    for (int first = 0; first < Cell::kStored;) {
        // Whether a stored sum continues the rows of `first` in both weights.
        const auto follows = [&](int stored) {
            const int by = stored - first;
            const auto after = [by](int from, int to) { return from < 0 ? to < 0 : to == from + by; };
            return after(Cell::kOfInput[first], Cell::kOfInput[stored]) && after(Cell::kOfState[first], Cell::kOfState[stored]);
        };
        int end = first + 1;
        while (end < Cell::kStored && follows(end)) ++end;
        const long size = (end - first) * H;
        const long count = std::max({1L, (size + most - 1) / most, std::min(size / kBlockRows / 8, wanted * size / all)});
        for (long i = 0; i < count; ++i) {
            const Share rows = share_of(size, i, count);
            const auto row = [&](int gate) { return gate < 0 ? -1 : gate * H + rows.begin; };
            blocks.push_back({first * H + rows.begin, rows.size, row(Cell::kOfInput[first]), row(Cell::kOfState[first])});
        }
        first = end;
    }
    return blocks;
}

template <class S>
class WeightProducts {
  public:
    static constexpr long kLeastDepth = 256;

    // Depth of the products, for `sums_size` elements of sums: the rows of da, x and h that are packed at once. With the least
    // depth packed panels and the packed left factor stay in the second-level cache. Where the sums exceed that cache they come
    // from memory each time, and seldom is better.
    static long depth(long sums_size) {
        return exceeds_second_cache<S>(sums_size, 1.5) ? 4 * kLeastDepth : kLeastDepth;
    }

    // The products of a block of rows with the `part`-th of `parts` shares of the panels of x and h, of this depth. `sums` holds
    // the sums over the steps of earlier runs.
    WeightProducts(const ProductRows<S>& rows, long I, const WeightBlock& which, long part, long parts, long depth, S* sums)
        : rows_(rows),
          I_(I),
          depth_(depth),
          which_(which),
          size_(which.size),
          with_bias_(part == 0),
          blocks_((which.size + kBlockRows - 1) / kBlockRows),
          block_((which.size + blocks_ - 1) / blocks_),
          factors_(share_of_factors(which, rows.H, I, part, parts)),
          left_(scratch(0, depth * blocks_ * block_)),
          right_(scratch(1, kPackedTogether * right_size())),
          bias_(sums),
          sums_(sums + bias_size(which.size)) {}

    // The most elements of `sums`.
    static long sums_size(long H, long I, long size, long parts) {
        const long factors = (panel_count(I, H) + parts - 1) / parts;
        return bias_size(size) + factors * kBlockVectors * kLanes<S> * (size + kBlockRows);
    }

    // Adds the rows to the sums, which the first ones begin, and after the last ones writes them out.
    [[gnu::always_inline]] void run(bool first, bool last, const LayerGradients<S>& gradients) {
        if (first) std::fill_n(bias_, size_, S(0));
        const long K = rows_.rows.before(rows_.direction, rows_.end) - rows_.rows.before(rows_.direction, rows_.begin);
        for (long k = 0; k < K; k += depth_) {
            const long count = std::min(depth_, K - k);
            pack_left(k, count);
            if (with_bias_) add_to_bias(k, count);
            for (std::size_t begin = 0, end = 0; begin < factors_.size(); begin = end) {
                end = pack_right(begin, k, count);
                for (std::size_t i = begin; i < end; ++i) {
                    const std::size_t next = rows_.exceed_caches ? i + (end - begin) : factors_.size();
                    multiply(factors_[i], packed(i - begin), next < factors_.size() ? &factors_[next] : nullptr, k, count,
                             sums_ + sums_before(i), first && k == 0);
                }
            }
        }
        if (!last) return;
        for (std::size_t i = 0; i < factors_.size(); ++i) write(factors_[i], sums_ + sums_before(i), gradients);
        if (!with_bias_) return;
        if (gradients.b_ih != nullptr && which_.of_input >= 0) copy(bias_, size_, gradients.b_ih + which_.of_input);
        if (gradients.b_hh != nullptr && which_.of_state >= 0) copy(bias_, size_, gradients.b_hh + which_.of_state);
    }

    // The number of panels of both weights, the most that `parts` can be.
    static long panel_count(long I, long H) {
        return static_cast<long>(cut_panels<S>(I).size() + cut_panels<S>(H).size());
    }

  private:
    // Two rows, padded to whole vectors, which keeps the sums after them aligned.
    static long bias_size(long size) { return (2 * size + kLanes<S> - 1) / kLanes<S> * kLanes<S>; }

    // Each thread has buffers of its own, since any thread may run any product.
    static S* scratch(int which, long size) {
        thread_local Buffer<S> buffers[2];
        return buffers[which].reserve(size);
    }

    // A panel of x or of the states before.
    struct Factor {
        Panel panel;
        bool of_states;
    };

    static std::vector<Factor> share_of_factors(const WeightBlock& which, long H, long I, long part, long parts) {
        std::vector<Factor> factors;
        if (which.of_input >= 0)
            for (const Panel& panel : cut_panels<S>(I)) factors.push_back({panel, false});
        if (which.of_state >= 0)
            for (const Panel& panel : cut_panels<S>(H)) factors.push_back({panel, true});
        const Share share = share_of(static_cast<long>(factors.size()), part, parts);
        return {factors.begin() + share.begin, factors.begin() + share.begin + share.size};
    }

    // Where the sums of the i-th factor begin.
    long sums_before(std::size_t i) const {
        long vectors = 0;
        for (std::size_t before = 0; before < i; ++before) vectors += factors_[before].panel.vectors;
        return vectors * kLanes<S> * blocks_ * block_;
    }

    // Rows of da that are packed at once: fewer than the ways of a first-level cache, for they may all lie in the same set.
    static constexpr int kLeftTogether = 8;

    // da.T in blocks of rows, the rows of a block interleaved.
    void pack_left(long k, long count) {
        static_assert(kBlockRows == 6);
        const S* from = rows_.da + k * rows_.da_row + which_.begin;
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
        // Blocks of fewer rows are those of small gradients, which the first-level cache holds.
        constexpr int together = R == kBlockRows ? kLeftTogether : 1;
        const long row = rows_.da_row;
        S* to = left_;
        long begin = 0;
        for (; begin + together <= count; begin += together, from += together * row, to += together * R)
            pack_rows<R, together>(from, to);
        for (; begin < count; ++begin, from += row, to += R) pack_rows<R, 1>(from, to);
    }

    // A few rows at a time: a block is far from the next, and a line of it is written at once so, instead of row by row.
    template <int R, int together>
    void pack_rows(const S* from, S* to) {
        const long whole = size_ / R, row = rows_.da_row;
        for (long block = 0; block < whole; ++block, from += R, to += depth_ * R)
#pragma GCC unroll 8
            for (int i = 0; i < together; ++i) std::memcpy(to + i * R, from + i * row, R * sizeof(S));
        if (whole == blocks_) return;
        // The last block is padded with zeros.
        for (int i = 0; i < together; ++i)
            for (long r = 0; r < R; ++r) to[i * R + r] = whole * R + r < size_ ? from[i * row + r] : S(0);
    }

    // The bias' gradient is the sum of da: first over a piece, so that its rounding error stays small.
    void add_to_bias(long k, long count) {
        S* piece = bias_ + size_;
        std::fill_n(piece, size_, S(0));
        for (long i = 0; i < count; ++i) {
            const S* row = rows_.da + (k + i) * rows_.da_row + which_.begin;
            for (long r = 0; r < size_; ++r) piece[r] += row[r];
        }
        for (long r = 0; r < size_; ++r) bias_[r] += piece[r];
    }

    // A factor's rows from the k-th on.
    class RightRows {
      public:
        // One search: one for each row would take a tenth of the time of a small network.
        RightRows(const ProductRows<S>& rows, const Factor& factor, long k) : rows_(rows), factor_(factor) {
            const long before = rows.rows.before(rows.direction, rows.begin) + k;
            go_to(rows.rows.step_of(rows.direction, before));
            row_ = before - rows.rows.before(rows.direction, p_);
        }

        // The next row; null for a row of zeros.
        const S* next() {
            const S* row = factor_.of_states ? rows_.state_before(p_, row_, going_on_) : rows_.input(p_, row_);
            if (++row_ == here_) row_ = 0, go_to(p_ + 1);
            return row == nullptr ? nullptr : row + factor_.panel.column;
        }

      private:
        void go_to(long p) {
            p_ = p;
            going_on_ = rows_.rows.at(rows_.direction, p - 1);
            here_ = rows_.rows.at(rows_.direction, p);
        }

        const ProductRows<S>& rows_;
        const Factor& factor_;
        long p_, row_, going_on_, here_;  // step, row, rows that have the step before, rows that have this one
    };

    long columns(const Factor& factor) const { return (factor.of_states ? rows_.H : I_) - factor.panel.column; }

    // Factors that are packed together: 256 bytes of each row of x or of the states. One line of 64 bytes of each row at a
    // time would be waited for.
    static constexpr std::size_t kPackedTogether = std::max(1, 256 / (kBlockVectors * kVectorBytes));

    // The elements of a packed factor.
    long right_size() const { return depth_ * kBlockVectors * kLanes<S>; }
    S* packed(std::size_t i) const { return right_ + static_cast<long>(i) * right_size(); }

    // Packs a few factors from `begin` on, all of x or all of the states. Returns the one after them.
    std::size_t pack_right(std::size_t begin, long k, long count) const {
        std::size_t end = begin + 1;
        while (end < std::min(begin + kPackedTogether, factors_.size()) && factors_[end].of_states == factors_[begin].of_states)
            ++end;
        RightRows rows(rows_, factors_[begin], k);
        for (long i = 0; i < count; ++i) {
            const S* from = rows.next();
            for (std::size_t f = begin; f < end; ++f) {
                const Panel& panel = factors_[f].panel;
                const long width = panel.vectors * kLanes<S>, distance = panel.column - factors_[begin].panel.column;
                S* to = packed(f - begin) + i * width;
                for (long j = 0; j < width; j += kLanes<S>) {
                    const long left = columns(factors_[f]) - j;
                    store(to + j, from == nullptr ? Vector<S>{} : load_first(from + distance + j, left));
                }
            }
        }
        return end;
    }

    // Multiplies a packed factor, and prefetches the rows of the factor that is packed next.
    void multiply(const Factor& factor, const S* right, const Factor* next, long k, long count, S* sums, bool first) {
        const long width = factor.panel.vectors * kLanes<S>;
        const auto multiply_one = multiply_block_for<S, Interleaved>(block_, factor.panel.vectors);
        RightRows rows(rows_, next == nullptr ? factor : *next, k);
        const long next_width = next == nullptr ? 0 : std::min(next->panel.vectors * kLanes<S>, columns(*next));
        long ahead = 0;
        for (long block = 0; block < blocks_; ++block) {
            for (const long end = count * (block + 1) / blocks_; next_width > 0 && ahead < end; ++ahead)
                if (const S* row = rows.next(); row != nullptr) prefetch(row, next_width);
            S* to = sums + block * block_ * width;
            for (long piece = 0; piece < count; piece += kPiece) {
                const S* left = left_ + block * block_ * depth_ + piece * block_;
                multiply_one({
                    .left = &left,
                    .panel = right + piece * width,
                    .K = std::min(kPiece, count - piece),
                    .from = first && piece == 0 ? nullptr : to,
                    .from_stride = width,
                    .to = to,
                    .to_stride = width,
                    .ahead = right,
                });
            }
        }
    }

    void write(const Factor& factor, const S* sums, const LayerGradients<S>& gradients) const {
        const long columns = factor.of_states ? rows_.H : I_, column = factor.panel.column;
        const long width = factor.panel.vectors * kLanes<S>;
        S* to = factor.of_states ? gradients.w_hh + which_.of_state * columns : gradients.w_ih + which_.of_input * columns;
        to += column;
        for (long r = 0; r < size_; ++r) copy(sums + r * width, std::min(width, columns - column), to + r * columns);
    }

    const ProductRows<S>& rows_;
    const long I_, depth_;
    const WeightBlock which_;
    const long size_;
    const bool with_bias_;
    const long blocks_, block_;  // blocks of rows, and rows of a block: all alike, the last one padded
    const std::vector<Factor> factors_;
    S *const left_, *const right_, *const bias_, *const sums_;
};

}  // namespace rnn
