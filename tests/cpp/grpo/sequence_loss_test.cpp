#include "vlmprobe/grpo/sequence_loss.h"

#include <array>
#include <vector>

#include "support.h"
#include "vlmprobe/grpo/groups.h"

using namespace vlmprobe::grpo;

namespace {

constexpr std::array kLogp = {-1.0, -2.0, -0.5}, kAdvantages = {1.0, -1.0, 2.0};
constexpr std::array kMask = {true, false, true};

// The error of a loss over three tokens, with one thing changed; the results must be as they were.
template <class Change>
std::string refused(Change&& change, std::size_t results = 3, SurrogateOptions options = {}) {
  SequenceView<double> view{
      .logp = kLogp, .old_logp = {}, .ref_logp = {}, .advantages = kAdvantages, .entropy = {}, .mask = {}};
  change(view, options);
  std::vector<double> d_logp(results, 7), d_entropy(results, 7);
  const std::string message = thrown([&] { sequence_loss<double>(view, 1, options, d_logp, d_entropy); });
  CHECK(d_logp == std::vector<double>(results, 7));
  CHECK(d_entropy == std::vector<double>(results, 7));
  return message;
}

constexpr auto kNothing = [](auto&, auto&) {};

}  // namespace

TEST_CASE("spans of other lengths than the log-probabilities are named, and nothing is read or written") {
  CHECK(refused([](auto& v, auto&) { v.advantages = v.advantages.first(1); }) ==
        "[grpo::sequence_loss] advantages: expected shape [T], got [1] (T=3 was set by logp)");
  CHECK(refused([](auto& v, auto&) { v.advantages = {}; }) ==
        "[grpo::sequence_loss] advantages: expected shape [T], got [0] (T=3 was set by logp)");
  CHECK(refused([](auto& v, auto&) { v.old_logp = v.logp.first(2); }) ==
        "[grpo::sequence_loss] old_logp: expected shape [T], got [2] (T=3 was set by logp)");
  CHECK(refused([](auto& v, auto&) { v.ref_logp = v.logp.first(2); }) ==
        "[grpo::sequence_loss] ref_logp: expected shape [T], got [2] (T=3 was set by logp)");
  CHECK(refused([](auto& v, auto&) { v.entropy = v.logp.first(2); }) ==
        "[grpo::sequence_loss] entropy: expected shape [T], got [2] (T=3 was set by logp)");
  CHECK(refused([](auto& v, auto&) { v.mask = std::span(kMask).first(1); }) ==
        "[grpo::sequence_loss] mask: expected shape [T], got [1] (T=3 was set by logp)");
  CHECK(refused([](auto& v, auto&) { v.logp = v.logp.first(2); }) ==
        "[grpo::sequence_loss] advantages: expected shape [T], got [3] (T=2 was set by logp)");
  CHECK(refused(kNothing, 2) == "[grpo::sequence_loss] d_logp: expected shape [T], got [2] (T=3 was set by logp)");
  CHECK(refused(kNothing, 4) == "[grpo::sequence_loss] d_logp: expected shape [T], got [4] (T=3 was set by logp)");
}

TEST_CASE("options outside their ranges are refused for a sequence as for a token") {
  const auto both = [](auto change) {
    SurrogateOptions options;
    change(options);
    const std::string token = thrown([&] { surrogate<double>(-1, 0, -1, 1, 0, options); });
    const std::string sequence = refused([&](auto&, auto& o) { o = options; });
    REQUIRE(token.starts_with("[grpo::surrogate] "));
    CHECK(sequence == "[grpo::sequence_loss] " + token.substr(token.find(' ') + 1));
    return token;
  };
  CHECK(both([](auto& o) { o.clip_low = -5; }) == "[grpo::surrogate] clip_low must be in [0, 1), got -5");
  CHECK(both([](auto& o) { o.clip_high = -0.1; }) == "[grpo::surrogate] clip_high must be in [0, inf), got -0.1");
  CHECK(both([](auto& o) { o.dual_clip = 1; }) == "[grpo::surrogate] dual_clip must be in (1, inf], got 1");
  CHECK(both([](auto& o) { o.beta = NAN; }) == "[grpo::surrogate] beta must be in [0, inf), got nan");
}

TEST_CASE("no tokens are a loss of 0") {
  const LossTotals totals = sequence_loss<double>({}, 1, {}, {}, {});
  CHECK(totals.loss == 0);
  CHECK(totals.tokens == 0);
}

TEST_CASE("groups take one value for each row, and no number that is no group") {
  const std::array<std::int64_t, 3> labels = {4, 4, 9}, numbers = {0, 1, 2}, negative = {0, -1, 0};
  const Groups groups(labels);
  std::vector<double> buffer;
  CHECK(thrown([&] { groups.gather<double>(std::span(kLogp).first(2), 0, buffer); }) ==
        "[grpo::Groups] values: expected 3, one per row, got 2");
  CHECK(thrown([&] { groups.gather<double>(kLogp, 2, buffer); }) ==
        "[grpo::Groups] group: expected one in [0, 2), got 2");
  CHECK(thrown([&] { Groups(numbers, 2); }) == "[grpo::Groups] numbers: expected groups in [0, 2), got 2");
  CHECK(thrown([&] { Groups(negative, 2); }) == "[grpo::Groups] numbers: expected groups in [0, 2), got -1");
}
