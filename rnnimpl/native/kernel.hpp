// The one inner loop of everything here: a block of a matrix product, summed in registers.
#pragma once

#include <algorithm>
#include <array>
#include <utility>

#include "simd.hpp"

// A phase of a pass: a function of its own, which whoever looks at a running call knows by its name.
#define RNN_PHASE __attribute__((noinline))

namespace rnn {

// Brings `count` elements into the cache while something else is computed. Few at a time: of many at once, most are waited
// for. Inlined, for GCC takes a call of what only prefetches for one of nothing.
template <class S>
[[gnu::always_inline]] inline void prefetch(const S* from, long count) {
    constexpr long line = 64 / static_cast<long>(sizeof(S));
    for (long i = 0; i < count; i += line) __builtin_prefetch(from + i);
}

// Where the left factor's element (row, k) of a block lies: in rows of their own ...
template <class S, int R>
struct InRows {
    const S* row[R];
    explicit InRows(const S* const* rows) {
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
            row[r] = rows[r];
            // One by one, as they were just stored: loaded together, they would have to wait for the stores to end.
            asm("" : "+r"(row[r]));
        }
    }
    S at(int r, long k) const { return row[r][k]; }
};

// ... or packed, the R elements of each k side by side.
template <class S, int R>
struct Interleaved {
    const S* data;
    explicit Interleaved(const S* const* rows) : data(rows[0]) {}
    S at(int r, long k) const { return data[k * R + r]; }
};

// Calls `use(r, row)` for R rows. Each address is made of the one before: all of them made at first, as g++ would, take
// more registers than there are, and as long as a tenth of a block of 64 products deep.
template <int R, class T, class Use>
[[gnu::always_inline]] inline void each_row(T* row, long stride, Use&& use) {
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r, row += stride) {
        asm("" : "+r"(row));
        use(r, row);
    }
}

// to (R rows of V vectors) = from + left (R, K) @ panel (K rows of V vectors).
//
// `from` may be null, and `from_stride` 0: the same row, a bias, for all. It is added last, so that what is
// summed over pieces of K has the small rounding error of short sums. Few sums would leave the multipliers
// waiting for one another; then several sets of them take turns over k. Meanwhile `ahead`, `ahead_step` elements at each
// k, comes into the second-level cache; a step of 0 asks for nothing.
template <class S, int R, int V, template <class, int> class Left>
void multiply_block(const S* const* rows, const S* panel, long K, const S* from, long from_stride, S* to,
                    long to_stride, const S* ahead, long ahead_step) {
    constexpr int sets = R * V < 4 ? 4 : (2 * R * V <= kBlockRows * kBlockVectors ? 2 : 1);
    constexpr long width = V * kLanes<S>;
    const Left<S, R> left(rows);
    Vector<S> sum[sets][R][V];
#pragma GCC unroll 8
    for (int set = 0; set < sets; ++set)
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
            for (int v = 0; v < V; ++v) sum[set][r][v] = Vector<S>{};
    // Needed at the end, and not in the first-level cache, if another block's turn was in between, or not in any.
    if (from != nullptr)
        each_row<R>(from, from_stride, [](int, const S* row) {
            for (int v = 0; v < V; ++v) __builtin_prefetch(row + v * kLanes<S>);
        });
    else
        each_row<R>(to, to_stride, [](int, S* row) {
            for (int v = 0; v < V; ++v) __builtin_prefetch(row + v * kLanes<S>, 1);
        });
    const auto add = [&](int set, long k) __attribute__((always_inline)) {
        // Of fewer rows, loads are what bounds it.
        if (R >= 3) __builtin_prefetch(ahead + k * ahead_step, 0, 2);
        Vector<S> right[V];
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) {
            right[v] = load(panel + k * width + v * kLanes<S>);
            if (R > 1 && R < 5) hold_in_register(right[v]);  // of larger blocks it is what the compiler does
        }
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
            const Vector<S> element = broadcast(left.at(r, k));
#pragma GCC unroll 8
            for (int v = 0; v < V; ++v) sum[set][r][v] += element * right[v];
        }
    };
    long k = 0;
    for (; k + sets <= K; k += sets)
#pragma GCC unroll 8
        for (int set = 0; set < sets; ++set) add(set, k + set);
    for (; k < K; ++k) add(0, k);
#pragma GCC unroll 8
    for (int set = 1; set < sets; ++set)
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
            for (int v = 0; v < V; ++v) sum[0][r][v] += sum[set][r][v];
    if (from != nullptr)
        each_row<R>(from, from_stride, [&](int r, const S* row) __attribute__((always_inline)) {
#pragma GCC unroll 8
            for (int v = 0; v < V; ++v) sum[0][r][v] += load(row + v * kLanes<S>);
        });
    each_row<R>(to, to_stride, [&](int r, S* row) __attribute__((always_inline)) {
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) store(row + v * kLanes<S>, sum[0][r][v]);
    });
}

