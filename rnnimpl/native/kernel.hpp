// The one inner loop of everything here: a block of a matrix product, summed in registers.
#pragma once

#include <algorithm>
#include <array>
#include <utility>

#include "simd.hpp"

namespace rnn {

// Brings `count` elements into the cache while something else is computed. Few at a time: of many at once, most are waited
// for. Always inlined: GCC removes a call of a function that only prefetches.
template <class S>
[[gnu::always_inline]] inline void prefetch(const S* from, long count) {
    constexpr long line = 64 / static_cast<long>(sizeof(S));
    for (long i = 0; i < count; i += line) __builtin_prefetch(from + i);
}

// The left factor of a block as rows with an address each.
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

// The left factor of a block in packed form: the R elements of each k are contiguous.
template <class S, int R>
struct Interleaved {
    const S* data;
    explicit Interleaved(const S* const* rows) : data(rows[0]) {}
    S at(int r, long k) const { return data[k * R + r]; }
};

// Calls `use(r, row)` for R rows. The `asm` keeps g++ from computing all R addresses before the loop: there are too few
// registers for them, and in a block of depth 64 the spilling would take a tenth of the time.
template <int R, class T, class Use>
[[gnu::always_inline]] inline void each_row(T* row, long stride, Use&& use) {
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r, row += stride) {
        asm("" : "+r"(row));
        use(r, row);
    }
}

// How many k a turn of a block's loop has. With one, 12 multiply-adds come with 8 loads and 5 instructions that prefetch,
// count and branch; a core whose other half is busy does not begin so many in the time of the multiply-adds. With vectors of
// 512 bits there are twice as many multiply-adds, and they bind. Where sums and factors fill all registers, a longer turn
// would store sums.
constexpr int steps_of_turn(int rows, int vectors) {
    return kVectorBytes == 64 || rows * vectors + vectors + 1 >= 16 ? 1 : 4;
}

// A block's product, to (R rows of V vectors) = from + left (R, K) @ panel (K rows of V vectors); strides in elements.
template <class S>
struct Block {
    const S* const* left;  // addresses of rows
    const S* panel;
    long K;
    const S* from;     // null for zeros
    long from_stride;  // 0: the same row, a bias, for all
    S* to;
    long to_stride;
    const S* ahead;        // comes into the second-level cache meanwhile, `ahead_step` elements at each k
    long ahead_step = 0;  // 0: nothing does
};

// `from` is added last, so a sum over pieces of K has the small rounding error of short sums. With few sums, each
// multiply-add would wait for the one before; then several sets of sums take turns over k.
template <class S, int R, int V, template <class, int> class Left>
void multiply_block(const Block<S>& block) {
    const S* const panel = block.panel;
    const S* const from = block.from;
    const S* const ahead = block.ahead;
    S* const to = block.to;
    const long K = block.K, from_stride = block.from_stride, to_stride = block.to_stride, ahead_step = block.ahead_step;
    constexpr int sets = R * V < 4 ? 4 : (2 * R * V <= kBlockRows * kBlockVectors ? 2 : 1);
    constexpr long width = V * kLanes<S>;
    constexpr int turn = std::max(sets, steps_of_turn(R, V));
    constexpr bool unrolled = turn > sets, full = sets * R * V == kBlockRows * kBlockVectors;
    // A line of 64 bytes of what is `ahead` is two vectors of 256 bits, and at least two blocks share the panel.
    constexpr int prefetch_every = std::clamp(128 / (V * kVectorBytes), 1, turn);
    const Left<S, R> left(block.left);
    Vector<S> sum[sets][R][V];
#pragma GCC unroll 8
    for (int set = 0; set < sets; ++set)
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
            for (int v = 0; v < V; ++v) sum[set][r][v] = Vector<S>{};
    // These rows are needed at the end, and other blocks may have evicted them from the caches.
    if (from != nullptr)
        each_row<R>(from, from_stride, [](int, const S* row) {
            for (int v = 0; v < V; ++v) __builtin_prefetch(row + v * kLanes<S>);
        });
    else
        each_row<R>(to, to_stride, [](int, S* row) {
            for (int v = 0; v < V; ++v) __builtin_prefetch(row + v * kLanes<S>, 1);
        });
    const auto add = [&](int set, long k) __attribute__((always_inline)) {
        Vector<S> right[V];
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) {
            right[v] = load(panel + k * width + v * kLanes<S>);
            // Of larger blocks in a loop that is not unrolled it is what the compiler does.
            if (R > 1 && (R < 5 || unrolled)) hold_in_register(right[v]);
        }
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
            const Vector<S> element = broadcast(left.at(r, k));
#pragma GCC unroll 8
            for (int v = 0; v < V; ++v) {
                sum[set][r][v] += element * right[v];
                if (unrolled && full) hold_in_register(sum[set][r][v]);
            }
            if (unrolled) hold_until_here(element);
        }
        // A factor keeps its register to the end: g++ 12 would compute a sum in place of it and then move the sum. Sums that
        // fill all registers but four are held as well; holding fewer made it move some.
        if constexpr (unrolled) {
#pragma GCC unroll 8
            for (int v = 0; v < V; ++v) hold_until_here(right[v]);
        }
    };
    long k = 0;
    for (; k + turn <= K; k += turn)
