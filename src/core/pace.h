// How large the next batch of a move is, and when it may begin.
#pragma once

#include <algorithm>
#include <cstdint>

namespace vm {

// Follows the time batches take. Times are microseconds.
class Pace {
  public:
    // Batches of about target_us, at most `most` rows.
    Pace(int64_t target_us, int most) noexcept
        : target_(target_us), most_(std::max(most, 1)), batch_(std::min(kFirst, most_)) {}

    int batch() const noexcept { return batch_; }

    // After a batch of `rows` that took `us`. The next one is at most twice or half as large.
    void Took(int64_t rows, int64_t us) noexcept {
        if (rows <= 0) return;
        double now = static_cast<double>(std::max<int64_t>(us, 1)) / static_cast<double>(rows);
        per_row_ = per_row_ == 0 ? now : 0.7 * per_row_ + 0.3 * now;
        double wanted = static_cast<double>(target_) / per_row_;
        wanted = std::min(std::max(wanted, batch_ / 2.0), batch_ * 2.0);
        batch_ = static_cast<int>(std::min(std::max(wanted, 1.0), static_cast<double>(most_)));
    }

    // After a batch that was in somebody's way. True if it was of one row: that row is best passed over.
    bool Yield() noexcept {
        if (batch_ == 1) return true;
        batch_ = std::max(batch_ / 8, 1);
        return false;
    }

  private:
    static constexpr int kFirst = 500;
    int64_t target_;
    int most_;
    int batch_;
    double per_row_ = 0;  // microseconds, smoothed
};

// Keeps what is done below so much a second. Times are microseconds on any clock that does not go back.
class RateLimit {
  public:
    // 0: no limit.
    explicit RateLimit(double per_second = 0) noexcept : per_second_(per_second) {}

    bool limited() const noexcept { return per_second_ > 0; }

    // So much was done by a piece of work that began at `began`. What was not used before is not saved up.
    void Done(double amount, int64_t began) noexcept {
        if (limited()) next_ = std::max(next_, began) + static_cast<int64_t>(amount / per_second_ * 1e6);
    }

    // When the next piece may begin.
    int64_t next() const noexcept { return next_; }

    // The most that one piece may be, so that the limit holds over a quarter of a second too. At least 1.
    double most() const noexcept { return limited() ? std::max(per_second_ / 4, 1.0) : 1e18; }

  private:
    double per_second_;
    int64_t next_ = 0;
};

// The lag of something that follows a growing position, in time: how old the oldest position is that it has
// not reached. Remembers some positions and when they were current.
class LagMeter {
  public:
    // The position now. Positions closer together than `apart` microseconds are not worth remembering.
    void Now(uint64_t position, int64_t now, int64_t apart) noexcept {
        if (count_ > 0 && now - At(count_ - 1).when < apart) return;
        if (count_ == kSize) Forget(1);
        At(count_++) = {position, now};
    }

    // Microseconds of lag of who has reached `position`.
    int64_t Lag(uint64_t position, int64_t now) noexcept {
        int reached = 0;
        while (reached < count_ && At(reached).position <= position) reached++;
        Forget(reached);
        return count_ > 0 ? now - At(0).when : 0;
    }

  private:
    struct Probe {
        uint64_t position;
        int64_t when;
    };
    static constexpr int kSize = 64;
    Probe& At(int i) noexcept { return probes_[(first_ + i) % kSize]; }
    void Forget(int n) noexcept {
        first_ = (first_ + n) % kSize;
        count_ -= n;
    }
    Probe probes_[kSize] = {};
    int first_ = 0;
    int count_ = 0;
};

}  // namespace vm
