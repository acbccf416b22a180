// The forward pass: for each layer, the input projection of a few steps at a time, then those steps.
#pragma once

#include <array>
#include <deque>
#include <vector>

#include "network.hpp"
#include "plan.hpp"
#include "pool.hpp"
#include "team.hpp"
#include "vector_math.hpp"

namespace rnn {

// Rows of the projection computed at once: enough to reuse each packed weight often, and to leave w_hh in the second-level
// cache for many steps; few enough to stay in that cache themselves.
inline constexpr long kProjectionRows = 128;

// Vectors that go through the nonlinearity side by side. Processors with vectors of 512 bits look far enough ahead to
// begin with the next one by themselves, and what the next step reads first is there earlier.
inline constexpr std::size_t kTogether = kVectorBytes == 64 ? 1 : 4;
// Rows whose gates go through the nonlinearity side by side; the gates of a row are several vectors already.
inline constexpr std::size_t kRowsTogether = 2;

template <class S>
struct ForwardCall {
    const Batch& batch;
    Sequence<const S> x{};
    std::array<const S*, 2> state{};     // h0 and, of cells with two states, c0: (L*D, B, H), or null for zeros
    std::vector<Sequence<S>> outputs{};  // y of each layer, (T, B, D*H)
    S* saved{};                          // (L*D, T, vectors of units, rows, kSaved vectors) for the backward pass, or null
    std::array<S*, 2> final_state{};     // (L*D, B, H)
};

// A team's sequences, and the steps that it takes.
struct RowsAndSteps {
    RowsAndSteps(const Batch& batch, int team, const Plan& plan, long barriers, int parts)
        : rows(batch, team, plan.teams), steps(barriers, parts, plan.threads) {}
    TeamRows rows;
    Team steps;
};

template <class S, class Cell>
class Forward {
  public:
    using Net = Network<S, Cell>;

    Forward(Net& network, const ForwardCall<S>& call)
        : network_(network),
          config_(network.config),
          batch_(call.batch),
          call_(call),
          plan_(make_plan<S, Cell>(network, call.batch, true)),
          phases_(plan_.threads > 1 && plan_.members == 1 && !plan_.layers_apart ? 2 : 1),
          parts_(plan_.layers_apart ? config_.L : config_.D * plan_.members * phases_),
          exceeds_caches_(network.exceeds_caches(call.batch.total)),
          all_rows_(batch_, 0, 1) {
        const long rows = (batch_.B + plan_.teams - 1) / plan_.teams;
        const long most = plan_.layers_apart ? batch_.T / kWaves : batch_.T;
        for (int direction = 0; direction < config_.D; ++direction) {
            Chunks& chunks = chunks_[static_cast<std::size_t>(direction)];
            chunks = Chunks(batch_, direction, plan_.teams, kProjectionRows, 1L, most);
            chunk_rows_ = std::max(chunk_rows_, chunks.most_rows());
            const long steps = plan_.members > 1 ? batch_.T : chunks.count() + phases_ - 1;
            barriers_per_layer_ = std::max(barriers_per_layer_, steps);
        }
        const long barriers =
            plan_.layers_apart ? barriers_per_layer_ + config_.L - 1 : barriers_per_layer_ * config_.L;
        row_width_ = Net::kGated ? network_.unit_vectors() * Net::kUnitWidth : network_.forward(0, 0).state.padded();
        projection_size_ = chunk_rows_ * row_width_;
        part_scratch_ = phases_ * projection_size_ + (Net::kGated ? network_.unit_vectors() * kLanes<S> * rows : 0);
        network_.team_scratch.reserve(part_scratch_ * sequential_parts() * plan_.teams);
        for (int team = 0; team < plan_.teams; ++team) teams_.emplace_back(batch_, team, plan_, barriers, parts_);
    }

    void run() {
        Pool::shared().run(plan_.threads, [this](int thread) {
            const int preferred = thread / plan_.teams * phases_ % parts_;
            // A thread whose team is done helps the other teams.
            for (int i = 0; i < plan_.teams; ++i) {
                const int team = (thread + i) % plan_.teams;
                teams_[static_cast<std::size_t>(team)].steps.run(
                    preferred, [&](long step, int part) { this->step(team, step, part); });
            }
        });
    }

