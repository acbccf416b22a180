// The recurrence of one layer over all steps in one launch, forward or back through time.
//
//     forward    out[t] = f(in[t] + out[t-1] @ W.T)                      in: the input projection, W: w_hh
//     backward   out[t] = (in[t] + out[t+1] @ W.T) * f'(states[t])       in: dy, out: da, W: w_hh transposed
//
// A block owns UNITS hidden units of `rows` sequences in one direction for the whole sequence; its slice of W stays in
// registers. Group g of LANES threads has UNITS_PER_THREAD of the units, and each of its threads every LANES-th
// four of their weights. SLICES blocks share a sequence. They meet nowhere: `out` is filled with UNWRITTEN before the
// launch, and who needs a state reads it until it is there. So all blocks have to be resident at once, which a
// cooperative launch guarantees or refuses.
//
// The constants in capitals are defined by rnnimpl/cuda/source.py ahead of this text.

struct Arguments {
    const Raw* input;    // (T, B, D*H)
    const Raw* weights;  // (D, H, H): a unit's weights are a row
    const Raw* initial;  // (D, B, H), the state before the first step; null: zeros
    const Raw* addend;   // (D, B, H), joins the input of the first step; null: zeros
    const Raw* states;   // (T, B, D*H), forward's output; null says that this is the forward pass
    Raw* output;         // (T, B, D*H)
    int steps, batch, directions, first_direction;
    int rows;            // sequences that a block has
    int relu;
};

constexpr int WIDTH = LANES * CHUNKS * 4;  // H, padded with zeros
constexpr int GROUPS = THREADS / LANES;
constexpr int UNITS = GROUPS * UNITS_PER_THREAD;
constexpr int SUMS = UNITS_PER_THREAD * ROWS_AT_ONCE;
constexpr int WARP_LANES = LANES < 32 ? LANES : 32;
constexpr int PARTS = LANES / WARP_LANES;
constexpr int OWNED = SUMS > WARP_LANES ? SUMS / WARP_LANES : 1;
constexpr int SHARERS = SUMS < WARP_LANES ? WARP_LANES / SUMS : 1;
constexpr int RESULTS = UNITS * ROWS_AT_ONCE;
constexpr int RESULTS_PER_THREAD = (RESULTS + THREADS - 1) / THREADS;
// Loads under way while earlier steps are computed. Where blocks exchange states, that takes long enough for one.
constexpr int AHEAD = SLICES == 1 ? 4 : 1;
constexpr Raw UNWRITTEN = static_cast<Raw>(~0u);
constexpr int EXCHANGED = EXCHANGE_BYTES / sizeof(Raw);
constexpr int READS_AT_ONCE = 4;
constexpr int MOST_READS = 1 << 24;

// A step of some of the block's sequences.
struct Position {
    int step, block;

    __device__ void advance(int blocks) {
        if (++block == blocks) {
            block = 0;
            ++step;
        }
    }
};

// What a thread's results need of memory. Kept as it was loaded: converting it would wait for it.
struct Inputs {
    Raw input[RESULTS_PER_THREAD], state[RESULTS_PER_THREAD];
};

// Where a block's work lies.
struct Place {
    Arguments a;
    int direction, first_unit, first_row, rows;
    bool descending;

    __device__ long long at(int step, int row) const {
        const int t = descending ? a.steps - 1 - step : step;
        return (static_cast<long long>(t) * a.batch + first_row + row) * a.directions * HIDDEN +
               direction * HIDDEN;
    }

    __device__ long long of_state(int row) const {
        return (static_cast<long long>(direction) * a.batch + first_row + row) * HIDDEN;
    }

    // The result of the thread's number `i`, if there is one: its row and its unit among the block's.
    __device__ bool result(Position now, int i, int& row, int& unit) const {
        const int number = threadIdx.x + i * THREADS;
        row = number / UNITS;
        unit = number % UNITS;
        return number < RESULTS && now.block * ROWS_AT_ONCE + row < rows && first_unit + unit < HIDDEN;
    }
};

__device__ __forceinline__ Inputs fetch(const Place& place, Position now) {
    Inputs inputs = {};
#pragma unroll
    for (int i = 0; i < RESULTS_PER_THREAD; ++i) {
        int row, unit;
        if (now.step < place.a.steps && place.result(now, i, row, unit)) {
            const long long at = place.at(now.step, now.block * ROWS_AT_ONCE + row) + place.first_unit + unit;
            inputs.input[i] = place.a.input[at];
            if (place.a.states != nullptr) inputs.state[i] = place.a.states[at];
        }
    }
    return inputs;
}

