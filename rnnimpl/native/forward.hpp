// The forward pass: for each layer, the input projection of a few steps at a time, then those steps.
#pragma once

#include <array>
#include <deque>
#include <vector>

#include "network.hpp"
#include "plan.hpp"
#include "pool.hpp"
#include "team.hpp"

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
    long T, B;
    Sequence<const S> x;
    std::array<const S*, 2> state;     // h0 and, of cells with two states, c0: (L*D, B, H), or null for zeros
    std::vector<Sequence<S>> outputs;  // y of each layer, (T, B, D*H)
    S* saved;                          // (L*D, T, vectors of units, B, kSaved vectors) for the backward pass, or null
    std::array<S*, 2> final_state;     // (L*D, B, H)
};

template <class S, class Cell>
class Forward {
  public:
    using Net = Network<S, Cell>;

    Forward(Net& network, const ForwardCall<S>& call)
        : network_(network),
          config_(network.config),
          call_(call),
          plan_(make_plan<S, Cell>(network, call.T, call.B, true)),
          parts_(plan_.layers_apart ? config_.L : config_.D * plan_.members),
          exceeds_caches_(network.exceeds_caches(call.T, call.B)) {
        const long rows = (call_.B + plan_.teams - 1) / plan_.teams;
        const long most = plan_.layers_apart ? call_.T / kWaves : call_.T;
        chunk_ = std::min(most, std::max(1L, kProjectionRows / rows));
        steps_per_barrier_ = plan_.members > 1 ? 1 : chunk_;
        barriers_per_layer_ = (call_.T + steps_per_barrier_ - 1) / steps_per_barrier_;
        const long barriers =
            plan_.layers_apart ? barriers_per_layer_ + config_.L - 1 : barriers_per_layer_ * config_.L;
        row_width_ = Net::kGated ? network_.unit_vectors() * Net::kUnitWidth : network_.forward(0, 0).state.padded();
        projection_size_ = chunk_ * rows * row_width_;
        part_scratch_ = projection_size_ + (Net::kGated ? network_.unit_vectors() * kLanes<S> * rows : 0);
        network_.team_scratch.reserve(part_scratch_ * sequential_parts() * plan_.teams);
        for (int team = 0; team < plan_.teams; ++team) teams_.emplace_back(barriers, parts_, plan_.threads);
    }

    void run() {
        Pool::shared().run(plan_.threads, [this](int thread) {
            // A thread whose team is done helps the other teams.
            for (int i = 0; i < plan_.teams; ++i) {
                const int team = (thread + i) % plan_.teams;
                teams_[static_cast<std::size_t>(team)].run(
                    thread / plan_.teams % parts_, [&](long step, int part) { this->step(team, step, part); });
            }
        });
    }

  private:
    // The work of one part of a step.
    struct Work {
        int layer, direction, member;
        Share share;  // sequences
        S* projection;
        long begin, end;  // units of work: panels, or vectors of units with all their gates
    };

    void step(int team, long step, int part) {
        long barrier = step % barriers_per_layer_;
        Work work{static_cast<int>(step / barriers_per_layer_), part / plan_.members, part % plan_.members, {}, {}, 0, 0};
        if (plan_.layers_apart) {
            work = {part, 0, 0, {}, {}, 0, 0};
            barrier = step - part;
            if (barrier < 0 || barrier >= barriers_per_layer_) return;
        }
        work.share = share_of(call_.B, team, plan_.teams);
        const int sequential = plan_.layers_apart ? work.layer : work.direction;
        work.projection = network_.team_scratch.data() + (team * sequential_parts() + sequential) * part_scratch_;
        const Share units = share_of(packed(work).state.units(), work.member, plan_.members);
        work.begin = units.begin;
        work.end = units.begin + units.size;
        const long begin = barrier * steps_per_barrier_;
        const long end = std::min(call_.T, begin + steps_per_barrier_);
        for (long p = begin; p < end;) {
            const long within = p % chunk_, count = std::min(chunk_ - within, end - p);
            if (within == 0) project(work, p, std::min(chunk_, call_.T - p));
            recur(work, p, count);
            p += count;
        }
        if (end == call_.T) keep_last(work);
    }

    // The number of projections of a team: one for each layer or direction that runs at the same time.
    int sequential_parts() const { return plan_.layers_apart ? config_.L : config_.D; }

    const PackedForward<S>& packed(const Work& work) const { return network_.forward(work.layer, work.direction); }