    // The work of one part of a step.
    struct Work {
        int layer, direction;
        const TeamRows& rows;  // sequences
        S* projection;
        S* memory;  // of all rows, where units keep something from step to step
        long begin, end;  // units of work: panels, or vectors of units with all their gates
        long chunk_begin, chunk_end;  // steps that are projected at once
        bool one_row;  // at every step of the chunk
    };

  private:
    void step(int team, long step, int part) {
        const int layer = plan_.layers_apart ? part : static_cast<int>(step / barriers_per_layer_);
        const int direction = plan_.layers_apart ? 0 : part / (parts_ / config_.D);
        const long at = plan_.layers_apart ? step - part : step % barriers_per_layer_;
        const Chunks& chunks = chunks_[static_cast<std::size_t>(direction)];
        if (plan_.members > 1) {
            const Work work = work_of(team, layer, direction, part % plan_.members, chunks.of(at));
            if (at == work.chunk_begin) rnn_phase_projection(*this, work);
            return recur_and_keep(work, at, at + 1);
        }
        const bool projects = phases_ == 1 || part % phases_ == 1, recurs = phases_ == 1 || part % phases_ == 0;
        const long chunk = projects ? at : at - 1;
        // Directions may have different numbers of chunks.
        if (chunk < 0 || chunk >= chunks.count()) return;
        const Work work = work_of(team, layer, direction, 0, chunk);
        if (projects) rnn_phase_projection(*this, work);
        if (recurs) recur_and_keep(work, work.chunk_begin, work.chunk_end);
    }

    Work work_of(int team, int layer, int direction, int member, long chunk) {
        const Chunks& chunks = chunks_[static_cast<std::size_t>(direction)];
        const TeamRows& rows = teams_[static_cast<std::size_t>(team)].rows;
        const int sequential = plan_.layers_apart ? layer : direction;
        const Share units = share_of(network_.forward(layer, direction).state.units(), member, plan_.members);
        const long begin = chunks.begin(chunk), end = chunks.end(chunk);
        S* const scratch = network_.team_scratch.data() + (team * sequential_parts() + sequential) * part_scratch_;
        return {
            .layer = layer,
            .direction = direction,
            .rows = rows,
            .projection = scratch + chunk % phases_ * projection_size_,
            .memory = scratch + phases_ * projection_size_,
            .begin = units.begin,
            .end = units.begin + units.size,
            .chunk_begin = begin,
            .chunk_end = end,
            .one_row = std::max(rows.at(direction, begin), rows.at(direction, end - 1)) == 1,
        };
    }

    void recur_and_keep(const Work& work, long first, long last) {
        rnn_phase_recurrence(*this, work, first, last);
        if (last == batch_.T) keep_last(work);
    }

    // The number of projections of a team: one for each layer or direction that runs at the same time.
    int sequential_parts() const { return plan_.layers_apart ? config_.L : config_.D; }

    const PackedForward<S>& packed(const Work& work) const { return network_.forward(work.layer, work.direction); }

    Sequence<const S> input_of(int layer) const {
        if (layer == 0) return call_.x;
        const Sequence<S>& below = call_.outputs[static_cast<std::size_t>(layer - 1)];
        return {below.data, below.step, below.row, below.packed};
    }

    Sequence<S> output(const Work& work) const {
        Sequence<S> y = call_.outputs[static_cast<std::size_t>(work.layer)];
        y.data += work.direction * config_.H;
        return y;
    }

    // The width of a unit of work in a row of sums, and its first column there.
    long width(const Work& work, long unit) const {
        return Net::kGated ? Net::kUnitWidth : packed(work).state.width(unit);
    }
    long sums_begin(const Work& work, long unit) const {
        return Net::kGated ? unit * Net::kUnitWidth : packed(work).state[unit].column;
    }
    // The first column of a unit of work in the state.
    long column(const Work& work, long unit) const {
        return Net::kGated ? unit * kLanes<S> : packed(work).state[unit].column;
    }

