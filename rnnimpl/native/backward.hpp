// Backpropagation through time: for each layer from the last, chunk by chunk, the recurrence backwards and then the
// large products.
#pragma once

#include <array>
#include <deque>
#include <vector>

#include "network.hpp"
#include "plan.hpp"
#include "pool.hpp"
#include "products.hpp"
#include "team.hpp"

namespace rnn {

template <class S>
struct BackwardCall {
    long T, B;
    Sequence<const S> x;
    const S* h0;                       // (L*D, B, H), or null for zeros
    std::vector<Sequence<S>> outputs;  // y of each layer, from the forward pass
    const S* saved;                    // what else the forward pass has saved
    const S* dy;                       // (T, B, D*H)
    std::array<const S*, 2> dstate_n;  // of h_n and, of cells with two states, c_n: (L*D, B, H)
    S* dx;                             // (T, B, I), or null where nobody asks for it
    std::array<S*, 2> dstate;          // (L*D, B, H)
    std::vector<LayerGradients<S>> gradients;  // of each layer in each direction; none where nobody asks for them
};

template <class S, class Cell>
class Backward {
  public:
    using Net = Network<S, Cell>;

    Backward(Net& network, const BackwardCall<S>& call)
        : network_(network),
          config_(network.config),
          call_(call),
          plan_(make_plan<S, Cell>(network, call.T, call.B, false)),
          parts_(config_.D * plan_.members),
          exceeds_caches_(network.exceeds_caches(call.T, call.B)) {
        const long rows = (call_.B + plan_.teams - 1) / plan_.teams;
        threads_ = plan_.threads > 1 || product_cycles() > 4 * kWakingCycles ? config_.threads : 1;
        chunk_steps_ = steps_at_once();
        chunks_ = (call_.T + chunk_steps_ - 1) / chunk_steps_;
        steps_per_barrier_ = plan_.members > 1 ? 1 : std::max(1L, kRows / rows);
        sums_scratch_ = rows * network_.backward(0, 0).state.padded();
        direction_scratch_ = sums_scratch_ + (Net::kGated ? rows * network_.unit_vectors() * kLanes<S> : 0);
        network_.team_scratch.reserve(direction_scratch_ * config_.D * plan_.teams);
        const long da_size = config_.D * chunk_steps_ * call_.B * da_row();
        const long between_size = config_.L > 1 ? 2 * call_.T * call_.B * config_.D * config_.H : 0;
        da_ = network_.layer_scratch.reserve(da_size + between_size);
        between_ = da_ + da_size;
        blocks_ = weight_blocks<Cell>(config_.H, kProductRows, 2L * threads_ / config_.D);
        // With fewer blocks of rows than threads, the columns are divided among threads too.
        columns_ = std::clamp(threads_ / (config_.D * block_count()), 1L,
                              WeightProducts<S>::panel_count(config_.layer_input(0), config_.H));
        product_parts_ = static_cast<int>(config_.D * block_count() * columns_);
        const long most_inputs = std::max(config_.layer_input(0), config_.layer_input(config_.L - 1));
        long largest = 0;
        for (const WeightBlock& block : blocks_) largest = std::max(largest, block.size);
        sums_size_ = WeightProducts<S>::sums_size(config_.H, most_inputs, largest, columns_);
        network_.product_scratch.reserve(product_parts_ * sums_size_);
        for (long i = 0; i < config_.L * chunks_; ++i) {
            const Chunk chunk = chunk_of(i % chunks_);
            for (int team = 0; team < plan_.teams; ++team) teams_.emplace_back(barriers(chunk) + 1, parts_, threads_);
            products_.emplace_back(1, product_parts_, threads_);
        }
    }

    void run() {
        Pool::shared().run(static_cast<int>(threads_), [this](int thread) {
            for (long i = config_.L * chunks_ - 1; i >= 0; --i) {
                const int layer = static_cast<int>(i / chunks_);
                const Chunk chunk = chunk_of(i % chunks_);
                for (int ahead = 0; ahead < plan_.teams; ++ahead) {
                    const int team = (thread + ahead) % plan_.teams;
                    teams_[static_cast<std::size_t>(i * plan_.teams + team)].run(
                        thread / plan_.teams % parts_,
                        [&](long step, int part) { this->step(layer, chunk, team, step, part); });
                }
                products_[static_cast<std::size_t>(i)].run(
                    static_cast<int>(thread * product_parts_ / threads_),
                    [&](long, int part) { this->multiply_weights(layer, chunk, part); });
            }
        });
    }

  private:
    static constexpr long kRows = 96;          // of dx at once, and of da between barriers
    static constexpr long kProductRows = 384;  // of a weight's gradient at once
    static constexpr long kShareOfSecond = 4;  // one part in so many of the second-level cache is for da

