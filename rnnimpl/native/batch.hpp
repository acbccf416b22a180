// Which sequences of a batch have a step, when their lengths are unequal: no step that is padding is computed.
#pragma once

#include <algorithm>
#include <numeric>
#include <vector>

namespace rnn {

// The time index of the p-th step of a direction, of T steps.
inline long time_of(int direction, long p, long T) { return direction == 0 ? p : T - 1 - p; }

// The sequences of a batch as rows, the longest first: those that have a step are the first rows, at every step. Both
// directions run through the same times, so that the rows of a step are at one time; the reverse direction takes a
// sequence in at its own last step. With equal lengths the rows are the sequences as they come.
class Batch {
  public:
    // `lengths`, from 1 to `padded_T`, or null where all sequences have all steps. `packed`: arrays hold the rows of all
    // steps one after another, the longest sequence first, and no padding; else T rows of B.
    Batch(const long* lengths, long padded_T, long B, bool packed = false)
        : T(padded_T), padded_T(padded_T), B(B), total(padded_T * B), packed(packed) {
        if (lengths == nullptr) return;
        order_.resize(static_cast<std::size_t>(B));
        std::iota(order_.begin(), order_.end(), 0L);
        std::stable_sort(order_.begin(), order_.end(), [&](long a, long b) { return lengths[a] > lengths[b]; });
        for (long sequence : order_) lengths_.push_back(lengths[sequence]);
        T = lengths_.front();
        total = std::accumulate(lengths_.begin(), lengths_.end(), 0L);
        for (long t = 0, row = 0, rows = B; packed && t < T; row += rows, ++t) {
            while (length(rows - 1) <= t) --rows;
            begins_.push_back(row);
        }
    }

    bool equal() const { return order_.empty(); }
    long sequence(long row) const { return equal() ? row : order_[static_cast<std::size_t>(row)]; }
    long length(long row) const { return equal() ? T : lengths_[static_cast<std::size_t>(row)]; }
    // The row of a sequence at a time in arrays of the caller, and of what lies between layers.
    long place(long t, long sequence) const { return (packed ? begins_[static_cast<std::size_t>(t)] : t * B) + sequence; }
    // The rows of such an array.
    long rows() const { return packed ? total : padded_T * B; }
    // The mean number of rows of a step, rounded up.
    long mean_rows() const { return (total + T - 1) / T; }

    long T;         // steps of the longest sequence
    long padded_T;  // steps of the arrays
    long B, total;  // sequences, and steps of all of them
    bool packed;

  private:
    std::vector<long> order_, lengths_;  // of each row; empty with equal lengths
    std::vector<long> begins_;           // the first row of each step; empty unless packed
};

// The rows of one of several teams. With unequal lengths a team takes every so many rows, so that all teams have about
// the same rows at every step.
class TeamRows {
  public:
    TeamRows(const Batch& batch, long team, long teams) : batch_(&batch) {
        begin_ = batch.equal() ? batch.B * team / teams : team;
        every_ = batch.equal() ? 1 : teams;
        size_ = batch.equal() ? batch.B * (team + 1) / teams - begin_ : (batch.B - team + teams - 1) / teams;
        if (batch.equal()) return;
        before_.assign(static_cast<std::size_t>(batch.T + 1), 0);
        for (long i = 0; i < size_; ++i) ++before_[static_cast<std::size_t>(length(i))];
        // From the number of rows that end before a time to the number that have it, to the sum over earlier times.
        long rows = size_, sum = 0;
        for (long& each : before_) {
            rows -= each;
            each = sum;
            sum += rows;
        }
    }

    long size() const { return size_; }
    // The distance of neighbours among the rows of the whole batch, and the place of the i-th row there.
    long every() const { return every_; }
    long row(long i) const { return begin_ + i * every_; }
    long sequence(long i) const { return batch_->sequence(row(i)); }
    long length(long i) const { return batch_->length(row(i)); }

    // The number of rows that have the p-th step of a direction; 0 before the first step and after the last.
    long at(int direction, long p) const {
        if (p < 0 || p >= batch_->T) return 0;
        if (before_.empty()) return size_;
        const auto t = static_cast<std::size_t>(time_of(direction, p, batch_->T));
        return before_[t + 1] - before_[t];
    }

    // Where a vector of units of the first row begins at the p-th step, in an array (layers, steps, units, rows).
    long place(long layer, int direction, long p, long unit, long units) const {
        return (layer * before(direction, batch_->T) + before(direction, p)) * units + unit * at(direction, p);
    }

    // The number of rows of all steps before the p-th.
    long before(int direction, long p) const {
        if (before_.empty()) return p * size_;
        if (direction == 0) return before_[static_cast<std::size_t>(p)];
        return before_.back() - before_[static_cast<std::size_t>(batch_->T - p)];
    }

    // Calls `use(first, count)` for the sequences whose padding has a time, so many side by side at once.
    template <class Use>
    void each_padded(long t, Use&& use) const {
        if (batch_->packed) return;
        for (long i = at(0, t), count = 0; i < size_; i += count) {
            const long first = sequence(i);
            for (count = 1; i + count < size_ && sequence(i + count) == first + count;) ++count;
            use(first, count);
        }
    }

    // The step that has a row, of the rows of all steps one after another.
    long step_of(int direction, long row) const {
        if (before_.empty()) return row / size_;
        if (direction != 0) return batch_->T - 1 - step_of(0, before_.back() - 1 - row);
        return std::upper_bound(before_.begin(), before_.end(), row) - before_.begin() - 1;
    }

  private:
    const Batch* batch_;
    long begin_, every_, size_;
    std::vector<long> before_;  // rows of all earlier times; empty with equal lengths
};

// Steps of a direction in chunks: each has as many steps as have at most `rows` rows in any of the teams, but from
// `least` to `most` steps.
class Chunks {
  public:
    Chunks() = default;
    Chunks(const Batch& batch, int direction, long teams, long rows, long least, long most) : T_(batch.T) {
        if (batch.equal()) {
            const long of_step = (batch.B + teams - 1) / teams;
            steps_ = std::clamp(rows / of_step, least, most);
            count_ = (T_ + steps_ - 1) / steps_;
            most_rows_ = steps_ * of_step;
            return;
        }
        const TeamRows all(batch, 0, 1);
        const auto of_step = [&](long p) { return (all.at(direction, p) + teams - 1) / teams; };
        for (long p = 0; p < T_; ++count_) {
            begins_.push_back(p);
            long steps = 0, sum = 0;
            for (; p < T_ && steps < most && (steps < least || sum + of_step(p) <= rows); ++steps) sum += of_step(p++);
            most_rows_ = std::max(most_rows_, sum);
        }
        begins_.push_back(T_);
    }

    long count() const { return count_; }
    long begin(long chunk) const {
        return begins_.empty() ? std::min(T_, chunk * steps_) : begins_[static_cast<std::size_t>(std::min(chunk, count_))];
    }
    long end(long chunk) const { return begin(chunk + 1); }
    // The chunk of a step.
    long of(long p) const {
        if (begins_.empty()) return p / steps_;
        return std::upper_bound(begins_.begin(), begins_.end(), p) - begins_.begin() - 1;
    }
    // The most rows of a team in a chunk.
    long most_rows() const { return most_rows_; }

  private:
    long T_ = 0, steps_ = 0, count_ = 0, most_rows_ = 0;
    std::vector<long> begins_;  // empty with equal lengths
};

}  // namespace rnn
