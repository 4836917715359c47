#include <cstdio>
#include <string>

#include "vlmprobe/core/error.h"
#include "vlmprobe/core/random.h"
#include "vlmprobe/core/tables.h"
#include "vlmprobe/grpo/advantage.h"
#include "vlmprobe/grpo/sequence_loss.h"

// Prints a draw, a validity, an error's text, and the GRPO loss of a token whose advantage comes from three rewards.
int main() {
  const double draw = vlmprobe::random::uniform(1, vlmprobe::random::Stream::kSampling, 1, 2, 3);
  const bool unknown = vlmprobe::validity({}) == vlmprobe::Tri::unknown;
  std::string message;
  try {
    vlmprobe::expect(false, "consumer", "k: expected at least {}, got {}", 1, 0);
  } catch (const vlmprobe::InvalidArgument& error) {
    message = error.what();
  }

  const double rewards[] = {0, 1, 2}, logp[] = {-1};
  const std::int64_t group[] = {7, 7, 7};
  double advantages[3], d_logp[1], d_entropy[1];
  bool degenerate[3];
  vlmprobe::grpo::group_advantages<double>(rewards, group, advantages, degenerate);
  const vlmprobe::grpo::LossTotals totals = vlmprobe::grpo::sequence_loss<double>(
      {.logp = logp, .old_logp = {}, .ref_logp = {}, .advantages = {advantages + 2, 1}, .entropy = {}, .mask = {}}, 1,
      {}, d_logp, d_entropy);
  std::printf("%.16f %s %s loss %.4f\n", draw, unknown ? "unknown" : "known", message.c_str(), totals.loss);
}