    // Cycles of the products of all weight gradients on one thread, at one vector a cycle.
    double product_cycles() const {
        double cycles = 0;
        for (int layer = 0; layer < config_.L; ++layer)
            cycles += static_cast<double>(config_.D * call_.T * call_.B * Cell::kGates * config_.H) *
                      static_cast<double>(config_.layer_input(layer) + config_.H) / kLanes<S>;
        return cycles;
    }

    // A chunk of steps: after it come the large products, while da and their other factors are still in the cache.
    struct Chunk {
        long begin, end;
    };

    Chunk chunk_of(long index) const { return {index * chunk_steps_, std::min(call_.T, (index + 1) * chunk_steps_)}; }

    long steps_at_once() const {
        // Directions run through time from both ends, and dx is the sum of both. Helpers who come for the products
        // alone come once.
        if (config_.D > 1 || threads_ > plan_.threads) return call_.T;
        const long rows = static_cast<long>(Caches::here().second / (kShareOfSecond * sizeof(S))) / da_row();
        // Two at least: da of a single step would be written where that of the step after it is still read.
        return std::clamp(plan_.teams * std::max(rows, WeightProducts<S>::kRowsAtOnce) / call_.B,
                          std::min(2L, call_.T), call_.T);
    }

    long barriers(const Chunk& chunk) const {
        return (chunk.end - chunk.begin + steps_per_barrier_ - 1) / steps_per_barrier_;
    }

    struct Work {
        int layer, direction, member;
        Chunk chunk;
        Share share;  // sequences
        S* sums;
        long panel_begin, panel_end;
    };

    void step(int layer, const Chunk& chunk, int team, long step, int part) {
        Work work;
        work.layer = layer;
        work.direction = part / plan_.members;
        work.member = part % plan_.members;
        work.chunk = chunk;
        work.share = share_of(call_.B, team, plan_.teams);
        work.sums = network_.team_scratch.data() + (team * config_.D + work.direction) * direction_scratch_;
        const long panels = packed(work).state.count();
        work.panel_begin = panels * work.member / plan_.members;
        work.panel_end = panels * (work.member + 1) / plan_.members;
        if (step == barriers(chunk)) {
            if (chunk.begin == 0) recur_back(work, 0, -1);
            multiply_input(work, part);
            return;
        }
        const long end = chunk.end - step * steps_per_barrier_;
        recur_back(work, end, std::max(chunk.begin, end - steps_per_barrier_));
    }

    const PackedBackward<S>& packed(const Work& work) const { return network_.backward(work.layer, work.direction); }

    // Gradients of a step's sums and sequence: H of each, one sum after the other.
    long da_row() const { return Cell::kStored * config_.H; }

    long block_count() const { return static_cast<long>(blocks_.size()); }

    // da of one direction for the steps of a chunk, in the order in which the direction runs through time; the last
    // step of the previous chunk stays readable until its place is overwritten.
    S* da(const Chunk& chunk, int direction, long p, long b) const {
        const long step = p - chunk.begin;
        return da_ + ((direction * chunk_steps_ + (step < chunk_steps_ ? step : 0)) * call_.B + b) * da_row();
    }

    // The gradient of a layer's output (T, B, D*H): dy for the last layer, else dx of the layer above.
    const S* output_gradient(int layer) const {
        return layer == config_.L - 1 ? call_.dy : between(layer);
    }
    S* between(int layer) const { return between_ + layer % 2 * (call_.T * call_.B * config_.D * config_.H); }

    // Steps back from the p-th step, which is done, to the step `end`.
    RNN_PHASE void recur_back(const Work& work, long p, long end) {
        while (p > end) step_back(work, --p);
    }

    // da[p] from dh[p] = dy[p] + da[p+1] @ w_hh; before the first step, dh0 = da[0] @ w_hh.
    void step_back(const Work& work, long p) {
        const long H = config_.H, size = work.share.size;
        const bool last = p == call_.T - 1;
        const Rows<S> after{last ? nullptr : da(work.chunk, work.direction, p + 1, work.share.begin), da_row(), size, 0};
        const Panels<S>& panels = packed(work).state;
        const auto step_back_by = [&](long panel, long count, long next) {
            const long column = panels[panel].column, width = count * panels.width(panel);
            S* sums = work.sums + column * size;
            const S* from = sums;
            long stride = width;
            const long columns = std::min(width, H - column);
            if (last)
                from = call_.dstate_n[0] + final_row(work) * H + column, stride = H;
            else if (size == 1)
                multiply_row<S>(panels, panel, count,
                                {.row = after.data, .from = nullptr, .to = sums, .to_stride = panels.width(panel)});
            else
                multiply_panel<S>(panels, panel, {
                    .rows = after,
                    .count = size,
                    .from = nullptr,
                    .from_stride = 0,
                    .to = sums,
                    .to_stride = width,
                    .next = next,
                });
            if constexpr (Net::kGated) {
                if (p >= 0)
                    finish_units(work, p, column, columns, from, stride);
                else
                    finish_first(work, column, columns, from, stride);
            } else {
                if (p >= 0)
                    finish(work, p, column, columns, from, stride);
                else
                    copy_rows(from, stride, size, columns, call_.dstate[0] + final_row(work) * H + column, H);
            }
        };
        for_each_unit(panels,
                      {.begin = work.panel_begin, .end = work.panel_end, .together = size == 1, .backwards = p % 2 != 0},
                      step_back_by);
    }

