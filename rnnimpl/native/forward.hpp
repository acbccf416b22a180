// The forward pass: for each layer, the input projection of a few steps at a time, then those steps.
#pragma once

#include <deque>
#include <vector>

#include "network.hpp"
#include "plan.hpp"
#include "pool.hpp"
#include "team.hpp"

namespace rnn {

// Rows of the projection computed at once: enough to reuse each packed weight often, few enough to stay in cache.
inline constexpr long kProjectionRows = 48;

// Vectors that go through the nonlinearity side by side. Processors with vectors of 512 bits look far enough ahead to
// begin with the next one by themselves, and what the next step reads first is there earlier.
inline constexpr std::size_t kTogether = kVectorBytes == 64 ? 1 : 4;

template <class S>
struct ForwardCall {
    long T, B;
    Sequence<const S> x;
    const S* h0;                       // (L*D, B, H), or null for zeros
    std::vector<Sequence<S>> outputs;  // y of each layer, (T, B, D*H)
    S* h_n;                            // (L*D, B, H)
};

template <class S>
class Forward {
  public:
    Forward(Network<S>& network, const ForwardCall<S>& call)
        : network_(network),
          config_(network.config),
          call_(call),
          plan_(make_plan<S>(network, call.T, call.B, true)),
          parts_(plan_.layers_apart ? config_.L : config_.D * plan_.members),
          far_(network.far(call.T, call.B)) {
        const long rows = (call_.B + plan_.teams - 1) / plan_.teams;
        const long most = plan_.layers_apart ? call_.T / kWaves : call_.T;
        chunk_ = std::min(most, std::max(1L, kProjectionRows / rows));
        steps_per_meeting_ = plan_.members > 1 ? 1 : chunk_;
        meetings_per_layer_ = (call_.T + steps_per_meeting_ - 1) / steps_per_meeting_;
        const long meetings =
            plan_.layers_apart ? meetings_per_layer_ + config_.L - 1 : meetings_per_layer_ * config_.L;
        part_scratch_ = chunk_ * rows * network_.cell(0, 0).state.padded();
        network_.team_scratch.reserve(part_scratch_ * sequential_parts() * plan_.teams);
        for (int team = 0; team < plan_.teams; ++team) teams_.emplace_back(meetings, parts_, plan_.threads);
    }

    void run() {
        Pool::shared().run(plan_.threads, [this](int thread) {
            // Those whose team is done help the others.
            for (int i = 0; i < plan_.teams; ++i) {
                const int team = (thread + i) % plan_.teams;
                teams_[static_cast<std::size_t>(team)].run(
                    thread / plan_.teams % parts_, [&](long step, int part) { this->step(team, step, part); });
            }
        });
    }

  private:
    // What a part works on.
    struct Work {
        int layer, direction, member;
        Share share;  // sequences
        S* projection;
        long panel_begin, panel_end;
    };

    void step(int team, long step, int part) {
        long meeting = step % meetings_per_layer_;
        Work work{static_cast<int>(step / meetings_per_layer_), part / plan_.members, part % plan_.members, {}, {}, 0, 0};
        if (plan_.layers_apart) {
            work = {part, 0, 0, {}, {}, 0, 0};
            meeting = step - part;
            if (meeting < 0 || meeting >= meetings_per_layer_) return;
        }
        work.share = share_of(call_.B, team, plan_.teams);
        const int sequential = plan_.layers_apart ? work.layer : work.direction;
        work.projection = network_.team_scratch.data() + (team * sequential_parts() + sequential) * part_scratch_;
        const long panels = cell(work).state.count();
        work.panel_begin = panels * work.member / plan_.members;
        work.panel_end = panels * (work.member + 1) / plan_.members;
        const long begin = meeting * steps_per_meeting_;
        const long end = std::min(call_.T, begin + steps_per_meeting_);
        for (long p = begin; p < end;) {
            const long within = p % chunk_, count = std::min(chunk_ - within, end - p);
            if (within == 0) project(work, p, std::min(chunk_, call_.T - p));
            recur(work, p, count);
            p += count;
        }
        if (end == call_.T) keep_last(work);
    }

    // Parts of a team that have a projection of their own; members of a direction share one.
    int sequential_parts() const { return plan_.layers_apart ? config_.L : config_.D; }

    const Cell<S>& cell(const Work& work) const { return network_.cell(work.layer, work.direction); }

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

    // Panel by panel, rows side by side; with one sequence, whole rows.
    S* projection_of(const Work& work, long panel, long p) const {
        const Panels<S>& state = cell(work).state;
        if (work.share.size == 1) return work.projection + p % chunk_ * state.padded() + state[panel].column;
        return work.projection + state[panel].column * chunk_ * work.share.size +
               p % chunk_ * work.share.size * state.width(panel);
    }

