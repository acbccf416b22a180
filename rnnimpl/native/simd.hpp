// The vector of the compiler's target: one type, loads and stores, in GCC's and Clang's vector extensions.
#pragma once

#include <cstdint>
#include <cstring>

namespace rnn {

#if defined(__AVX512F__)
inline constexpr int kVectorBytes = 64;
#elif defined(__AVX__)
inline constexpr int kVectorBytes = 32;
#else
inline constexpr int kVectorBytes = 16;
#endif

// A block of kBlockRows rows by kBlockVectors vectors is summed in registers: with 32 of them 24 hold sums,
// with 16 of them 12, and the rest hold what is multiplied. Panels of gates may be wider, and their blocks of fewer rows.
inline constexpr int kBlockRows = 6;
#if defined(__AVX512F__) || defined(__aarch64__)
inline constexpr int kBlockVectors = 4, kWidestPanel = 4;
#else
inline constexpr int kBlockVectors = 2, kWidestPanel = 3;
#endif

// The rows of a block that is so many vectors wide.
constexpr int block_rows(long vectors) {
    return vectors <= kBlockVectors ? kBlockRows : static_cast<int>(kBlockRows * kBlockVectors / vectors);
}

template <class S>
struct VectorOf;

template <>
struct VectorOf<float> {
    typedef float Real __attribute__((vector_size(kVectorBytes)));
    typedef std::int32_t Bits __attribute__((vector_size(kVectorBytes)));
};

template <>
struct VectorOf<double> {
    typedef double Real __attribute__((vector_size(kVectorBytes)));
    typedef std::int64_t Bits __attribute__((vector_size(kVectorBytes)));
};

template <class S>
using Vector = typename VectorOf<S>::Real;

template <class S>
using VectorBits = typename VectorOf<S>::Bits;

template <class S>
inline constexpr long kLanes = kVectorBytes / static_cast<long>(sizeof(S));

// Taking zero away changes no value, not even -0, and costs nothing; adding zero would turn -0 into 0.
template <class S>
inline Vector<S> broadcast(S value) {
    return value - Vector<S>{};
}

template <class S>
inline Vector<S> load(const S* from) {
    Vector<S> vector;
    std::memcpy(&vector, from, sizeof vector);
    return vector;
}

template <class S>
inline void store(S* to, const Vector<S>& vector) {
    std::memcpy(to, &vector, sizeof vector);
}

// The constraint of an operand in a vector register.
#if defined(__AVX512F__)
#define RNN_IN_REGISTER "v"
#elif defined(__SSE2__)
#define RNN_IN_REGISTER "x"
#elif defined(__aarch64__)
#define RNN_IN_REGISTER "w"
#endif

// Keeps a vector in a register. A compiler counts operands in memory as free and would load the vector again for each
// use; a cycle has fewer loads than uses.
template <class V>
[[gnu::always_inline]] inline void hold_in_register([[maybe_unused]] V& vector) {
#if defined(RNN_IN_REGISTER)
    asm("" : "+" RNN_IN_REGISTER(vector));
#endif
}

// Keeps a vector in its register up to here: nothing is computed in place of it before.
template <class V>
[[gnu::always_inline]] inline void hold_until_here([[maybe_unused]] const V& vector) {
#if defined(RNN_IN_REGISTER)
    asm("" : : RNN_IN_REGISTER(vector));
#endif
}

// Lane by lane the limit or x, by one instruction, which takes x where that is NaN. Compilers make a comparison and a choice
// of the same in C++.
#define RNN_LIMIT(instruction) \
    asm(instruction " %2, %1, %0" : "=" RNN_IN_REGISTER(limited) : RNN_IN_REGISTER(broadcast(limit)), RNN_IN_REGISTER(x))

// `x`, but `limit` where x is below it. NaN stays NaN.
template <class S>
[[gnu::always_inline]] inline Vector<S> at_least(const Vector<S>& x, S limit) {
    Vector<S> limited = x < limit ? broadcast(limit) : x;
#if defined(__AVX__)
    if constexpr (sizeof(S) == 4) RNN_LIMIT("vmaxps");
    else RNN_LIMIT("vmaxpd");
#endif
    return limited;
}

// `x`, but `limit` where x is above it. NaN stays NaN.
template <class S>
[[gnu::always_inline]] inline Vector<S> at_most(const Vector<S>& x, S limit) {
    Vector<S> limited = limit < x ? broadcast(limit) : x;
#if defined(__AVX__)
    if constexpr (sizeof(S) == 4) RNN_LIMIT("vminps");
    else RNN_LIMIT("vminpd");
#endif
    return limited;
}

// The first `count` lanes from memory, zeros in the others; nothing beyond `from + count` is touched.
template <class S>
inline Vector<S> load_first(const S* from, long count) {
    if (count >= kLanes<S>) return load(from);
    S lanes[kLanes<S>] = {};
    for (long i = 0; i < kLanes<S>; ++i)
        if (i < count) lanes[i] = from[i];
    return load(lanes);
}

template <class S>
inline void store_first(S* to, const Vector<S>& vector, long count) {
    if (count >= kLanes<S>) return store(to, vector);
    S lanes[kLanes<S>];
    store(lanes, vector);
    for (long i = 0; i < kLanes<S>; ++i)
        if (i < count) to[i] = lanes[i];
}

// Zeros. By the library's function, which writes large pieces without reading them first.
template <class S>
inline void clear(S* to, long count) {
    std::memset(to, 0, static_cast<std::size_t>(count) * sizeof(S));
}

// A few elements at a time, so short that calling memcpy would cost more than it copies.
template <class S>
inline void copy(const S* from, long count, S* to) {
    for (long i = 0; i < count; i += kLanes<S>) store_first(to + i, load_first(from + i, count - i), count - i);
}

}  // namespace rnn
