// Backpropagation through time: for each layer from the last, the recurrence backwards, then the large products.
#pragma once

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
    const S* dy;                       // (T, B, D*H)
    const S* dh_n;                     // (L*D, B, H)
    S* dx;                             // (T, B, I)
    S* dh0;                            // (L*D, B, H)
    std::vector<CellGradients<S>> gradients;  // cell by cell
};

template <class S>
class Backward {
  public:
    Backward(Network<S>& network, const BackwardCall<S>& call)
        : network_(network),
          config_(network.config),
          call_(call),
          plan_(make_plan<S>(network, call.T, call.B, false)),
          parts_(config_.D * plan_.members) {
        const long rows = (call_.B + plan_.teams - 1) / plan_.teams;
        steps_per_meeting_ = plan_.members > 1 ? 1 : std::max(1L, kRows / rows);
        meetings_ = (call_.T + steps_per_meeting_ - 1) / steps_per_meeting_;
        direction_scratch_ = rows * network_.cell(0, 0).state_back.padded();
        network_.team_scratch.reserve(direction_scratch_ * config_.D * plan_.teams);
        const long cell_size = call_.T * call_.B * config_.H;
        da_ = network_.layer_scratch.reserve(cell_size * config_.D * (config_.L > 1 ? 3 : 1));
        between_ = da_ + cell_size * config_.D;
        threads_ = plan_.threads > 1 || product_cycles() > 4 * kWakingCycles ? config_.threads : 1;
        blocks_ = std::max((config_.H + kProductRows - 1) / kProductRows,
                           std::min(config_.H / kBlockRows / 8, 2L * threads_ / config_.D));
        blocks_ = std::max(1L, blocks_);
        // Too few rows for a block a thread: then threads have columns of their own as well.
        columns_ = std::clamp(threads_ / (config_.D * blocks_), 1L,
                              WeightProducts<S>::panel_count(config_.layer_input(0), config_.H));
        for (int layer = 0; layer < config_.L; ++layer) {
            for (int team = 0; team < plan_.teams; ++team) teams_.emplace_back(meetings_ + 1, parts_, threads_);
            products_.emplace_back(1, static_cast<int>(config_.D * blocks_ * columns_), threads_);
        }
    }

    void run() {
        Pool::shared().run(static_cast<int>(threads_), [this](int thread) {
            for (int layer = config_.L - 1; layer >= 0; --layer) {
                for (int i = 0; i < plan_.teams; ++i) {
                    const int team = (thread + i) % plan_.teams;
                    teams_[static_cast<std::size_t>(layer * plan_.teams + team)].run(
                        thread / plan_.teams % parts_,
                        [&](long step, int part) { this->step(layer, team, step, part); });
                }
                products_[static_cast<std::size_t>(layer)].run(
                    static_cast<int>(thread * config_.D * blocks_ * columns_ / threads_),
                    [&](long, int part) { this->multiply_weights(layer, part); });
            }
        });
    }

  private:
    static constexpr long kRows = 96;          // of dx at once, and of da between meetings
    static constexpr long kProductRows = 384;  // of a weight's gradient at once

    // Of all weight gradients, for one thread.
    double product_cycles() const {
        double cycles = 0;
        for (int layer = 0; layer < config_.L; ++layer)
            cycles += static_cast<double>(config_.D * call_.T * call_.B * config_.H) *
                      static_cast<double>(config_.layer_input(layer) + config_.H) / kLanes<S>;
        return cycles;
    }

    struct Work {
        int layer, direction, member;
        Share share;  // sequences
        S* sums;
        long panel_begin, panel_end;
    };

    void step(int layer, int team, long step, int part) {
        Work work;
        work.layer = layer;
        work.direction = part / plan_.members;
        work.member = part % plan_.members;
        work.share = share_of(call_.B, team, plan_.teams);
        work.sums = network_.team_scratch.data() + (team * config_.D + work.direction) * direction_scratch_;
        const long panels = cell(work).state_back.count();
        work.panel_begin = panels * work.member / plan_.members;
        work.panel_end = panels * (work.member + 1) / plan_.members;
        if (step == meetings_) {
            recur_back(work, 0, -1);
            multiply_input(work, part);
            return;
        }
        const long last = call_.T - 1 - step * steps_per_meeting_;
        recur_back(work, last + 1, std::max(0L, last + 1 - steps_per_meeting_));
    }

    const Cell<S>& cell(const Work& work) const { return network_.cell(work.layer, work.direction); }

    // da of one direction, in the order in which it runs through time.
    S* da(int direction, long p, long b) const {
        return da_ + ((direction * call_.T + p) * call_.B + b) * config_.H;
    }

    // Gradient of a layer's output, (T, B, D*H): given for the last one, else what the layer above sent back.
    const S* output_gradient(int layer) const {
        return layer == config_.L - 1 ? call_.dy : between(layer);
    }
    S* between(int layer) const { return between_ + layer % 2 * (call_.T * call_.B * config_.D * config_.H); }

    // The steps before the p-th, down to the one at `end`.
    RNN_PHASE void recur_back(const Work& work, long p, long end) {
        while (p > end) retreat(work, --p);
    }

