// A number of rows split into nearly equal parts.
#pragma once

#include <algorithm>

namespace rnn {

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
