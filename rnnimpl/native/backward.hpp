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
#include "vector_math.hpp"

namespace rnn {

template <class S>
struct BackwardCall {
    const Batch& batch;
    Sequence<const S> x{};
    const S* h0{};                       // (L*D, B, H), or null for zeros
    std::vector<Sequence<S>> outputs{};  // y of each layer, from the forward pass
    const S* saved{};                    // what else the forward pass has saved
    const S* dy{};                       // (T, B, D*H)
    std::array<const S*, 2> dstate_n{};  // of h_n and, of cells with two states, c_n: (L*D, B, H)
    S* dx{};                             // (T, B, I), or null where nobody asks for it
    std::array<S*, 2> dstate{};          // (L*D, B, H)
    std::vector<LayerGradients<S>> gradients{};  // of each layer in each direction; none where nobody asks for them
};

template <class S, class Cell>
class Backward {
  public:
    using Net = Network<S, Cell>;

    Backward(Net& network, const BackwardCall<S>& call)
        : network_(network),
          config_(network.config),
          batch_(call.batch),
          call_(call),
          plan_(make_plan<S, Cell>(network, call.batch, false)),
          parts_(config_.D * plan_.members),
          exceeds_caches_(network.exceeds_caches(call.batch.total)),
          threads_(plan_.threads > 1 || product_cycles() > 4 * kWakingCycles ? config_.threads : 1),
          blocks_(weight_blocks<Cell>(config_.H, kProductRows, threads_ > 1 ? 2L * threads_ / config_.D : 1)),
          // With fewer blocks of rows than threads, the columns are divided among threads too.
          columns_(std::clamp(threads_ / (config_.D * block_count()), 1L,
                              WeightProducts<S>::panel_count(config_.layer_input(0), config_.H))),
          product_parts_(static_cast<int>(config_.D * block_count() * columns_)),
          sums_size_(WeightProducts<S>::sums_size(config_.H, most_inputs(), largest_block(), columns_)),
          product_depth_(WeightProducts<S>::depth(sums_size_)),
          chunks_(batch_, 0, 1, rows_at_once(), std::min(2L, batch_.T), batch_.T),
          all_rows_(batch_, 0, 1) {
        const long rows = (batch_.B + plan_.teams - 1) / plan_.teams;
        for (int team = 0; plan_.teams > 1 && team < plan_.teams; ++team) rows_.emplace_back(batch_, team, plan_.teams);
        steps_per_barrier_ = plan_.members > 1 ? 1 : std::max(1L, kRows / rows);
        sums_scratch_ = rows * network_.backward(0, 0).state.padded();
        direction_scratch_ = sums_scratch_ + (Net::kGated ? rows * network_.unit_vectors() * kLanes<S> : 0);
        network_.team_scratch.reserve(direction_scratch_ * config_.D * plan_.teams);
        const long da_size = config_.D * chunks_.most_rows() * da_row();
        const long between_size = config_.L > 1 ? 2 * batch_.T * batch_.B * config_.D * config_.H : 0;
        da_ = network_.layer_scratch.reserve(da_size + between_size);
        between_ = da_ + da_size;
        network_.product_scratch.reserve(product_parts_ * sums_size_);
        for (long i = 0; i < config_.L * chunks_.count(); ++i) {
            const Chunk chunk = chunk_of(i % chunks_.count());
            for (int team = 0; team < plan_.teams; ++team) teams_.emplace_back(barriers(chunk) + 1, parts_, threads_);
            products_.emplace_back(1, product_parts_, threads_);
        }
    }