// Sums over WARP_LANES lanes: each stage adds the lanes' values in pairs and leaves either lane half of the sums.
template <int COUNT, int OFFSET>
__device__ __forceinline__ void gather(float* sums, int lane) {
    if constexpr (OFFSET > 0) {
        if constexpr (COUNT > 1) {
            constexpr int HALF = COUNT / 2;
            const bool upper = (lane & OFFSET) != 0;
#pragma unroll
            for (int i = 0; i < HALF; ++i) {
                const float kept = upper ? sums[i + HALF] : sums[i];
                const float given = upper ? sums[i] : sums[i + HALF];
                sums[i] = kept + from_lane(given, OFFSET);
            }
            gather<HALF, OFFSET / 2>(sums, lane);
        } else {
            sums[0] += from_lane(sums[0], OFFSET);
            gather<1, OFFSET / 2>(sums, lane);
        }
    }
}

// The number of the first sum that `gather` leaves a lane.
__device__ __forceinline__ int first_owned(int lane) {
    int first = 0;
    for (int count = SUMS / 2, offset = WARP_LANES / 2; count > 0 && offset > 0; count /= 2, offset /= 2)
        if (lane & offset) first += count;
    return first;
}

__device__ __forceinline__ Raw element(const unsigned int (&words)[EXCHANGE_WORDS], int i) {
    if constexpr (sizeof(Raw) == 4) return words[i];
    return static_cast<Raw>(words[i / 2] >> (i % 2 * 16));
}

__device__ __forceinline__ bool written(const unsigned int (&words)[EXCHANGE_WORDS]) {
    bool all = true;
#pragma unroll
    for (int i = 0; i < EXCHANGED; ++i) all = all && element(words, i) != UNWRITTEN;
    return all;
}

// Bring the states that step `now` starts from into shared memory, waiting for those that other blocks compute.
__device__ __forceinline__ void fill(const Place& place, Position now, float* state) {
    constexpr int PER_ROW = HIDDEN / EXCHANGED;
    if (now.step == 0 && place.a.initial == nullptr) return;
    for (int first = threadIdx.x; first < ROWS_AT_ONCE * PER_ROW; first += THREADS * READS_AT_ONCE) {
        unsigned int words[READS_AT_ONCE][EXCHANGE_WORDS];
        const Raw* address[READS_AT_ONCE];
#pragma unroll
        for (int i = 0; i < READS_AT_ONCE; ++i) {
            const int number = first + i * THREADS;
            const int row = now.block * ROWS_AT_ONCE + number / PER_ROW;
            address[i] = nullptr;
            if (number < ROWS_AT_ONCE * PER_ROW && row < place.rows) {
                const int column = number % PER_ROW * EXCHANGED;
                address[i] = now.step == 0 ? place.a.initial + place.of_state(row) + column
                                           : place.a.output + place.at(now.step - 1, row) + column;
                read_now(address[i], words[i]);
            }
        }
#pragma unroll
        for (int i = 0; i < READS_AT_ONCE; ++i) {
            if (address[i] == nullptr) continue;
            for (int reads = 0; now.step > 0 && !written(words[i]); ++reads) {
                if (reads == MOST_READS) give_up();
                read_now(address[i], words[i]);
            }
            const int number = first + i * THREADS;
            float* to = state + number / PER_ROW * WIDTH + number % PER_ROW * EXCHANGED;
#pragma unroll
            for (int j = 0; j < EXCHANGED; ++j) to[j] = to_float(element(words[i], j));
        }
    }
}

// The input's and the recurrent term's sum, through the nonlinearity or times its slope. NaN stays NaN.
__device__ __forceinline__ float activate(const Arguments& a, float sum, Raw state) {
    if (a.states == nullptr) return a.relu ? (sum > 0.0f ? sum : (sum == sum ? 0.0f : sum)) : tanhf(sum);
    const float y = to_float(state);
    if (a.relu) return sum * (y > 0.0f ? 1.0f : (y == y ? 0.0f : y));
    return sum * (1.0f - y * y);
}

