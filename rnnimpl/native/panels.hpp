// A matrix packed into panels: a few vectors of columns wide, all of its rows deep, read in order from end to end.
#pragma once

#include <algorithm>
#include <vector>

#include "buffer.hpp"
#include "even_split.hpp"
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

// The panels of a unit with `gates` columns, which are finished together: a vector a gate, in as few panels as possible,
// nearly equal.
inline constexpr long panels_of_unit(long gates) {
    return gates <= kWidestPanel ? 1 : (gates + kBlockVectors - 1) / kBlockVectors;
}

template <class S>
std::vector<Panel> cut_unit_panels(long units, long gates) {
    const long vectors = (units + kLanes<S> - 1) / kLanes<S>, parts = panels_of_unit(gates);
    std::vector<Panel> panels;
    for (long v = 0; v < vectors; ++v)
        for (long part = parts; part > 0; --part) {
            const long begin = gates * (parts - part) / parts, end = gates * (parts - part + 1) / parts;
            panels.push_back({(v * gates + begin) * kLanes<S>, end - begin});
        }
    return panels;
}

template <class S>
class Panels {
  public:
    Panels() = default;

    // Element (k, n) of the matrix is `column(n)[offset(k)]`; zero where column(n) is null, as it is beyond the last.
    // `per_unit` panels, one after the other, belong together.
    template <class Column, class Offset>
    Panels(long depth, std::vector<Panel> panels, long per_unit, Column&& column, Offset&& offset)
        : depth_(depth), per_unit_(per_unit), panels_(std::move(panels)), data_(depth * padded()) {
        std::vector<const S*> columns(kWidestPanel * kLanes<S>);
        for (const Panel& panel : panels_) {
            S* to = data_.data() + panel.column * depth;
            const long width = panel.vectors * kLanes<S>;
            for (long j = 0; j < width; ++j) columns[static_cast<std::size_t>(j)] = column(panel.column + j);
            for (long k = 0; k < depth; ++k) {
                const long at = offset(k);
                for (long j = 0; j < width; ++j) {
                    const S* from = columns[static_cast<std::size_t>(j)];
                    to[k * width + j] = from == nullptr ? S(0) : from[at];
                }
            }
        }
    }

    long depth() const { return depth_; }
    long count() const { return static_cast<long>(panels_.size()); }
    // The number of panels in a unit of work.
    long per_unit() const { return per_unit_; }
    long units() const { return count() / per_unit_; }
    long unit_vectors(long unit) const {
        if (per_unit_ == 1) return (*this)[unit].vectors;
        long vectors = 0;
        for (long p = unit * per_unit_; p < (unit + 1) * per_unit_; ++p) vectors += (*this)[p].vectors;
        return vectors;
    }
    const Panel& operator[](long p) const { return panels_[static_cast<std::size_t>(p)]; }
    long width(long p) const { return (*this)[p].vectors * kLanes<S>; }
    // The number of columns, padding included.
    long padded() const { return panels_.back().column + panels_.back().vectors * kLanes<S>; }
    const S* data(long p) const { return data_.data() + (*this)[p].column * depth_; }
    // Whether prefetching the next panel pays: the panels fill so much of the second-level cache that w_ih, w_hh and
    // the other factors do not fit it together.
    bool exceeds_cache() const {
        return exceeds_second_cache<S>(depth_ * padded(), kShareOfSecond);
    }

  private:
    static constexpr double kShareOfSecond = 0.4;

    long depth_ = 0, per_unit_ = 1;
    std::vector<Panel> panels_;
    Buffer<S> data_;
};

// Rows of a left factor: `group` of them `stride` apart, then the next group `group_stride` further on. Or rows that lie
// anywhere, whose addresses are in a table.
template <class S>
struct Rows {
    const S* data;  // the first row
    long stride, group, group_stride;
    const S* const* table = nullptr;
};

// The rows of a left factor in order, without the division that the i-th one would take.
template <class S>
class RowCursor {
  public:
    explicit RowCursor(const Rows<S>& rows) : rows_(rows), table_(rows.table), group_begin_(rows.data) {}
    const S* next() {
        if (table_ != nullptr) return *table_++;
        const S* row = group_begin_ + in_group_ * rows_.stride;
        if (++in_group_ == rows_.group) {
            in_group_ = 0;
            group_begin_ += rows_.group_stride;
        }
        return row;
    }

  private:
    const Rows<S>& rows_;
    const S* const* table_;
    const S* group_begin_;
    long in_group_ = 0;
};

// The elements to prefetch: `size` from column `begin` on, in rows `distance` elements after those multiplied.
struct Ahead {
    long distance = 0, begin = 0, size = 0;
};

// A product of rows with panels: to (count rows) = from + rows (count, K) @ panel; strides in elements.
template <class S>
struct Product {
    Rows<S> rows;
    long count;
    const S* from;     // null for zeros
    long from_stride;  // 0: the same row, a bias, for all
    S* to;
    long to_stride;
    long next = -1;  // the panel, or the unit, that is multiplied after this one; -1 for none
    Ahead ahead = {};
};

// The most rows of a panel in one sum: short sums have small rounding errors.
inline constexpr long kPiece = 512;
// The most rows of a panel where several blocks of rows are multiplied with them, so that they stay in the first cache.
inline constexpr long kReusedPiece = kVectorBytes == 64 ? 128 : 256;