template <class S>
using MultiplyBlock = void (*)(const S* const*, const S*, long, const S*, long, S*, long, const S*, long);

template <class S, template <class, int> class Left, int... Index>
constexpr auto block_table(std::integer_sequence<int, Index...>) {
    return std::array<MultiplyBlock<S>, sizeof...(Index)>{
        &multiply_block<S, Index / kBlockVectors + 1, Index % kBlockVectors + 1, Left>...};
}

// The instance for `rows` rows (1 to kBlockRows) by `vectors` vectors (1 to kBlockVectors).
template <class S, template <class, int> class Left>
inline MultiplyBlock<S> multiply_block_for(long rows, long vectors) {
    static constexpr auto table =
        block_table<S, Left>(std::make_integer_sequence<int, kBlockRows * kBlockVectors>());
    return table[static_cast<std::size_t>((rows - 1) * kBlockVectors + (vectors - 1))];
}

// Rows that are multiplied alone: each element that is broadcast then serves P panels, so that no load is made for
// two vectors only, and their sums keep the multipliers busy without taking turns over k.
inline constexpr int kRowVectors = 8;

// to (P times V vectors, `to_stride` apart) = from, which lies alike, + row (K) @ P panels, `panel_stride` apart.
template <class S, int P, int V>
void multiply_row(const S* row, const S* panels, long panel_stride, long K, const S* from, S* to, long to_stride) {
    constexpr int sets = P * V >= 5 ? 1 : (P * V >= 3 ? 2 : 4);
    Vector<S> sum[sets][P][V];
#pragma GCC unroll 8
    for (int set = 0; set < sets; ++set)
#pragma GCC unroll 8
        for (int p = 0; p < P; ++p)
#pragma GCC unroll 8
            for (int v = 0; v < V; ++v) sum[set][p][v] = Vector<S>{};
    const auto add = [&](int set, long k) __attribute__((always_inline)) {
        const Vector<S> element = broadcast(row[k]);
#pragma GCC unroll 8
        for (int p = 0; p < P; ++p)
#pragma GCC unroll 8
            for (int v = 0; v < V; ++v)
                sum[set][p][v] += element * load(panels + p * panel_stride + (k * V + v) * kLanes<S>);
    };
    long k = 0;
    for (; k + sets <= K; k += sets)
#pragma GCC unroll 8
        for (int set = 0; set < sets; ++set) add(set, k + set);
    for (; k < K; ++k) add(0, k);
#pragma GCC unroll 8
    for (int p = 0; p < P; ++p)
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) {
            const long at = p * to_stride + v * kLanes<S>;
#pragma GCC unroll 8
            for (int set = 1; set < sets; ++set) sum[0][p][v] += sum[set][p][v];
            if (from != nullptr) sum[0][p][v] += load(from + at);
            store(to + at, sum[0][p][v]);
        }
}

template <class S>
using MultiplyRow = void (*)(const S*, const S*, long, long, const S*, S*, long);

template <class S, int... Index>
constexpr auto row_table(std::integer_sequence<int, Index...>) {
    // Only as many panels as make up kRowVectors; what is beyond is never asked for.
    return std::array<MultiplyRow<S>, sizeof...(Index)>{
        &multiply_row<S, std::min(Index / kBlockVectors + 1, kRowVectors / (Index % kBlockVectors + 1)),
                      Index % kBlockVectors + 1>...};
}

// The instance for `panels` panels of `vectors` vectors, together at most kRowVectors.
template <class S>
inline MultiplyRow<S> multiply_row_for(long panels, long vectors) {
    static constexpr auto table = row_table<S>(std::make_integer_sequence<int, kRowVectors * kBlockVectors>());
    return table[static_cast<std::size_t>((panels - 1) * kBlockVectors + (vectors - 1))];
}

// Splits `count` into as few parts of at most `most` as it takes, all nearly equal: 8 rows are 4 + 4, not 6 + 2.
// One division, here: more of them in a loop over blocks would cost as much as a small block's product.
struct EvenSplit {
    long parts, smaller, larger_parts;
    EvenSplit(long count, long most)
        : parts((count + most - 1) / most), smaller(count / parts), larger_parts(count - smaller * parts) {}
    long begin(long part) const { return part * smaller + std::min(part, larger_parts); }
    long size(long part) const { return smaller + (part < larger_parts ? 1 : 0); }
};

}  // namespace rnn