#pragma GCC unroll 8
        for (int i = 0; i < turn; ++i) {
            // With fewer rows loads are the bottleneck, and a prefetch is one more.
            if (R >= 3 && i % prefetch_every == 0) __builtin_prefetch(ahead + (k + i) * ahead_step, 0, 2);
            add(i % sets, k + i);
        }
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
using MultiplyBlock = void (*)(const Block<S>&);

template <class S, template <class, int> class Left, int... Index>
constexpr auto block_table(std::integer_sequence<int, Index...>) {
    // Only blocks of as many rows as their width allows; what is beyond is never asked for.
    return std::array<MultiplyBlock<S>, sizeof...(Index)>{
        &multiply_block<S, std::min(Index / kWidestPanel + 1, block_rows(Index % kWidestPanel + 1)),
                        Index % kWidestPanel + 1, Left>...};
}

// The instance for `rows` rows (1 to block_rows(vectors)) by `vectors` vectors (1 to kWidestPanel).
template <class S, template <class, int> class Left>
inline MultiplyBlock<S> multiply_block_for(long rows, long vectors) {
    static constexpr auto table =
        block_table<S, Left>(std::make_integer_sequence<int, kBlockRows * kWidestPanel>());
    return table[static_cast<std::size_t>((rows - 1) * kWidestPanel + (vectors - 1))];
}

// The width, in vectors, of a product of one row: each broadcast element is multiplied with that many vectors of
// several panels, whose sums keep the multipliers busy without taking turns over k.
inline constexpr int kRowVectors = 8;

// A row's product, to (P times V vectors) = from + row (K) @ P panels; strides in elements.
template <class S>
struct RowBlock {
    const S* row;
    const S* panels;
    long panel_stride, K;
    const S* from;  // lies as `to` does; null for zeros
    S* to;
    long to_stride;
};

template <class S, int P, int V>
void multiply_row(const RowBlock<S>& block) {
    const S* const row = block.row;
    const S* const panels = block.panels;
    const S* const from = block.from;
    S* const to = block.to;
    const long panel_stride = block.panel_stride, K = block.K, to_stride = block.to_stride;
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
using MultiplyRow = void (*)(const RowBlock<S>&);

template <class S, int... Index>
constexpr auto row_table(std::integer_sequence<int, Index...>) {
    // Only as many panels as make up kRowVectors; what is beyond is never asked for.
    return std::array<MultiplyRow<S>, sizeof...(Index)>{
        &multiply_row<S, std::min(Index / kWidestPanel + 1, kRowVectors / (Index % kWidestPanel + 1)),
                      Index % kWidestPanel + 1>...};
}

// The instance for `panels` panels of `vectors` vectors, together at most kRowVectors.
template <class S>
inline MultiplyRow<S> multiply_row_for(long panels, long vectors) {
    static constexpr auto table = row_table<S>(std::make_integer_sequence<int, kRowVectors * kWidestPanel>());
    return table[static_cast<std::size_t>((panels - 1) * kWidestPanel + (vectors - 1))];
}

}  // namespace rnn