    long final_row(const Work& work) const {
        return (work.layer * config_.D + work.direction) * call_.B + work.share.begin;
    }

    // The address of a column of the work's sequences in a layer's output.
    long output_at(const Work& work, long p, long column) const {
        const long t = time_of(work.direction, p, call_.T);
        return (t * call_.B + work.share.begin) * output_row() + work.direction * config_.H + column;
    }
    long output_row() const { return config_.D * config_.H; }
    const S* output(int layer) const { return call_.outputs[static_cast<std::size_t>(layer)].data; }

    void finish(const Work& work, long p, long column, long columns, const S* sums, long stride) const {
        const long at = output_at(work, p, column), row = output_row();
        const bool more = exceeds_caches_ && p > 0;
        const long ahead = (work.direction == 0 ? 1 : -1) * call_.B * row;
        const S* dy = output_gradient(work.layer) + at;
        const S* y = output(work.layer) + at;
        S* to = da(work.chunk, work.direction, p, work.share.begin) + column;
        for (long r = 0; r < work.share.size; ++r) {
            if (more)
                for (const S* from : {dy, y}) prefetch(from + r * row - ahead, columns);
            for (long j = 0; j < columns; j += kLanes<S>) {
                const long count = columns - j;
                const Vector<S> dh = load_first(dy + r * row + j, count) + load_first(sums + r * stride + j, count);
                const Vector<S> h = load_first(y + r * row + j, count);
                store_first<S>(to + r * config_.H + j, dh * Cell::template slope<S>(h), count);
            }
        }
    }

    // What a vector of units hands to the step before beside da (dc of an LSTM): a vector a sequence of the share.
    S* carried_of(const Work& work, long unit) const {
        return work.sums + sums_scratch_ + unit * work.share.size * kLanes<S>;
    }

    // da of the p-th step for some columns, from sums (rows, columns), which lie `stride` apart.
    void finish_units(const Work& work, long p, long column, long columns, const S* sums, long stride) {
        constexpr long lanes = kLanes<S>, saved_row = Cell::kSaved * lanes;
        const long H = config_.H, rows = work.share.size, row = output_row();
        const long index = work.layer * config_.D + work.direction, units = network_.unit_vectors();
        const S* dy = output_gradient(work.layer) + output_at(work, p, column);
        const S* after = Cell::kStates > 1 && p == call_.T - 1 ? call_.dstate_n[1] + final_row(work) * H + column : nullptr;
        S* to = da(work.chunk, work.direction, p, work.share.begin) + column;
        const long dy_ahead = (work.direction == 0 ? -1 : 1) * call_.B * row, saved_ahead = -units * call_.B * saved_row;
        const bool more = exceeds_caches_ && p > 0;
        for (long j = 0; j < columns; j += lanes) {
            const long unit = (column + j) / lanes, count = columns - j;
            const S* saved =
                call_.saved + (((index * call_.T + p) * units + unit) * call_.B + work.share.begin) * saved_row;
            S* carried = carried_of(work, unit);
            for (long r = 0; r < rows; ++r) {
                if (more) prefetch(saved + r * saved_row + saved_ahead, saved_row);
                if (more) prefetch(dy + r * row + j + dy_ahead, 1);
                std::array<Vector<S>, Cell::kSaved> known;
                std::array<Vector<S>, Cell::kStored> d;
                each<Cell::kSaved>([&](auto k) { known[k] = load(saved + r * saved_row + static_cast<long>(k) * lanes); });
                const Vector<S> dh = load_first(dy + r * row + j, count) + load_first(sums + r * stride + j, count);
                Vector<S> kept{};
                if (p < call_.T - 1)
                    kept = load(carried + r * lanes);
                else if (after != nullptr)
                    kept = load_first(after + r * H + j, count);
                Cell::template backward<S>(known, dh, kept, d);
                store(carried + r * lanes, kept);
                each<Cell::kStored>(
                    [&](auto k) { store_first<S>(to + r * da_row() + static_cast<long>(k) * H + j, d[k], count); });
            }
        }
    }