    // The sums of a unit of work at step p. They are stored unit by unit, with one row a step row by row.
    S* sums_of(const Work& work, long unit, long p) const {
        const long begin = sums_begin(work, unit);
        const long row = work.rows.before(work.direction, p) - work.rows.before(work.direction, work.chunk_begin);
        if (work.one_row) return work.projection + row * row_width_ + begin;
        return work.projection + begin * chunk_rows_ + row * width(work, unit);
    }

  public:
    // x @ w_ih.T + b for the steps of the chunk.
    [[gnu::always_inline]] void project(const Work& work) {
        const Sequence<const S> x = input_of(work.layer);
        const long p = work.chunk_begin, steps = work.chunk_end - p, sign = work.direction == 0 ? 1 : -1;
        const long count = work.rows.before(work.direction, work.chunk_end) - work.rows.before(work.direction, p);
        if (count == 0) return;
        const Rows<S> rows = inputs(work, x);
        const Panels<S>& input = packed(work).input;
        const bool more = exceeds_caches_ && work.chunk_end + steps <= batch_.T;
        for_each_unit(input, {.begin = work.begin, .end = work.end}, [&](long unit, long, long next) {
            const Share columns = share_of(input.depth(), unit - work.begin, work.end - work.begin);
            const S* bias = packed(work).bias.data() + input[unit * input.per_unit()].column;
            S* sums = sums_of(work, unit, p);
            const long stride = work.one_row ? row_width_ : width(work, unit);
            multiply_unit<S>(input, unit, {
                .rows = rows,
                .count = count,
                .from = bias,
                .from_stride = 0,
                .to = sums + Net::kApart * kLanes<S>,
                .to_stride = stride,
                .next = next,
                .ahead = more ? Ahead{sign * steps * x.step, columns.begin, columns.size} : Ahead{},
            });
            if constexpr (Net::kApart > 0) {
                const Vector<S> of_state = load(packed(work).state_bias.data() + unit * kLanes<S>);
                for (long row = 0; row < count; ++row) store(sums + row * stride, of_state);
            }
        });
    }

  private:
    // The rows of x at the steps of the chunk, one step after another.
    Rows<S> inputs(const Work& work, const Sequence<const S>& x) const {
        const long p = work.chunk_begin, size = work.rows.size(), sign = work.direction == 0 ? 1 : -1;
        const auto at = [&](long step, long i) {
            return x.at(time_of(work.direction, step, batch_.T), work.rows.sequence(i));
        };
        if (batch_.equal()) return {at(p, 0), x.row, size, sign * x.step};
        std::vector<const S*>& table = row_table();
        for (long step = p; step < work.chunk_end; ++step)
            for (long i = 0; i < work.rows.at(work.direction, step); ++i) table.push_back(at(step, i));
        return {table.front(), 0, 0, 0, table.data()};
    }

    // An empty table for the addresses of the rows of one product.
    static std::vector<const S*>& row_table() {
        thread_local std::vector<const S*> table;
        table.clear();
        return table;
    }

  public:
    // The states after the steps from `p` to `end`.
    [[gnu::always_inline]] void recur(const Work& work, long p, long end) {
        for (; p < end; ++p) step_forward(work, p);
    }

  private:
    // The state after the p-th step from the one before.
    void step_forward(const Work& work, long p) {
        if (work.rows.at(work.direction, p) == 0) return;
        const Rows<S> before = state_before(work, p);
        const Sequence<S> y = output(work);
        // The distance from the state before this step to the output of the next step.
        const long distance = (work.direction == 0 ? 2 : -2) * y.step;
        const bool more = exceeds_caches_ && p + 1 < batch_.T;
        const Panels<S>& state = packed(work).state;
        const long rows = work.rows.at(work.direction, p);
        const Units units{.begin = work.begin, .end = work.end, .together = work.one_row, .backwards = p % 2 != 0};
        for_each_unit(state, units, [&](long unit, long count, long next) {
            S* sums = sums_of(work, unit, p);
            const long each = width(work, unit), begin = column(work, unit);
            const long columns = std::min(config_.H - begin, Net::kGated ? kLanes<S> : each);
            if (before.data != nullptr && rows == 1)
                multiply_row<S>(state, unit, count, {.row = before.data, .from = sums, .to = sums, .to_stride = each});
            else if (before.data != nullptr)
                multiply_unit<S>(state, unit, {
                    .rows = before,
                    .count = rows,
                    .from = sums,
                    .from_stride = each,
                    .to = sums,
                    .to_stride = each,
                    .next = next,
                    .ahead = more ? Ahead{distance, begin, columns} : Ahead{},
                });
            if constexpr (Net::kGated)
                for (long i = 0; i < count; ++i) finish_unit(work, p, unit + i, sums + i * each);
            else
                finish(sums, count * each, rows, outputs_of(work, p), begin);
        });
    }