extern "C" __global__ void __launch_bounds__(THREADS, 1) recurrence(const Arguments a) {
    const int thread = threadIdx.x;
    const int lane = thread % LANES, group = thread / LANES;
    Place place;
    place.a = a;
    place.direction = a.first_direction + blockIdx.z;
    place.first_unit = blockIdx.x * UNITS;
    place.first_row = blockIdx.y * a.rows;
    place.rows = min(a.rows, a.batch - place.first_row);
    place.descending = (place.direction == 1) != (a.states != nullptr);
    const int blocks = (place.rows + ROWS_AT_ONCE - 1) / ROWS_AT_ONCE;

    const int kept_rows = SLICES == 1 ? (a.rows + ROWS_AT_ONCE - 1) / ROWS_AT_ONCE * ROWS_AT_ONCE : ROWS_AT_ONCE;
    float* const state = shared_memory();                 // (kept_rows, WIDTH)
    float* const partial = state + kept_rows * WIDTH;     // (PARTS, ROWS_AT_ONCE, UNITS)

    float weights[UNITS_PER_THREAD][CHUNKS * 4];
#pragma unroll
    for (int u = 0; u < UNITS_PER_THREAD; ++u) {
        const int unit = place.first_unit + u * GROUPS + group;
#pragma unroll
        for (int k = 0; k < CHUNKS * 4; ++k) {
            const int column = (k / 4 * LANES + lane) * 4 + k % 4;
            const bool there = unit < HIDDEN && column < HIDDEN;
            const long long at = (static_cast<long long>(place.direction) * HIDDEN + unit) * HIDDEN + column;
            weights[u][k] = there ? to_float(a.weights[at]) : 0.0f;
        }
    }

    for (int i = thread; i < kept_rows * WIDTH; i += THREADS) {
        const int row = i / WIDTH, column = i % WIDTH;
        const bool given = SLICES == 1 && a.initial != nullptr && row < place.rows && column < HIDDEN;
        state[i] = given ? to_float(a.initial[place.of_state(row) + column]) : 0.0f;
    }
    __syncthreads();

    Position now = {0, 0}, next = {0, 0};
    Inputs ring[AHEAD];
#pragma unroll
    for (int slot = 0; slot < AHEAD; ++slot) {
        ring[slot] = fetch(place, next);
        next.advance(blocks);
    }
    while (now.step < a.steps) {
#pragma unroll
        for (int slot = 0; slot < AHEAD; ++slot) {
            if (now.step >= a.steps) break;
            if constexpr (SLICES > 1) {
                fill(place, now, state);
                __syncthreads();  // states of others
            }
            const int first_kept = SLICES == 1 ? now.block * ROWS_AT_ONCE : 0;

            float sums[SUMS] = {};
#pragma unroll
            for (int chunk = 0; chunk < CHUNKS; ++chunk) {
#pragma unroll
                for (int row = 0; row < ROWS_AT_ONCE; ++row) {
                    const float4 h = *reinterpret_cast<const float4*>(
                        state + (first_kept + row) * WIDTH + (chunk * LANES + lane) * 4);
#pragma unroll
                    for (int u = 0; u < UNITS_PER_THREAD; ++u) {
                        float& sum = sums[row * UNITS_PER_THREAD + u];
                        sum += weights[u][chunk * 4] * h.x;
                        sum += weights[u][chunk * 4 + 1] * h.y;
                        sum += weights[u][chunk * 4 + 2] * h.z;
                        sum += weights[u][chunk * 4 + 3] * h.w;
                    }
                }
            }
            gather<SUMS, WARP_LANES / 2>(sums, lane);
            if (lane % SHARERS == 0) {
                const int first = first_owned(lane % WARP_LANES);
#pragma unroll
                for (int i = 0; i < OWNED; ++i) {
                    const int row = (first + i) / UNITS_PER_THREAD, u = (first + i) % UNITS_PER_THREAD;
                    partial[(lane / WARP_LANES * ROWS_AT_ONCE + row) * UNITS + u * GROUPS + group] = sums[i];
                }
            }
            __syncthreads();  // partial sums

#pragma unroll
            for (int i = 0; i < RESULTS_PER_THREAD; ++i) {
                int row, unit;
                if (!place.result(now, i, row, unit)) continue;
                float sum = to_float(ring[slot].input[i]);
                const int kept = now.block * ROWS_AT_ONCE + row;
                if (now.step == 0 && a.addend != nullptr)
                    sum += to_float(a.addend[place.of_state(kept) + place.first_unit + unit]);
#pragma unroll
                for (int part = 0; part < PARTS; ++part)
                    sum += partial[(part * ROWS_AT_ONCE + row) * UNITS + unit];
                const float value = activate(a, sum, ring[slot].state[i]);
                // Any other NaN could be taken for UNWRITTEN.
                const Raw raw = value == value ? to_raw(value) : static_cast<Raw>(UNWRITTEN >> 1);
                Raw* const to = a.output + place.at(now.step, kept) + place.first_unit + unit;
                if constexpr (SLICES == 1) {
                    *to = raw;
                    state[kept * WIDTH + unit] = to_float(raw);
                } else {
                    publish(to, raw);
                }
            }
            ring[slot] = fetch(place, next);  // for later
            now.advance(blocks);
            next.advance(blocks);
            if constexpr (SLICES == 1) __syncthreads();  // states
        }
    }
}