// Multiplies with panel p piece by piece, and prefetches the next piece, of this panel or of the next.
template <class S>
void multiply_panel(const Panels<S>& panels, long p, const Product<S>& product) {
    const long width = panels.width(p), depth = panels.depth(), to_stride = product.to_stride, next = product.next;
    const S* const from = product.from;
    S* const to = product.to;
    const EvenSplit blocks(product.count, block_rows(panels[p].vectors));
    const long most = blocks.parts > 1 ? kReusedPiece : kPiece;
    for (long k = 0; k < depth; k += most) {
        RowCursor<S> cursor(product.rows);
        const S* piece = panels.data(p) + k * width;
        const long K = std::min(most, depth - k);
        const S* coming = piece;
        long coming_step = 0;
        if (panels.exceeds_cache() && blocks.parts > 1 && (k + K < depth || next >= 0)) {
            const bool same = k + K < depth;
            coming = same ? piece + K * width : panels.data(next);
            const long size = same ? std::min(most, depth - k - K) * width : std::min(most, depth) * panels.width(next);
            coming_step = (size - 1) / (blocks.parts * K) + 1;
        }
        for (long block = 0; block < blocks.parts; ++block) {
            const long first = blocks.begin(block), size = blocks.size(block);
            const Ahead& ahead = product.ahead;
            const S* row[kBlockRows];
            for (long r = 0; r < size; ++r) row[r] = cursor.next() + k;
            const bool begins = k == 0;
            for (long r = 0; begins && r < size; ++r) prefetch(row[r] + ahead.distance + ahead.begin, ahead.size);
            S* const sums = to + first * to_stride;
            const S* start = !begins ? sums : (from == nullptr ? nullptr : from + first * product.from_stride);
            multiply_block_for<S, InRows>(size, panels[p].vectors)({
                .left = row,
                .panel = piece,
                .K = K,
                .from = start,
                .from_stride = begins ? product.from_stride : to_stride,
                .to = sums,
                .to_stride = to_stride,
                .ahead = coming + block * K * coming_step,
                .ahead_step = coming_step,
            });
        }
    }
}

// Multiplies with all panels of a unit; their sums are side by side.
template <class S>
void multiply_unit(const Panels<S>& panels, long unit, const Product<S>& product) {
    const long begin = unit * panels.per_unit(), end = begin + panels.per_unit();
    const long after = product.next < 0 ? -1 : product.next * panels.per_unit();
    Product<S> of_panel = product;
    for (long p = begin; p < end; ++p) {
        of_panel.next = p + 1 < end ? p + 1 : after;
        multiply_panel(panels, p, of_panel);
        if (of_panel.from != nullptr) of_panel.from += panels.width(p);
        of_panel.to += panels.width(p);
        of_panel.ahead = {};
    }
}

// Units of work in the order in which they are multiplied.
struct Units {
    long begin, end;
    bool together = false;   // as many at a time as are alike and at most kRowVectors wide; else one
    bool backwards = false;
};

// Calls `use(first, count, next)` for `count` units at a time; `next` is the unit after them, -1 for none. The order
// alternates from step to step, so a step begins with what the one before left in the cache.
template <class S, class Use>
void for_each_unit(const Panels<S>& panels, const Units& units, Use&& use) {
    long begin = units.begin, end = units.end;
    const bool backwards = units.backwards;
    while (begin < end) {
        const long first = backwards ? end - 1 : begin, step = backwards ? -1 : 1;
        const long vectors = panels.unit_vectors(first);
        const long most = units.together ? std::min(end - begin, std::max(1L, kRowVectors / vectors)) : 1;
        long count = 1;
        while (count < most && panels.unit_vectors(first + count * step) == vectors) ++count;
        const long at = backwards ? end - count : begin;
        (backwards ? end : begin) += step * count;
        use(at, count, begin == end ? -1 : (backwards ? end - 1 : begin));
    }
}

// A product of one row with units that are alike: to = from + row (K) @ units.
template <class S>
struct RowProduct {
    const S* row;
    const S* from;  // lies as `to` does; null for zeros
    S* to;
    long to_stride;  // from the sums of a unit to those of the next
};

// Multiplies a row with `count` units from `unit` on.
template <class S>
void multiply_row(const Panels<S>& panels, long unit, long count, const RowProduct<S>& product) {
    const long depth = panels.depth(), to_stride = product.to_stride;
    const auto multiply = [&](long p, long together, const S* start, S* sums, long stride) {
        const long width = panels.width(p);
        const auto instance = multiply_row_for<S>(together, panels[p].vectors);
        for (long k = 0; k < depth; k += kPiece)
            instance({
                .row = product.row + k,
                .panels = panels.data(p) + k * width,
                .panel_stride = width * depth,
                .K = std::min(kPiece, depth - k),
                .from = k > 0 ? sums : start,
                .to = sums,
                .to_stride = stride,
            });
    };
    if (panels.per_unit() == 1) return multiply(unit, count, product.from, product.to, to_stride);
    const long per_unit = panels.per_unit(), width = panels.width(unit * per_unit);
    // All panels have the same width and their sums are contiguous.
    if (panels.unit_vectors(unit) * kLanes<S> == per_unit * width && (count == 1 || to_stride == per_unit * width))
        return multiply(unit * per_unit, count * per_unit, product.from, product.to, width);
    for (long i = 0; i < count; ++i) {
        long offset = i * to_stride;
        for (long p = (unit + i) * panels.per_unit(); p < (unit + i + 1) * panels.per_unit(); ++p) {
            multiply(p, 1, product.from == nullptr ? nullptr : product.from + offset, product.to + offset, 0);
            offset += panels.width(p);
        }
    }
}

}  // namespace rnn