    Sequence<const S> input_of(int layer) const {
        if (layer == 0) return call_.x;
        const Sequence<S>& below = call_.outputs[static_cast<std::size_t>(layer - 1)];
        return {below.data, below.step, below.row};
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

    // The sums of a unit of work at step p. They are stored unit by unit, with one sequence row by row.
    S* sums_of(const Work& work, long unit, long p) const {
        const long begin = sums_begin(work, unit), size = work.share.size;
        if (size == 1) return work.projection + p % chunk_ * row_width_ + begin;
        return work.projection + begin * chunk_ * size + p % chunk_ * size * width(work, unit);
    }

    // x @ w_ih.T + b for `count` steps from the p-th on.
    RNN_PHASE void project(const Work& work, long p, long count) {
        const Sequence<const S> x = input_of(work.layer);
        const long sign = work.direction == 0 ? 1 : -1, size = work.share.size;
        const Rows<S> rows{x.at(time_of(work.direction, p, call_.T), work.share.begin), x.row, size, sign * x.step};
        const Panels<S>& input = packed(work).input;
        const bool more = exceeds_caches_ && p + 2 * chunk_ <= call_.T;
        for_each_unit(input, {.begin = work.begin, .end = work.end}, [&](long unit, long, long next) {
            const Share columns = share_of(input.depth(), unit - work.begin, work.end - work.begin);
            const S* bias = packed(work).bias.data() + input[unit * input.per_unit()].column;
            S* sums = sums_of(work, unit, p);
            const long stride = size == 1 ? row_width_ : width(work, unit);
            multiply_unit<S>(input, unit, {
                .rows = rows,
                .count = count * size,
                .from = bias,
                .from_stride = 0,
                .to = sums + Net::kApart * kLanes<S>,
                .to_stride = stride,
                .next = next,
                .ahead = more ? Ahead{sign * chunk_ * x.step, columns.begin, columns.size} : Ahead{},
            });
            if constexpr (Net::kApart > 0) {
                const Vector<S> of_state = load(packed(work).state_bias.data() + unit * kLanes<S>);
                for (long row = 0; row < count * size; ++row) store(sums + row * stride, of_state);
            }
        });
    }

    // The states after `count` steps from the p-th on.
    RNN_PHASE void recur(const Work& work, long p, long count) {
        for (const long end = p + count; p < end; ++p) step_forward(work, p);
    }

    // The state after the p-th step from the one before.
    void step_forward(const Work& work, long p) {
        const Rows<S> before = state_before(work, p);
        const Sequence<S> y = output(work);
        // The distance from the state before this step to the output of the next step.
        const long distance = (work.direction == 0 ? 2 : -2) * y.step;
        const bool more = exceeds_caches_ && p + 1 < call_.T;
        const Panels<S>& state = packed(work).state;
        const long rows = work.share.size;
        const Units units{.begin = work.begin, .end = work.end, .together = rows == 1, .backwards = p % 2 != 0};
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
                finish(sums, count * each, rows, y.at(time_of(work.direction, p, call_.T), work.share.begin) + begin,
                       y.row, config_.H - begin);
        });
    }

    // The state that the p-th step starts from; null data are zeros.
    Rows<S> state_before(const Work& work, long p) const {
        const long size = work.share.size;
        if (p > 0) {
            const Sequence<S> y = output(work);
            return {y.at(time_of(work.direction, p - 1, call_.T), work.share.begin), y.row, size, 0};
        }
        const S* h0 = call_.state[0];
        if (h0 == nullptr) return {nullptr, 0, size, 0};
        return {h0 + final_row(work) * config_.H, config_.H, size, 0};
    }

    // The first row of the work's sequences in a state (L*D*B, H).
    long final_row(const Work& work) const {
        return (work.layer * config_.D + work.direction) * call_.B + work.share.begin;
    }

    // Applies the nonlinearity to sums (rows, width) and writes the first `columns` of each into rows `stride` apart.
    void finish(const S* sums, long width, long rows, S* to, long stride, long columns) const {
        long j = 0;
        const auto finish_some = [&]<std::size_t N>(Vectors<S, N> a) {
            each<N>([&](auto i) { a[i] = load(sums + static_cast<long>(i) * kLanes<S>); });
            Cell::template activate<S, N>(a);
            sums += N * kLanes<S>;
            for (std::size_t i = 0; i < N; ++i) {
                store_first<S>(to + j, a[i], columns - j);
                j += kLanes<S>;
                if (j == width) j = 0, to += stride;
            }
        };
        const S* end = sums + rows * width;
        while (end - sums >= static_cast<long>(kTogether) * kLanes<S>) finish_some(Vectors<S, kTogether>{});
        while (sums < end) finish_some(Vectors<S, 1>{});
    }

    // What a unit keeps from step to step beside its output (c of an LSTM): a vector for each sequence of the share.
    S* memory_of(const Work& work, long unit) const {
        return work.projection + projection_size_ + unit * work.share.size * kLanes<S>;
    }

    // The output and the memory of a vector of units after the p-th step, from the sums of its gates, row by row.
    void finish_unit(const Work& work, long p, long unit, const S* sums) {
        constexpr long lanes = kLanes<S>, saved_row = Cell::kSaved * lanes;
        const long H = config_.H, rows = work.share.size, columns = H - unit * lanes;
        const Sequence<S> y = output(work);
        S* to = y.at(time_of(work.direction, p, call_.T), work.share.begin) + unit * lanes;
        S* memory = memory_of(work, unit);
        const S* first = p == 0 ? call_.state[Cell::kStates - 1] : nullptr;
        if (first != nullptr) first += final_row(work) * H + unit * lanes;
        S* saved = call_.saved;
        if (saved != nullptr) {
            const long index = work.layer * config_.D + work.direction;
            saved += (((index * call_.T + p) * network_.unit_vectors() + unit) * call_.B + work.share.begin) * saved_row;
        }
        const auto finish_rows = [&]<std::size_t N>(long row, std::array<Vectors<S, N>, Cell::kStored> gates) {
            Vectors<S, N> kept, h;
            std::array<Vectors<S, N>, Cell::kSaved> to_save;
            const auto at = [row](std::size_t i) { return row + static_cast<long>(i); };
            each<Cell::kStored>([&](auto gate) {
                each<N>([&](auto i) { gates[gate][i] = load(sums + at(i) * Net::kUnitWidth + static_cast<long>(gate) * lanes); });
            });
            each<N>([&](auto i) {
                if (p > 0)
                    kept[i] = load(memory + at(i) * lanes);
                else
                    kept[i] = first == nullptr ? Vector<S>{} : load_first(first + at(i) * H, columns);
            });
            Cell::template forward<S, N>(gates, kept, h, to_save);
            each<N>([&](auto i) {
                store(memory + at(i) * lanes, kept[i]);
                store_first<S>(to + at(i) * y.row, h[i], columns);
            });
            if (saved == nullptr) return;
            each<N>([&](auto i) {
                each<Cell::kSaved>([&](auto k) { store(saved + at(i) * saved_row + static_cast<long>(k) * lanes, to_save[k][i]); });
            });
        };
        long row = 0;
        for (; row + static_cast<long>(kRowsTogether) <= rows; row += static_cast<long>(kRowsTogether))
            finish_rows(row, std::array<Vectors<S, kRowsTogether>, Cell::kStored>{});
        for (; row < rows; ++row) finish_rows(row, std::array<Vectors<S, 1>, Cell::kStored>{});
    }

    void keep_last(const Work& work) {
        if (work.begin == work.end) return;
        const long H = config_.H, last_unit = work.end - 1;
        const long begin = column(work, work.begin);
        const long width = Net::kGated ? kLanes<S> : packed(work).state.width(last_unit);
        const long end = std::min(H, column(work, last_unit) + width);
        const Sequence<S> y = output(work);
        for (long r = 0; r < work.share.size; ++r) {
            const S* last = y.at(time_of(work.direction, call_.T - 1, call_.T), work.share.begin + r);
            copy(last + begin, end - begin, call_.final_state[0] + (final_row(work) + r) * H + begin);
            if constexpr (Cell::kStates > 1)
                for (long unit = work.begin; unit < work.end; ++unit) {
                    const long at = column(work, unit);
                    copy(memory_of(work, unit) + r * kLanes<S>, std::min(kLanes<S>, H - at),
                         call_.final_state[1] + (final_row(work) + r) * H + at);
                }
        }
    }

    Net& network_;
    const Config& config_;
    const ForwardCall<S>& call_;
    const Plan plan_;
    const int parts_;
    const bool exceeds_caches_;  // x and y
    long chunk_, steps_per_barrier_, barriers_per_layer_, row_width_, projection_size_, part_scratch_;
    std::deque<Team> teams_;  // neither copied nor moved
};

}  // namespace rnn