    // The outputs at the p-th step.
    struct Outputs {
        S* data;
        long row;
        const TeamRows& rows;
        S* operator[](long i) const { return data + rows.sequence(i) * row; }
    };

    Outputs outputs_of(const Work& work, long p) const {
        const Sequence<S> y = output(work);
        return {y.at(time_of(work.direction, p, batch_.T), 0), y.row, work.rows};
    }

    // The state that the p-th step starts from; null data are zeros.
    Rows<S> state_before(const Work& work, long p) const {
        const long size = work.rows.at(work.direction, p), going_on = work.rows.at(work.direction, p - 1);
        const S* h0 = call_.state[0];
        if (going_on == 0 && h0 == nullptr) return {nullptr, 0, size, 0};
        const Sequence<S> y = output(work);
        const auto row = [&](long i) {
            if (i < going_on) return static_cast<const S*>(outputs_of(work, p - 1)[i]);
            return h0 == nullptr ? network_.zeros() : h0 + final_row(work, i) * config_.H;
        };
        if (batch_.equal()) return {row(0), p > 0 ? y.row : config_.H, size, 0};
        std::vector<const S*>& table = row_table();
        for (long i = 0; i < size; ++i) table.push_back(row(i));
        return {size > 0 ? table.front() : nullptr, 0, 0, 0, table.data()};
    }

    // The place of the work's i-th row in a state (L*D*B, H).
    long final_row(const Work& work, long i) const {
        return (work.layer * config_.D + work.direction) * batch_.B + work.rows.sequence(i);
    }

    // Applies the nonlinearity to sums (rows, width) and writes those of units into the outputs from a column on.
    void finish(const S* sums, long width, long rows, const Outputs& outputs, long column) const {
        const long columns = config_.H - column;
        long j = 0, row = 0;
        S* to = outputs[0] + column;
        const auto finish_some = [&]<std::size_t N>(Vectors<S, N> a) {
            each<N>([&](auto i) { a[i] = load(sums + static_cast<long>(i) * kLanes<S>); });
            Cell::template activate<S, N>(a);
            sums += N * kLanes<S>;
            for (std::size_t i = 0; i < N; ++i) {
                store_first<S>(to + j, a[i], columns - j);
                j += kLanes<S>;
                if (j == width && ++row < rows) j = 0, to = outputs[row] + column;
            }
        };
        const S* end = sums + rows * width;
        while (end - sums >= static_cast<long>(kTogether) * kLanes<S>) finish_some(Vectors<S, kTogether>{});
        while (sums < end) finish_some(Vectors<S, 1>{});
    }

    // What a unit keeps from step to step beside its output (c of an LSTM): a vector for each of the team's rows.
    S* memory_of(const Work& work, long unit) const {
        return work.memory + unit * work.rows.size() * kLanes<S>;
    }

