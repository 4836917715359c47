// How many requests an endpoint gets at a time: the limit starts small, doubles while a whole window of requests
// succeeds, falls to 0.8 of itself once per episode of 429, and grows by a tenth a window from then on. Errors of the
// server or the connection stop growth for a while. Times are seconds of one steady clock.
#pragma once

#include <algorithm>
#include <cstdint>

namespace vlmprobe::models {

class ConcurrencyLimit {
 public:
  ConcurrencyLimit(std::int64_t first, std::int64_t most) : limit_(first), most_(most) {}

  std::int64_t limit() const { return limit_; }

  // Each returns whether the limit changed.
  bool succeeded(double now) {
    if (now < growth_from_ || ++successes_ < limit_) return false;
    successes_ = 0;
    const std::int64_t before = limit_;
    limit_ = std::min(most_, throttled_ ? limit_ + std::max<std::int64_t>(1, limit_ / 10) : 2 * limit_);
    return limit_ != before;
  }
  // `pause_s`: what the server asked for, or 0.
  bool throttled(double now, double pause_s) {
    successes_ = 0, throttled_ = true;
    if (now < episode_until_) return false;
    episode_until_ = now + std::max(pause_s, kEpisodeS);
    growth_from_ = episode_until_;
    const std::int64_t before = limit_;
    limit_ = std::max<std::int64_t>(1, limit_ * 4 / 5);
    return limit_ != before;
  }
  void failed(double now) {
    successes_ = 0;
    growth_from_ = std::max(growth_from_, now + kNoGrowthS);
  }

 private:
  static constexpr double kEpisodeS = 1, kNoGrowthS = 2;

  std::int64_t limit_, most_;
  std::int64_t successes_ = 0;  // of the window
  bool throttled_ = false;      // ever
  double episode_until_ = 0, growth_from_ = 0;
};

}  // namespace vlmprobe::models