    // The gradients of the states that the first step starts from, for some columns.
    void finish_first(const Work& work, long column, long columns, const S* sums, long stride) {
        constexpr long lanes = kLanes<S>;
        const long H = config_.H;
        for (long j = 0; j < columns; j += lanes) {
            const S* carried = carried_of(work, (column + j) / lanes);
            for (long r = 0; r < work.share.size; ++r) {
                const long at = (final_row(work) + r) * H + column + j, count = columns - j;
                Vector<S> dh = load_first(sums + r * stride + j, count);
                const Vector<S> kept = load(carried + r * lanes);
                if constexpr (Cell::kStates > 1)
                    store_first<S>(call_.dstate[1] + at, kept, count);
                else
                    dh += kept;
                store_first<S>(call_.dstate[0] + at, dh, count);
            }
        }
    }

    static void copy_rows(const S* from, long from_stride, long rows, long columns, S* to, long to_stride) {
        for (long r = 0; r < rows; ++r) copy(from + r * from_stride, columns, to + r * to_stride);
    }

    // dx = da @ w_ih, summed over directions, for the part's share of the time steps.
    RNN_PHASE void multiply_input(const Work& work, int part) {
        const Share steps = share_of(work.chunk.end - work.chunk.begin, part, parts_);
        const long begin = work.chunk.begin + steps.begin, end = begin + steps.size;
        const long size = work.share.size;
        const long I = config_.layer_input(work.layer);
        S* dx = work.layer == 0 ? call_.dx : between(work.layer - 1);
        if (dx == nullptr) return;
        const long at_once = std::max(1L, kRows / size);
        thread_local Buffer<S> buffer;
        S* sums = buffer.reserve(at_once * size * kBlockVectors * kLanes<S>);
        for (long t = begin; t < end; t += at_once) {
            const long count = std::min(at_once, end - t);
            const Panels<S>& panels = packed(work).input;
            for_each_unit(panels, {.begin = 0, .end = panels.count()}, [&](long panel, long, long next) {
                const long column = panels[panel].column, width = panels.width(panel);
                S* result = dx + (t * call_.B + work.share.begin) * I + column;
                // The product writes into dx itself where the panel has no padding and its rows have one stride.
                const bool straight = config_.D == 1 && size == call_.B && width <= I - column;
                S* to = straight ? result : sums;
                const long stride = straight ? I : width;
                for (int direction = 0; direction < config_.D; ++direction) {
                    const long p = time_of(direction, t, call_.T);
                    const Rows<S> rows{da(work.chunk, direction, p, work.share.begin) + Net::kApart * config_.H,
                                       da_row(), size, (direction == 0 ? 1 : -1) * call_.B * da_row()};
                    multiply_panel<S>(network_.backward(work.layer, direction).input, panel, {
                        .rows = rows,
                        .count = count * size,
                        .from = direction == 0 ? nullptr : to,
                        .from_stride = stride,
                        .to = to,
                        .to_stride = stride,
                        .next = next,
                    });
                }
                for (long i = 0; !straight && i < count; ++i)
                    copy_rows(sums + i * size * width, width, size, std::min(width, I - column),
                              result + i * call_.B * I, I);
            });
        }
    }

    void multiply_weights(int layer, const Chunk& chunk, int part) {
        if (call_.gradients.empty()) return;
        const int direction = static_cast<int>(part / (block_count() * columns_));
        const WeightBlock& block = blocks_[static_cast<std::size_t>(part / columns_ % block_count())];
        Sequence<const S> x = call_.x;
        if (layer > 0) {
            const Sequence<S>& below = call_.outputs[static_cast<std::size_t>(layer - 1)];
            x = {below.data, below.step, below.row};
        }
        const Sequence<S>& y = call_.outputs[static_cast<std::size_t>(layer)];
        const long index = layer * config_.D + direction;
        const S* h0 = call_.h0 == nullptr ? nullptr : call_.h0 + index * call_.B * config_.H;
        const ProductRows<S> factors{direction, call_.T, call_.B, config_.H, exceeds_caches_, chunk.begin, chunk.end,
                                     da(chunk, direction, chunk.begin, 0), da_row(), x,
                                     {y.data + direction * config_.H, y.step, y.row}, h0};
        WeightProducts<S>(factors, config_.layer_input(layer), block, part % columns_, columns_,
                          network_.product_scratch.data() + part * sums_size_)
            .run(chunk.end == call_.T, chunk.begin == 0, call_.gradients[static_cast<std::size_t>(index)]);
    }

    Net& network_;
    const Config& config_;
    const BackwardCall<S>& call_;
    const Plan plan_;
    const int parts_;
    const bool exceeds_caches_;  // x, y and their gradients
    long threads_, chunk_steps_, chunks_, steps_per_barrier_, sums_scratch_, direction_scratch_, columns_, sums_size_;
    int product_parts_;
    std::vector<WeightBlock> blocks_;
    S *da_, *between_;
    std::deque<Team> teams_, products_;  // neither copied nor moved
};

}  // namespace rnn