    // The output and the memory of a vector of units after the p-th step, from the sums of its gates, row by row.
    void finish_unit(const Work& work, long p, long unit, const S* sums) {
        constexpr long lanes = kLanes<S>, saved_row = Cell::kSaved * lanes;
        const long H = config_.H, rows = work.rows.at(work.direction, p), columns = H - unit * lanes;
        const long going_on = work.rows.at(work.direction, p - 1);
        const Outputs to = outputs_of(work, p);
        S* memory = memory_of(work, unit);
        const S* first = call_.state[Cell::kStates - 1];
        S* saved = call_.saved;
        if (saved != nullptr) {
            const long index = work.layer * config_.D + work.direction;
            saved += all_rows_.place(index, work.direction, p, unit, network_.unit_vectors()) * saved_row;
        }
        const auto finish_rows = [&]<std::size_t N>(long row, std::array<Vectors<S, N>, Cell::kStored> gates) {
            Vectors<S, N> kept, h;
            std::array<Vectors<S, N>, Cell::kSaved> to_save;
            const auto at = [row](std::size_t i) { return row + static_cast<long>(i); };
            each<Cell::kStored>([&](auto gate) {
                each<N>([&](auto i) { gates[gate][i] = load(sums + at(i) * Net::kUnitWidth + static_cast<long>(gate) * lanes); });
            });
            each<N>([&](auto i) {
                if (at(i) < going_on)
                    kept[i] = load(memory + at(i) * lanes);
                else if (first == nullptr)
                    kept[i] = Vector<S>{};
                else
                    kept[i] = load_first(first + final_row(work, at(i)) * H + unit * lanes, columns);
            });
            Cell::template forward<S, N>(gates, kept, h, to_save);
            each<N>([&](auto i) {
                store(memory + at(i) * lanes, kept[i]);
                store_first<S>(to[at(i)] + unit * lanes, h[i], columns);
            });
            if (saved == nullptr) return;
            each<N>([&](auto i) {
                S* own = saved + work.rows.row(at(i)) * saved_row;
                each<Cell::kSaved>([&](auto k) { store(own + static_cast<long>(k) * lanes, to_save[k][i]); });
            });
        };
        long row = 0;
        for (; row + static_cast<long>(kRowsTogether) <= rows; row += static_cast<long>(kRowsTogether))
            finish_rows(row, std::array<Vectors<S, kRowsTogether>, Cell::kStored>{});
        for (; row < rows; ++row) finish_rows(row, std::array<Vectors<S, 1>, Cell::kStored>{});
    }

    // The final states, from each sequence's own last step, and zeros for the padding of y.
    void keep_last(const Work& work) {
        if (work.begin == work.end) return;
        const long H = config_.H, last_unit = work.end - 1;
        const long begin = column(work, work.begin);
        const long width = Net::kGated ? kLanes<S> : packed(work).state.width(last_unit);
        const long end = std::min(H, column(work, last_unit) + width);
        const Sequence<S> y = output(work);
        for (long r = 0; r < work.rows.size(); ++r) {
            const S* last = y.at(work.direction == 0 ? work.rows.length(r) - 1 : 0, work.rows.sequence(r));
            copy(last + begin, end - begin, call_.final_state[0] + final_row(work, r) * H + begin);
            if constexpr (Cell::kStates > 1)
                for (long unit = work.begin; unit < work.end; ++unit) {
                    const long at = column(work, unit);
                    copy(memory_of(work, unit) + r * kLanes<S>, std::min(kLanes<S>, H - at),
                         call_.final_state[1] + final_row(work, r) * H + at);
                }
        }
        if (work.layer == config_.L - 1 && !batch_.equal()) clear_padding(work, y, begin, end);
    }

    // Zeros for the padding of y, from one column to another.
    void clear_padding(const Work& work, const Sequence<S>& y, long begin, long end) const {
        for (long t = 0; t < batch_.padded_T; ++t)
            work.rows.each_padded(t, [&](long first, long count) {
                if (end - begin == y.row) return clear(y.at(t, first), count * y.row);
                for (long sequence = first; sequence < first + count; ++sequence)
                    clear(y.at(t, sequence) + begin, end - begin);
            });
    }

    Net& network_;
    const Config& config_;
    const Batch& batch_;
    const ForwardCall<S>& call_;
    const Plan plan_;
    // Two where the projection of a chunk is a part of its own, in the step before that of the chunk's recurrence, so that a
    // thread whose team is done can take it; as many chunks have room for their projections.
    const int phases_;
    const int parts_;
    const bool exceeds_caches_;  // x and y
    long chunk_rows_ = 0, barriers_per_layer_ = 0, row_width_, projection_size_, part_scratch_;
    const TeamRows all_rows_;
    std::array<Chunks, 2> chunks_;  // of each direction
    std::deque<RowsAndSteps> teams_;  // neither copied nor moved
};

}  // namespace rnn