    // x @ w_ih.T + b for `count` steps from the p-th on.
    RNN_PHASE void project(const Work& work, long p, long count) {
        const Sequence<const S> x = input_of(work.layer);
        const long sign = work.direction == 0 ? 1 : -1;
        const Rows<S> rows{x.at(time_of(work.direction, p, call_.T), work.share.begin), x.row, work.share.size,
                           sign * x.step};
        const Panels<S>& input = cell(work).input;
        const bool more = far_ && p + 2 * chunk_ <= call_.T;
        for_each_panel(input, work.panel_begin, work.panel_end, false, false, [&](long panel, long, long next) {
            const Share columns = share_of(input.depth(), panel - work.panel_begin, work.panel_end - work.panel_begin);
            multiply_panel(rows, count * work.share.size, input, panel, cell(work).bias.data() + input[panel].column, 0,
                           projection_of(work, panel, p), work.share.size == 1 ? input.padded() : input.width(panel),
                           next, more ? Ahead{sign * chunk_ * x.step, columns.begin, columns.size} : Ahead{});
        });
    }

    // `count` steps from the p-th on.
    RNN_PHASE void recur(const Work& work, long p, long count) {
        for (const long end = p + count; p < end; ++p) advance(work, p);
    }

    // The state after the p-th step from the one before.
    void advance(const Work& work, long p) {
        const Rows<S> before = state_before(work, p);
        const Sequence<S> y = output(work);
        S* to = y.at(time_of(work.direction, p, call_.T), work.share.begin);
        // From the state before to what is written after this step.
        const long distance = (work.direction == 0 ? 2 : -2) * y.step;
        const bool more = far_ && p + 1 < call_.T;
        const Panels<S>& state = cell(work).state;
        const long rows = work.share.size;
        for_each_panel(state, work.panel_begin, work.panel_end, rows == 1, p % 2 != 0, [&](long panel, long count, long next) {
            S* sums = projection_of(work, panel, p);
            const long width = count * state.width(panel), column = state[panel].column;
            if (before.data != nullptr && rows == 1)
                multiply_row(before.data, state, panel, count, sums, sums);
            else if (before.data != nullptr)
                multiply_panel(before, rows, state, panel, sums, width, sums, width, next,
                               more ? Ahead{distance, column, std::min(width, config_.H - column)} : Ahead{});
            finish(sums, width, rows, to + column, y.row, config_.H - column);
        });
    }

    // The state that the p-th step starts from; null data are zeros.
    Rows<S> state_before(const Work& work, long p) const {
        const long size = work.share.size;
        if (p > 0) {
            const Sequence<S> y = output(work);
            return {y.at(time_of(work.direction, p - 1, call_.T), work.share.begin), y.row, size, 0};
        }
        if (call_.h0 == nullptr) return {nullptr, 0, size, 0};
        return {call_.h0 + final_row(work) * config_.H, config_.H, size, 0};
    }

    // Row of (L*D, B) at which the work's sequences begin in h0 and h_n.
    long final_row(const Work& work) const {
        return (work.layer * config_.D + work.direction) * call_.B + work.share.begin;
    }

    // The nonlinearity of sums (rows, width), into rows `stride` apart, of which only `columns` are there.
    void finish(const S* sums, long width, long rows, S* to, long stride, long columns) const {
        long j = 0;
        const auto finish_some = [&]<std::size_t N>(Vectors<S, N> a) {
            each<N>([&](auto i) { a[i] = load(sums + static_cast<long>(i) * kLanes<S>); });
            activate<S, N>(config_.nonlinearity, a);
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

    void keep_last(const Work& work) {
        const Panels<S>& state = cell(work).state;
        const long begin = state[work.panel_begin].column;
        const long end = std::min(config_.H, state[work.panel_end - 1].column + state.width(work.panel_end - 1));
        const Sequence<S> y = output(work);
        for (long r = 0; r < work.share.size; ++r) {
            const S* last = y.at(time_of(work.direction, call_.T - 1, call_.T), work.share.begin + r);
            copy(last + begin, end - begin, call_.h_n + (final_row(work) + r) * config_.H + begin);
        }
    }

    Network<S>& network_;
    const Config& config_;
    const ForwardCall<S>& call_;
    const Plan plan_;
    const int parts_;
    const bool far_;  // x and y
    long chunk_, steps_per_meeting_, meetings_per_layer_, part_scratch_;
    std::deque<Team> teams_;  // neither copied nor moved
};

}  // namespace rnn
