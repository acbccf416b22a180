// A matrix packed into panels: a few vectors of columns wide, all of its rows deep, read in order from end to end.
#pragma once

#include <algorithm>
#include <vector>

#include "buffer.hpp"
#include "kernel.hpp"
#include "machine.hpp"

namespace rnn {

struct Panel {
    long column;   // the first one
    long vectors;  // width
};

// Cuts `columns` into panels of at most kBlockVectors vectors, nearly equal, their number a multiple of
// `multiple` where that is possible: threads then get equal shares.
template <class S>
std::vector<Panel> cut_panels(long columns, long multiple = 1) {
    const long vectors = (columns + kLanes<S> - 1) / kLanes<S>;
    long count = (vectors + kBlockVectors - 1) / kBlockVectors;
    count = std::min(vectors, (count + multiple - 1) / multiple * multiple);
    std::vector<Panel> panels(static_cast<std::size_t>(count));
    for (long p = 0; p < count; ++p) {
        const long begin = vectors * p / count;
        panels[static_cast<std::size_t>(p)] = {begin * kLanes<S>, vectors * (p + 1) / count - begin};
    }
    return panels;
}

// Element (k, n) of a matrix with any strides.
template <class S>
struct Strided {
    const S* data;
    long k_stride, n_stride;
    S at(long k, long n) const { return data[k * k_stride + n * n_stride]; }
};

template <class S>
class Panels {
  public:
    Panels() = default;

    // Columns beyond the last are zeros up to a whole vector.
    Panels(Strided<S> matrix, long depth, long columns, long multiple)
        : depth_(depth), columns_(columns), panels_(cut_panels<S>(columns, multiple)), data_(depth * padded()) {
        for (const Panel& panel : panels_) {
            S* to = data_.data() + panel.column * depth;
            const long width = panel.vectors * kLanes<S>;
            for (long k = 0; k < depth; ++k)
                for (long j = 0; j < width; ++j)
                    to[k * width + j] = panel.column + j < columns ? matrix.at(k, panel.column + j) : S(0);
        }
    }

    long depth() const { return depth_; }
    long columns() const { return columns_; }
    long count() const { return static_cast<long>(panels_.size()); }
    const Panel& operator[](long p) const { return panels_[static_cast<std::size_t>(p)]; }
    long width(long p) const { return (*this)[p].vectors * kLanes<S>; }
    // Columns with the padding.
    long padded() const { return panels_.back().column + panels_.back().vectors * kLanes<S>; }
    const S* data(long p) const { return data_.data() + (*this)[p].column * depth_; }
    bool far() const { return is_far<S>(depth_ * padded()); }

  private:
    long depth_ = 0, columns_ = 0;
    std::vector<Panel> panels_;
    Buffer<S> data_;
};

// Rows of a left factor: `group` of them `stride` apart, then the next group `group_stride` further on.
template <class S>
struct Rows {
    const S* data;
    long stride, group, group_stride;
};

// One row after the other, without the division that finding the i-th one takes.
template <class S>
class RowCursor {
  public:
    explicit RowCursor(const Rows<S>& rows) : rows_(rows), group_begin_(rows.data) {}
    const S* next() {
        const S* row = group_begin_ + in_group_ * rows_.stride;
        if (++in_group_ == rows_.group) {
            in_group_ = 0;
            group_begin_ += rows_.group_stride;
        }
        return row;
    }

  private:
    const Rows<S>& rows_;
    const S* group_begin_;
    long in_group_ = 0;
};

// Rows that come next, so far behind each row, and which of their elements shall come into the cache meanwhile.
struct Ahead {
    long distance = 0, begin = 0, size = 0;
};

// to (count rows, `to_stride` apart) = from + rows (count, K) @ panel p.
//
// A deep panel is taken in pieces: they stay in the second-level cache while all rows pass over them, and their
// sums are short. Meanwhile the next piece comes into that cache, of this panel or, where it is given, of panel `next`.
inline constexpr long kPiece = 512;

template <class S>
void multiply_panel(const Rows<S>& rows, long count, const Panels<S>& panels, long p, const S* from, long from_stride,
                    S* to, long to_stride, long next = -1, const Ahead& ahead = {}) {
    const long width = panels.width(p), depth = panels.depth();
    const EvenSplit blocks(count, kBlockRows);
    for (long k = 0; k < depth; k += kPiece) {
        RowCursor<S> cursor(rows);
        const S* piece = panels.data(p) + k * width;
        const long K = std::min(kPiece, depth - k);
        const S* coming = piece;
        long coming_step = 0;
        if (panels.far() && blocks.parts > 1 && (k + K < depth || next >= 0)) {
            const bool same = k + K < depth;
            coming = same ? piece + K * width : panels.data(next);
            const long size = same ? std::min(kPiece, depth - k - K) * width : std::min(kPiece, depth) * panels.width(next);
            coming_step = (size - 1) / (blocks.parts * K) + 1;
        }
        for (long block = 0; block < blocks.parts; ++block) {
            const long first = blocks.begin(block), size = blocks.size(block);
            const S* row[kBlockRows];
            for (long r = 0; r < size; ++r) row[r] = cursor.next() + k;
            const bool begins = k == 0;
            for (long r = 0; begins && r < size; ++r) prefetch(row[r] + ahead.distance + ahead.begin, ahead.size);
            const S* start = !begins ? to + first * to_stride : (from == nullptr ? nullptr : from + first * from_stride);
            multiply_block_for<S, InRows>(size, panels[p].vectors)(
                row, piece, K, start, begins ? from_stride : to_stride, to + first * to_stride, to_stride,
                coming + block * K * coming_step, coming_step);
        }
    }
}

// Calls `use(first, count, next)` for panels `begin` to `end`: one at a time or, `together`, as many at a time as are alike
// and at most kRowVectors wide; `next` comes after them, -1 for none. Back and forth: what the last step left in the cache
// is what the next one begins with.
template <class S, class Use>
void for_each_panel(const Panels<S>& panels, long begin, long end, bool together, bool backwards, Use&& use) {
    while (begin < end) {
        const long first = backwards ? end - 1 : begin, step = backwards ? -1 : 1;
        const long vectors = panels[first].vectors, most = together ? std::min(end - begin, kRowVectors / vectors) : 1;
        long count = 1;
        while (count < most && panels[first + count * step].vectors == vectors) ++count;
        const long at = backwards ? end - count : begin;
        (backwards ? end : begin) += step * count;
        use(at, count, begin == end ? -1 : (backwards ? end - 1 : begin));
    }
}

// to = from + row (K) @ `count` panels that are alike, from panel p on; their sums side by side.
template <class S>
void multiply_row(const S* row, const Panels<S>& panels, long p, long count, const S* from, S* to) {
    const long width = panels.width(p), depth = panels.depth();
    const auto multiply = multiply_row_for<S>(count, panels[p].vectors);
    for (long k = 0; k < depth; k += kPiece) {
        const S* start = k > 0 ? to : from;
        multiply(row + k, panels.data(p) + k * width, width * depth, std::min(kPiece, depth - k), start, to);
    }
}

}  // namespace rnn