    // da[p] = (dy[p] + da[p+1] @ w_hh) * f'(y[p]); before the first step, dh0 = da[0] @ w_hh.
    void retreat(const Work& work, long p) {
        const long H = config_.H, size = work.share.size;
        const bool last = p == call_.T - 1;
        const Rows<S> after{last ? nullptr : da(work.direction, p + 1, work.share.begin), H, size, 0};
        const Panels<S>& panels = cell(work).state_back;
        const auto retreat_by = [&](long panel, long count) {
            const long column = panels[panel].column, width = count * panels.width(panel);
            S* sums = work.sums + column * size;
            const S* from = sums;
            long stride = width, columns = H - column;
            if (last)
                from = call_.dh_n + final_row(work) * H + column, stride = H;
            else if (size == 1)
                multiply_row<S>(after.data, panels, panel, count, nullptr, sums);
            else
                multiply_panel<S>(after, size, panels, panel, nullptr, 0, sums, width);
            if (p >= 0)
                finish(work, p, column, std::min(width, columns), from, stride);
            else
                copy_rows(from, stride, size, std::min(width, columns), call_.dh0 + final_row(work) * H + column, H);
        };
        for_each_panel(panels, work.panel_begin, work.panel_end, size == 1, p % 2 != 0, retreat_by);
    }

    long final_row(const Work& work) const {
        return (work.layer * config_.D + work.direction) * call_.B + work.share.begin;
    }

    void finish(const Work& work, long p, long column, long columns, const S* sums, long stride) const {
        const long t = time_of(work.direction, p, call_.T), row = config_.D * config_.H;
        const long at = (t * call_.B + work.share.begin) * row + work.direction * config_.H + column;
        const S* dy = output_gradient(work.layer) + at;
        const S* y = call_.outputs[static_cast<std::size_t>(work.layer)].data + at;
        S* to = da(work.direction, p, work.share.begin) + column;
        for (long r = 0; r < work.share.size; ++r)
            for (long j = 0; j < columns; j += kLanes<S>) {
                const long count = columns - j;
                const Vector<S> dh = load_first(dy + r * row + j, count) + load_first(sums + r * stride + j, count);
                const Vector<S> h = load_first(y + r * row + j, count);
                store_first<S>(to + r * config_.H + j, dh * slope<S>(config_.nonlinearity, h), count);
            }
    }

    static void copy_rows(const S* from, long from_stride, long rows, long columns, S* to, long to_stride) {
        for (long r = 0; r < rows; ++r) copy(from + r * from_stride, columns, to + r * to_stride);
    }

    // dx = da @ w_ih, summed over directions, for the part's share of the time steps.
    RNN_PHASE void multiply_input(const Work& work, int part) {
        const Share steps = share_of(call_.T, part, parts_);
        const long size = work.share.size;
        const long I = config_.layer_input(work.layer);
        S* dx = work.layer == 0 ? call_.dx : between(work.layer - 1);
        const long at_once = std::max(1L, kRows / size);
        thread_local Buffer<S> buffer;
        S* sums = buffer.reserve(at_once * size * kBlockVectors * kLanes<S>);
        for (long t = steps.begin; t < steps.begin + steps.size; t += at_once) {
            const long count = std::min(at_once, steps.begin + steps.size - t);
            const Panels<S>& panels = cell(work).input_back;
            for (long panel = 0; panel < panels.count(); ++panel) {
                const long column = panels[panel].column, width = panels.width(panel);
                S* result = dx + (t * call_.B + work.share.begin) * I + column;
                // Straight into dx, where the panel's rows are whole and lie evenly apart.
                const bool straight = config_.D == 1 && size == call_.B && width <= I - column;
                S* to = straight ? result : sums;
                const long stride = straight ? I : width;
                for (int direction = 0; direction < config_.D; ++direction) {
                    const long p = time_of(direction, t, call_.T);
                    const Rows<S> rows{da(direction, p, work.share.begin), config_.H, size,
                                       (direction == 0 ? 1 : -1) * call_.B * config_.H};
                    multiply_panel<S>(rows, count * size, network_.cell(work.layer, direction).input_back, panel,
                                      direction == 0 ? nullptr : to, stride, to, stride);
                }
                if (straight) continue;
                for (long i = 0; i < count; ++i)
                    copy_rows(sums + i * size * width, width, size, std::min(width, I - column),
                              result + i * call_.B * I, I);
            }
        }
    }

    void multiply_weights(int layer, int part) {
        const int direction = static_cast<int>(part / (blocks_ * columns_));
        const long block = part / columns_ % blocks_, column = part % columns_;
        const Share rows = share_of(config_.H, block, blocks_);
        Sequence<const S> x = call_.x;
        if (layer > 0) {
            const Sequence<S>& below = call_.outputs[static_cast<std::size_t>(layer - 1)];
            x = {below.data, below.step, below.row};
        }
        const Sequence<S>& y = call_.outputs[static_cast<std::size_t>(layer)];
        const long index = layer * config_.D + direction;
        const S* h0 = call_.h0 == nullptr ? nullptr : call_.h0 + index * call_.B * config_.H;
        const ProductRows<S> factors{direction, call_.T, call_.B, config_.H, da(direction, 0, 0), x,
                                     {y.data + direction * config_.H, y.step, y.row}, h0};
        WeightProducts<S>(factors, config_.layer_input(layer), rows.begin, rows.size, column, columns_)
            .run(call_.gradients[static_cast<std::size_t>(index)]);
    }

    Network<S>& network_;
    const Config& config_;
    const BackwardCall<S>& call_;
    const Plan plan_;
    const int parts_;
    long threads_, steps_per_meeting_, meetings_, direction_scratch_, blocks_, columns_;
    S *da_, *between_;
    std::deque<Team> teams_, products_;  // neither copied nor moved
};

}  // namespace rnn