    void run() {
        Pool::shared().run(static_cast<int>(threads_), [this](int thread) {
            for (long i = config_.L * chunks_.count() - 1; i >= 0; --i) {
                const int layer = static_cast<int>(i / chunks_.count());
                const Chunk chunk = chunk_of(i % chunks_.count());
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
    static constexpr long kProductRows = 512;  // of a weight's gradient at once
    static constexpr long kShareOfSecond = 4;  // one part in so many of the second-level cache is for da

    // Cycles of the products of all weight gradients on one thread, at one vector a cycle.
    double product_cycles() const {
        double cycles = 0;
        for (int layer = 0; layer < config_.L; ++layer)
            cycles += static_cast<double>(config_.D * batch_.total * Cell::kGates * config_.H) *
                      static_cast<double>(config_.layer_input(layer) + config_.H) / kLanes<S>;
        return cycles;
    }

  public:
    // A chunk of steps: after it come the large products, while da and their other factors are still in the cache.
    struct Chunk {
        long begin, end;
    };

  private:
    Chunk chunk_of(long index) const { return {chunks_.begin(index), chunks_.end(index)}; }

    // The rows of a chunk. It has two steps at least: da of a single step would be written where that of the step after
    // it is still read.
    long rows_at_once() const {
        // Of unequal lengths the reverse direction has more rows with each step, of which da would be written where that
        // of the step after is still read. Helpers who come for the products alone come once.
        if ((config_.D > 1 && !batch_.equal()) || threads_ > plan_.threads) return batch_.T * batch_.B;
        const long rows =
            static_cast<long>(Caches::here().second / (kShareOfSecond * sizeof(S))) / (config_.D * da_row());
        return std::max(plan_.teams * std::max(rows, WeightProducts<S>::kLeastDepth), product_depth_);
    }

    long barriers(const Chunk& chunk) const {
        return (chunk.end - chunk.begin + steps_per_barrier_ - 1) / steps_per_barrier_;
    }

  public:
    struct Work {
        int layer, direction;
        Chunk chunk;
        const TeamRows& rows;  // sequences
        S* sums;
        long panel_begin, panel_end;
    };

  private:
    void step(int layer, const Chunk& chunk, int team, long step, int part) {
        const int direction = part / plan_.members, member = part % plan_.members;
        const long panels = network_.backward(layer, direction).state.count();
        const Work work{
            .layer = layer,
            .direction = direction,
            .chunk = chunk,
            .rows = plan_.teams > 1 ? rows_[static_cast<std::size_t>(team)] : all_rows_,
            .sums = network_.team_scratch.data() + (team * config_.D + direction) * direction_scratch_,
            .panel_begin = panels * member / plan_.members,
            .panel_end = panels * (member + 1) / plan_.members,
        };
        if (step == barriers(chunk)) {
            if (chunk.begin == 0) rnn_phase_recurrence_back(*this, work, 0, -1);
            rnn_phase_input_gradient(*this, work, part);
            return;
        }
        const long end = chunk.end - step * steps_per_barrier_;
        rnn_phase_recurrence_back(*this, work, end, std::max(chunk.begin, end - steps_per_barrier_));
    }

    const PackedBackward<S>& packed(const Work& work) const { return network_.backward(work.layer, work.direction); }

    // Gradients of a step's sums and sequence: H of each, one sum after the other.
    long da_row() const { return Cell::kStored * config_.H; }

    long most_inputs() const { return std::max(config_.layer_input(0), config_.layer_input(config_.L - 1)); }

    long largest_block() const {
        long largest = 0;
        for (const WeightBlock& block : blocks_) largest = std::max(largest, block.size);
        return largest;
    }

    long block_count() const { return static_cast<long>(blocks_.size()); }

    // da of one direction for the steps of a chunk, in the order in which the direction runs through time, of a row of
    // the whole batch; the last step of the previous chunk stays readable until its place is overwritten.
    S* da(const Chunk& chunk, int direction, long p, long row) const {
        const long before =
            p < chunk.end ? all_rows_.before(direction, p) - all_rows_.before(direction, chunk.begin) : 0;
        return da_ + (direction * chunks_.most_rows() + before + row) * da_row();
    }

    // The distance of da of a team's neighbouring rows.
    long da_stride(const Work& work) const { return work.rows.every() * da_row(); }

    // The gradient of a layer's output (T, B, D*H): dy for the last layer, else dx of the layer above.
    const S* output_gradient(int layer) const {
        return layer == config_.L - 1 ? call_.dy : between(layer);
    }
    S* between(int layer) const { return between_ + layer % 2 * (batch_.T * batch_.B * config_.D * config_.H); }

  public:
    // Steps back from the p-th step, which is done, to the step `end`.
    [[gnu::always_inline]] void recur_back(const Work& work, long p, long end) {
        while (p > end) step_back(work, --p);
    }

  private:
    // da[p] from dh[p] = dy[p] + da[p+1] @ w_hh. Of rows whose last step is p, it is dh[p] = dy[p] + dh_n; of rows whose
    // first step is p+1, dh0 = da[p+1] @ w_hh.
    void step_back(const Work& work, long p) {
        const long H = config_.H, size = work.rows.size();
        const long here = work.rows.at(work.direction, p), after = work.rows.at(work.direction, p + 1);
        if (here == 0 && after == 0) return;
        const Rows<S> of_after{after == 0 ? nullptr : da(work.chunk, work.direction, p + 1, work.rows.row(0)),
                               da_stride(work), after, 0};
        const Panels<S>& panels = packed(work).state;
        const auto step_back_by = [&](long panel, long count, long next) {
            const long column = panels[panel].column, width = count * panels.width(panel);
            S* sums = work.sums + column * size;
            const long columns = std::min(width, H - column);
            if (after == 1)
                multiply_row<S>(panels, panel, count,
                                {.row = of_after.data, .from = nullptr, .to = sums, .to_stride = panels.width(panel)});
            else if (after > 1)
                multiply_panel<S>(panels, panel, {
                    .rows = of_after,
                    .count = after,
                    .from = nullptr,
                    .from_stride = 0,
                    .to = sums,
                    .to_stride = width,
                    .next = next,
                });
            const Sums found{sums, width, after, column, columns};
            if constexpr (Net::kGated) {
                finish_units(work, p, here, found);
                finish_first(work, here, found);
            } else {
                finish(work, p, here, found);
                for (long r = here; r < after; ++r) copy(found.row(r), columns, state(work, call_.dstate[0], r) + column);
            }
        };
        for_each_unit(panels,
                      {.begin = work.panel_begin, .end = work.panel_end, .together = after <= 1, .backwards = p % 2 != 0},
                      step_back_by);
    }

    // The sums da[p+1] @ w_hh of the rows that have that step, for some columns.
    struct Sums {
        const S* data;
        long stride, rows, column, columns;
        const S* row(long r) const { return data + r * stride; }
    };

    // A row of a state (L*D, B, H).
    template <class Number>
    Number* state(const Work& work, Number* of_all, long r) const {
        return of_all + ((work.layer * config_.D + work.direction) * batch_.B + work.rows.sequence(r)) * config_.H;
    }

    // What dh of a row is beside dy: its sums, or dh_n where the row ends here.
    const S* handed_back(const Work& work, const Sums& sums, long r) const {
        return r < sums.rows ? sums.row(r) : state(work, call_.dstate_n[0], r) + sums.column;
    }

    // The place of a column of the first sequence in a layer's output.
    long output_at(const Work& work, long p, long column) const {
        const long t = time_of(work.direction, p, batch_.T);
        return batch_.place(t, 0) * output_row() + work.direction * config_.H + column;
    }
    long output_row() const { return config_.D * config_.H; }
    const S* output(int layer) const { return call_.outputs[static_cast<std::size_t>(layer)].data; }

    // da of the p-th step of the first `rows` rows, for some columns.
    void finish(const Work& work, long p, long rows, const Sums& sums) const {
        if (rows == 0) return;
        const bool more = exceeds_caches_ && p > 0;
        const long ahead = (work.direction == 0 ? 1 : -1) * batch_.B * output_row();
        const long first = output_at(work, p, sums.column);
        S* to = da(work.chunk, work.direction, p, work.rows.row(0)) + sums.column;
        for (long r = 0; r < rows; ++r, to += da_stride(work)) {
            const long at = first + work.rows.sequence(r) * output_row();
            const S* dy = output_gradient(work.layer) + at;
            const S* y = output(work.layer) + at;
            const S* handed = handed_back(work, sums, r);
            if (more)
                for (const S* from : {dy, y}) prefetch(from - ahead, sums.columns);
            for (long j = 0; j < sums.columns; j += kLanes<S>) {
                const long count = sums.columns - j;
                const Vector<S> dh = load_first(dy + j, count) + load_first(handed + j, count);
                const Vector<S> h = load_first(y + j, count);
                store_first<S>(to + j, dh * Cell::template slope<S>(h), count);
            }
        }
    }

    // What a vector of units hands to the step before beside da (dc of an LSTM): a vector for each of the team's rows.
    S* carried_of(const Work& work, long unit) const {
        return work.sums + sums_scratch_ + unit * work.rows.size() * kLanes<S>;
    }

    // da of the p-th step of the first `rows` rows, for some columns.
    void finish_units(const Work& work, long p, long rows, const Sums& sums) {
        constexpr long lanes = kLanes<S>, saved_row = Cell::kSaved * lanes;
        const long H = config_.H, row = output_row();
        const long index = work.layer * config_.D + work.direction, units = network_.unit_vectors();
        const long dy_ahead = (work.direction == 0 ? -1 : 1) * batch_.B * row;
        if (rows == 0) return;
        const bool more = exceeds_caches_ && p > 0;
        const S* first = output_gradient(work.layer) + output_at(work, p, sums.column);
        S* const first_to = da(work.chunk, work.direction, p, work.rows.row(0)) + sums.column;
        const long to_stride = da_stride(work);
        for (long j = 0; j < sums.columns; j += lanes) {
            const long unit = (sums.column + j) / lanes, count = sums.columns - j;
            S* to = first_to + j;
            const long place = all_rows_.place(index, work.direction, p, unit, units);
            const S* of_unit = call_.saved + place * saved_row;
            const long saved_ahead =
                more ? (all_rows_.place(index, work.direction, p - 1, unit, units) - place) * saved_row : 0;
            S* carried = carried_of(work, unit);
            for (long r = 0; r < rows; ++r, to += to_stride) {
                const S* saved = of_unit + work.rows.row(r) * saved_row;
                const S* dy = first + work.rows.sequence(r) * row + j;
                if (more) prefetch(saved + saved_ahead, saved_row);
                if (more) prefetch(dy + dy_ahead, 1);
                std::array<Vector<S>, Cell::kSaved> known;
                std::array<Vector<S>, Cell::kStored> d;
                each<Cell::kSaved>([&](auto k) { known[k] = load(saved + static_cast<long>(k) * lanes); });
                const Vector<S> dh = load_first(dy, count) + load_first(handed_back(work, sums, r) + j, count);
                Vector<S> kept{};
                if (r < sums.rows)
                    kept = load(carried + r * lanes);
                else if constexpr (Cell::kStates > 1)
                    kept = load_first(state(work, call_.dstate_n[1], r) + sums.column + j, count);
                Cell::template backward<S>(known, dh, kept, d);
                store(carried + r * lanes, kept);
                each<Cell::kStored>([&](auto k) { store_first<S>(to + static_cast<long>(k) * H, d[k], count); });
            }
        }
    }

    // The gradients of the states that the rows from `first` on start from, for some columns.
    void finish_first(const Work& work, long first, const Sums& sums) {
        constexpr long lanes = kLanes<S>;
        for (long j = 0; j < sums.columns; j += lanes) {
            const S* carried = carried_of(work, (sums.column + j) / lanes);
            for (long r = first; r < sums.rows; ++r) {
                const long at = sums.column + j, count = sums.columns - j;
                Vector<S> dh = load_first(sums.row(r) + j, count);
                const Vector<S> kept = load(carried + r * lanes);
                if constexpr (Cell::kStates > 1)
                    store_first<S>(state(work, call_.dstate[1], r) + at, kept, count);
                else
                    dh += kept;
                store_first<S>(state(work, call_.dstate[0], r) + at, dh, count);
            }
        }
    }

  public:
    // dx = da @ w_ih, summed over directions, for the part's share of the times at which the chunk has steps.
    [[gnu::always_inline]] void multiply_input(const Work& work, int part) {
        S* dx = work.layer == 0 ? call_.dx : between(work.layer - 1);
        if (dx == nullptr) return;
        for (const Times& times : times_of(work.chunk)) {
            const long end = share_begins(work, times, part + 1);
            for (long t = share_begins(work, times, part); t < end;) {
                long count = 1;
                while (t + count < end && work.rows.before(0, t + count + 1) - work.rows.before(0, t) <= kRows) ++count;
                multiply_input_at(work, {t, t + count, times.first, times.last, times.added}, dx);
                t += count;
            }
        }
    }

  private:
    // Times at which the directions from `first` to `last` have a step in a chunk. `added`: to dx of the other
    // direction, which had its step in an earlier chunk.
    struct Times {
        long begin, end;
        int first, last;
        bool added;
    };

    // All times of a chunk. Two directions have the same steps in it and run from opposite ends: where only one has its
    // step here, dx is that of one in the first half of the chunks, and is added to the other's in the second half.
    std::array<Times, 3> times_of(const Chunk& chunk) const {
        if (config_.D == 1) return {Times{chunk.begin, chunk.end, 0, 0, false}};
        const long reverse_begin = batch_.T - chunk.end, reverse_end = batch_.T - chunk.begin;
        const bool forward_late = chunk.begin > reverse_begin, added = !forward_late;
        const auto [early, late] = std::minmax(chunk.begin, reverse_begin);
        const auto [early_end, late_end] = std::minmax(chunk.end, reverse_end);
        const long both_end = std::max(late, early_end);
        return {Times{early, std::min(late, early_end), forward_late, forward_late, added},
                Times{late, both_end, 0, 1, false},
                Times{both_end, late_end, !forward_late, !forward_late, added}};
    }

    // The time at which a part's share begins; shares have about the same rows.
    long share_begins(const Work& work, const Times& times, int part) const {
        const long count = times.end - times.begin;
        if (batch_.equal() || part == 0 || part == parts_) return times.begin + count * part / parts_;
        const long before = work.rows.before(0, times.begin), rows = work.rows.before(0, times.end) - before;
        return work.rows.step_of(0, before + rows * part / parts_);
    }

    // dx of some times.
    [[gnu::always_inline]] void multiply_input_at(const Work& work, const Times& times, S* dx) {
        const long I = config_.layer_input(work.layer), t = times.begin, count = times.end - times.begin;
        const long size = work.rows.size(), rows = work.rows.before(0, t + count) - work.rows.before(0, t);
        thread_local Buffer<S> buffer;
        S* sums = buffer.reserve(rows * kBlockVectors * kLanes<S>);
        const auto result = [&](long time, long r) { return dx + batch_.place(time, work.rows.sequence(r)) * I; };
        // In the padding dx is zero; that of a layer above is not read there.
        for (long time = t; work.layer == 0 && !times.added && time < t + count; ++time)
            work.rows.each_padded(time, [&](long first, long padded) { clear(dx + (time * batch_.B + first) * I, padded * I); });
        if (rows == 0) return;
        thread_local std::vector<const S*> tables[2];
        std::array<Rows<S>, 2> of_direction;
        for (int direction = times.first; direction <= times.last; ++direction)
            of_direction[static_cast<std::size_t>(direction)] = da_rows(work, direction, t, count, tables[direction]);
        // The product writes into dx itself where the panel has no padding and its rows have one stride.
        const bool one_stride = batch_.equal() && times.first == times.last && size == batch_.B;
        const Panels<S>& panels = packed(work).input;
        for_each_unit(panels, {.begin = 0, .end = panels.count()}, [&](long panel, long, long next) {
            const long column = panels[panel].column, width = panels.width(panel), columns = std::min(width, I - column);
            const bool straight = one_stride && width == columns;
            S* to = straight ? result(t, 0) + column : sums;
            const long stride = straight ? I : width;
            const auto each_result = [&](auto&& use) {
                S* sum = sums;
                for (long time = t; time < t + count; ++time)
                    for (long r = 0; r < work.rows.at(0, time); ++r, sum += width) use(sum, result(time, r) + column);
            };
            if (times.added && !straight) each_result([&](S* sum, S* known) { copy(known, columns, sum); });
            for (int direction = times.first; direction <= times.last; ++direction)
                multiply_panel<S>(network_.backward(work.layer, direction).input, panel, {
                    .rows = of_direction[static_cast<std::size_t>(direction)],
                    .count = rows,
                    .from = direction > times.first || times.added ? to : nullptr,
                    .from_stride = stride,
                    .to = to,
                    .to_stride = stride,
                    .next = next,
                });
            if (!straight) each_result([&](S* sum, S* known) { copy(sum, columns, known); });
        });
    }

    // da of a direction for `count` times from `t` on, without the sums that are the state's alone.
    Rows<S> da_rows(const Work& work, int direction, long t, long count, std::vector<const S*>& table) const {
        const auto at = [&](long time, long r) {
            return da(work.chunk, direction, time_of(direction, time, batch_.T), work.rows.row(r)) + Net::kApart * config_.H;
        };
        if (batch_.equal())
            return {at(t, 0), da_row(), work.rows.size(), (direction == 0 ? 1 : -1) * batch_.B * da_row()};
        table.clear();
        for (long time = t; time < t + count; ++time)
            for (long r = 0; r < work.rows.at(0, time); ++r) table.push_back(at(time, r));
        return {table.front(), 0, 0, 0, table.data()};
    }

    void multiply_weights(int layer, const Chunk& chunk, int part) {
        if (call_.gradients.empty()) return;
        const int direction = static_cast<int>(part / (block_count() * columns_));
        const WeightBlock& block = blocks_[static_cast<std::size_t>(part / columns_ % block_count())];
        Sequence<const S> x = call_.x;
        if (layer > 0) {
            const Sequence<S>& below = call_.outputs[static_cast<std::size_t>(layer - 1)];
            x = {below.data, below.step, below.row, below.packed};
        }
        const Sequence<S>& y = call_.outputs[static_cast<std::size_t>(layer)];
        const long index = layer * config_.D + direction;
        const S* h0 = call_.h0 == nullptr ? nullptr : call_.h0 + index * batch_.B * config_.H;
        const ProductRows<S> factors{direction, batch_.T, config_.H, all_rows_, exceeds_caches_, chunk.begin, chunk.end,
                                     da(chunk, direction, chunk.begin, 0), da_row(), x,
                                     {y.data + direction * config_.H, y.step, y.row, y.packed}, h0};
        WeightProducts<S> products(factors, config_.layer_input(layer), block, part % columns_, columns_,
                                   product_depth_, network_.product_scratch.data() + part * sums_size_);
        rnn_phase_weight_gradients(products, chunk.end == batch_.T, chunk.begin == 0,
                                   call_.gradients[static_cast<std::size_t>(index)]);
    }

    Net& network_;
    const Config& config_;
    const Batch& batch_;
    const BackwardCall<S>& call_;
    const Plan plan_;
    const int parts_;
    const bool exceeds_caches_;  // x, y and their gradients
    const long threads_;
    const std::vector<WeightBlock> blocks_;
    const long columns_;
    const int product_parts_;
    const long sums_size_, product_depth_;
    const Chunks chunks_;
    const TeamRows all_rows_;
    std::vector<TeamRows> rows_;  // of each team; none where one team has all
    long steps_per_barrier_, sums_scratch_, direction_scratch_;
    S *da_, *between_;
    std::deque<Team> teams_, products_;  // neither copied nor moved
};

}  // namespace rnn
