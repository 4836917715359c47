#include "vlmprobe/grpo/advantage_tensor.h"

#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "support.h"
#include "vlmprobe/core/random.h"

using namespace vlmprobe;
using namespace vlmprobe::grpo;

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN(), kInf = std::numeric_limits<double>::infinity();
constexpr double kTolerance64 = 1e-12, kTolerance32 = 1e-6;
using Numbers = std::vector<double>;
using Labels = std::vector<std::int64_t>;

struct Result {
  Numbers values;
  std::vector<char> degenerate;  // of std::vector<bool> there are no spans
};

Result run(const Numbers& rewards, const Labels& group, const AdvantageOptions& options = {}) {
  Result result{Numbers(rewards.size(), kNan), std::vector<char>(rewards.size(), 2)};
  const std::span<bool> flags(reinterpret_cast<bool*>(result.degenerate.data()), rewards.size());
  group_advantages<double>(rewards, group, result.values, flags, options);
  return result;
}

struct Table {
  Numbers rewards;
  Labels sequence, begin, end, group;
};

Result run(const Table& table, std::int64_t length) {
  const std::size_t rows = table.group.size();
  Result result{Numbers(rows * static_cast<std::size_t>(length), kNan), std::vector<char>(rows, 2)};
  question_advantages<double>(table.rewards, {table.sequence, table.begin, table.end}, table.group, length,
                              result.values, {reinterpret_cast<bool*>(result.degenerate.data()), rows});
  return result;
}

// The definition, one member at a time, in long double.
double reference(const Numbers& rewards, const Labels& group, std::size_t i) {
  std::vector<long double> members;
  for (std::size_t j = 0; j < rewards.size(); ++j)
    if (group[j] == group[i] && !std::isnan(rewards[j])) members.push_back(rewards[j]);
  if (std::isnan(rewards[i]) || members.size() < 2) return 0;
  const long double mean = std::accumulate(members.begin(), members.end(), 0.0L) / members.size();
  long double squares = 0;
  for (const long double member : members) squares += (member - mean) * (member - mean);
  if (squares == 0) return 0;
  return static_cast<double>((rewards[i] - mean) / (std::sqrt(squares / (members.size() - 1)) + 1e-4L));
}

// Ragged groups in mixed order, one reward in eight unscored.
void ragged(std::uint32_t seed, Numbers& rewards, Labels& group) {
  random::Sequence draws(seed, random::Stream::kQuestion, 0);
  for (int i = 0; i < 97; ++i) {
    group.push_back(draws.below(9) * 1000003 - 4000000);
    rewards.push_back(draws.chance(0.125) ? kNan : draws.uniform() * 2 - 1);
  }
}

}  // namespace

TEST_CASE("advantages of 0, 1, 2 by hand") {
  // mean 1, sample variance ((-1)^2 + 0 + 1^2)/2 = 1, so -1/1.0001, 0, 1/1.0001
  const Result result = run({0, 1, 2}, {7, 7, 7});
  CHECK(result.values[0] == doctest::Approx(-1 / 1.0001).epsilon(kTolerance64));
  CHECK(result.values[1] == 0);
  CHECK(result.values[2] == doctest::Approx(1 / 1.0001).epsilon(kTolerance64));
  CHECK(result.degenerate == std::vector<char>{0, 0, 0});
  CHECK(run({0, 1, 2}, {7, 7, 7}, {.epsilon = 1e-4, .scale = Scale::none}).values == Numbers{-1, 0, 1});
}

TEST_CASE("advantages agree with the definition on ragged, unsorted groups") {
  Numbers rewards;
  Labels group;
  ragged(1, rewards, group);
  const Result result = run(rewards, group);
  for (std::size_t i = 0; i < rewards.size(); ++i)
    CHECK(result.values[i] == doctest::Approx(reference(rewards, group, i)).epsilon(kTolerance64));
}

TEST_CASE("groups without signal give exactly 0 and a flag") {
  // 0.1 three times: the mean is not 0.1 in float64, so the test is max == min and not the deviation.
  const Result equal = run({0.1, 0.1, 0.1}, {5, 5, 5});
  CHECK(equal.values == Numbers{0, 0, 0});
  CHECK(equal.degenerate == std::vector<char>{1, 1, 1});

  const Result lone = run({3, 1, kNan, kNan, 4, 6}, {1, 2, 2, 3, 9, 9});
  CHECK(lone.values[0] == 0);
  CHECK(lone.values[1] == 0);
  CHECK(lone.values[2] == 0);
  CHECK(lone.values[3] == 0);
  CHECK(lone.degenerate == std::vector<char>{1, 1, 1, 1, 0, 0});
  CHECK(run({}, {}).values.empty());
}

TEST_CASE("an unscored member gets 0 and changes nobody else") {
  const Result with = run({1, kNan, 4, 2}, {0, 0, 0, 0}), without = run({1, 4, 2}, {0, 0, 0});
  CHECK(with.values == Numbers{without.values[0], 0, without.values[1], without.values[2]});
  CHECK(with.degenerate == std::vector<char>{0, 0, 0, 0});
}

TEST_CASE("advantages ignore a shift, the order of members and the names of groups") {
  Numbers rewards, shifted, reversed_rewards;
  Labels group, renamed, reversed_group;
  ragged(2, rewards, group);
  for (const double reward : rewards) shifted.push_back(reward + 3);
  for (const std::int64_t label : group) renamed.push_back(-label / 7);
  reversed_rewards.assign(rewards.rbegin(), rewards.rend());
  reversed_group.assign(group.rbegin(), group.rend());

  const Numbers plain = run(rewards, group).values, moved = run(shifted, group).values;
  Numbers back = run(reversed_rewards, reversed_group).values;
  std::ranges::reverse(back);
  CHECK(run(rewards, renamed).values == plain);
  for (std::size_t i = 0; i < plain.size(); ++i) {
    CHECK(moved[i] == doctest::Approx(plain[i]).epsilon(1e-11));  // the shift itself rounds
    CHECK(back[i] == doctest::Approx(plain[i]).epsilon(kTolerance64));
  }
}

TEST_CASE("tensors give what spans give, in both dtypes and for strided input") {
  Numbers rewards;
  Labels group;
  ragged(3, rewards, group);
  const Numbers expected = run(rewards, group).values;
  const at::Tensor labels = at::tensor(group), wide = at::tensor(rewards, at::kDouble);

  const Advantages as64 = group_advantages(wide, labels), as32 = group_advantages(wide.to(at::kFloat), labels);
  const at::Tensor strided = at::zeros({97, 2}, at::kDouble).select(1, 1).copy_(wide);
  CHECK((as64.values.scalar_type() == at::kDouble));
  CHECK((as32.values.scalar_type() == at::kFloat));
  CHECK((as64.degenerate.scalar_type() == at::kBool));
  CHECK(group_advantages(strided, labels).values.equal(as64.values));
  for (std::size_t i = 0; i < expected.size(); ++i) {
    CHECK(as64.values.const_data_ptr<double>()[i] == expected[i]);
    // relative to the value: float32 rewards are rounded before they come in
    CHECK(as32.values.const_data_ptr<float>()[i] == doctest::Approx(expected[i]).epsilon(10 * kTolerance32));
  }
  CHECK(group_advantages(at::zeros({0}), at::zeros({0}, at::kLong)).values.numel() == 0);
}

TEST_CASE("credit per question by hand") {
  // Two sequences of one group, two questions each; question rewards 0, 2 | 1, 1: mean 1, variance (1+1)/3, std
  // 0.816497. Sequence rewards 1 and 1: equal, so tokens outside the spans get 0.
  const double unit = 1 / (std::sqrt(2.0 / 3) + 1e-4);
  const Result result = run({{0, 2, 1, 1}, {0, 0, 1, 1}, {1, 3, 0, 2}, {3, 4, 2, 3}, {8, 8}}, 5);
  const Numbers expected = {0, -unit, -unit, unit, 0, 0, 0, 0, 0, 0};
  for (std::size_t i = 0; i < expected.size(); ++i)
    CHECK(result.values[i] == doctest::Approx(expected[i]).epsilon(kTolerance64));
  CHECK(result.degenerate == std::vector<char>{0, 0});
}

TEST_CASE("a question without a span enters the statistics only, an unscored one leaves its span 0") {
  // Sequence 0: rewards 3 with a span, -1 without; sequence 1: 1 with a span, unscored with one.
  const Table table{{3, -1, 1, kNan}, {0, 0, 1, 1}, {0, -1, 0, 2}, {2, -1, 1, 3}, {4, 4}};
  const Result result = run(table, 4);
  const Numbers questions = run({3, -1, 1}, {0, 0, 0}).values;  // mean 1 over all three scorable
  const double sequence = 0;                                    // sequence rewards 1 and 1
  CHECK(result.values == Numbers{questions[0], questions[0], sequence, sequence, questions[2], sequence, 0, sequence});
}

TEST_CASE("tokens outside the spans get the advantage of the sequence's mean") {
  const Table table{{0, 1, 4}, {0, 0, 1}, {0, -1, -1}, {1, -1, -1}, {0, 0}};
  const Result result = run(table, 2);
  const Numbers sequences = run({0.5, 4}, {0, 0}).values;
  CHECK(result.values[1] == sequences[0]);
  CHECK(result.values[2] == sequences[1]);
  CHECK(result.values[3] == sequences[1]);
}

TEST_CASE("a group whose questions all score the same is exactly 0 in every token") {
  // 0.1 three times over three is not 0.1: the sequences' means differ in the last bit and must not matter.
  const Table table{{0.1, 0.1, 0.1, 0.1, kNan}, {0, 0, 0, 1, 2}, {0, 1, 2, 0, 0}, {1, 2, 3, 1, 3}, {0, 0, 5}};
  const Result result = run(table, 3);
  CHECK(result.values == Numbers(9, 0));
  CHECK(result.degenerate == std::vector<char>{1, 1, 1});

  const Result none = run({{}, {}, {}, {}, {1, 2}}, 2);
  CHECK(none.values == Numbers(4, 0));
  CHECK(none.degenerate == std::vector<char>{1, 1});
}

TEST_CASE("baselines, scales, the least deviation and singletons by hand") {
  // group 1: rewards 0, 1, 2 (mean 1, std 1); group 2: 5 alone. All four: mean 2, squares 4+1+0+9 = 14, std sqrt(14/3).
  const Numbers rewards = {0, 1, 2, 5};
  const Labels group = {1, 1, 1, 2};
  const double batch = std::sqrt(14.0 / 3);
  const auto check = [&](const AdvantageOptions& options, const Numbers& expected) {
    const Numbers found = run(rewards, group, options).values;
    for (std::size_t i = 0; i < 4; ++i) CHECK(found[i] == doctest::Approx(expected[i]).epsilon(kTolerance64));
  };
  check({.scale = Scale::batch}, {-1 / (batch + 1e-4), 0, 1 / (batch + 1e-4), 0});
  check({.scale = Scale::none, .baseline = Baseline::leave_one_out}, {-1.5, 0, 1.5, 0});  // 0 - (1 + 2)/2, ...
  check({.minimum_std = 4}, {-1 / 4.0001, 0, 1 / 4.0001, 0});
  check({.scale = Scale::none, .singleton = Singleton::raw}, {-1, 0, 1, 5});
  CHECK(run(rewards, group, {.singleton = Singleton::raw}).degenerate == std::vector<char>{0, 0, 0, 0});
  CHECK(run({kNan}, {3}, {.singleton = Singleton::raw}).degenerate == std::vector<char>{1});
  CHECK(run({2, 2}, {3, 3}, {.singleton = Singleton::raw}).values == Numbers{0, 0});
}

TEST_CASE("gdpo normalises each reward before it adds them") {
  // Reward 0 tells rows of group 0 apart, reward 1 those of group 1, a hundred times wider: both count alike.
  const at::Tensor rewards = at::tensor({0.0, 7.0, 1.0, 7.0, 3.0, 0.0, 3.0, 100.0}, at::kDouble).reshape({4, 2});
  const at::Tensor group = at::tensor({0, 0, 1, 1}, at::kLong);
  const Advantages found = gdpo_advantages(rewards, group);
  // normalised: -a, a | -b, b with a = sqrt(1/2)/(sqrt(1/2) + 1e-4), b nearly the same; mean 0, so over their deviation
  const double unit = std::sqrt(0.5), a = 0.5 / (unit + 1e-4), b = 50 / (100 * unit + 1e-4);
  const double deviation = std::sqrt((2 * a * a + 2 * b * b) / 3) + 1e-4;
  const Numbers expected = {-a / deviation, a / deviation, -b / deviation, b / deviation};
  for (std::int64_t i = 0; i < 4; ++i)
    CHECK(found.values[i].item<double>() ==
          doctest::Approx(expected[static_cast<std::size_t>(i)]).epsilon(kTolerance64));
  CHECK_FALSE(found.degenerate.any().item<bool>());

  // Weight 0 for reward 1 leaves group 1 at 0; a row without any scored reward gets 0.
  const Advantages weighted = gdpo_advantages(rewards, group, at::tensor({1.0, 0.0}, at::kDouble));
  CHECK(weighted.values[3].item<double>() == 0);
  at::Tensor holes = rewards.clone();
  holes[2].fill_(kNan);
  const Advantages unscored = gdpo_advantages(holes, group);
  CHECK(unscored.values[2].item<double>() == 0);
  CHECK(unscored.degenerate[3].item<bool>());
  CHECK(thrown([&] { gdpo_advantages(rewards, group, at::ones({3}, at::kDouble)); }) ==
        "[grpo::gdpo_advantages] weights: expected shape [K], got [3] (K=2 was set by rewards)");
  CHECK(thrown([&] { gdpo_advantages(rewards, group, at::tensor({1.0, kInf}, at::kDouble)); }) ==
        "[grpo::gdpo_advantages] weights: entry 1 must be finite, got inf");
}

TEST_CASE("errors of advantages name the argument, what was expected and what came") {
  const at::Tensor rewards = at::zeros({2}), group = at::zeros({2}, at::kLong);
  CHECK(thrown([&] { group_advantages(rewards, at::zeros({3}, at::kLong)); }) ==
        "[grpo::group_advantages] group: expected shape [B], got [3] (B=2 was set by rewards)");
  CHECK(thrown([&] { group_advantages(rewards.to(at::kHalf), group); }) ==
        "[grpo::group_advantages] rewards: expected float32 or float64, got Half");
  CHECK(thrown([&] { group_advantages(rewards, group.to(at::kInt)); }) ==
        "[grpo::group_advantages] group: expected int64, got Int");
  CHECK(thrown([&] { group_advantages(rewards, group, {.epsilon = 0}); }) ==
        "[grpo::group_advantages] epsilon must be in (0, inf), got 0");
  CHECK(thrown([&] { group_advantages(rewards, group, {.minimum_std = -1}); }) ==
        "[grpo::group_advantages] minimum_std must be in [0, inf), got -1");
  CHECK(thrown([] { run({1, kInf}, {0, 0}); }) ==
        "[grpo::group_advantages] rewards: row 1 is infinite; NaN marks an unscored row");
  CHECK(thrown([] { run({1, 2}, {0}); }) == "[grpo::group_advantages] group: expected 2 labels, one per reward, got 1");

  CHECK(thrown([] { run({{1}, {2}, {0}, {1}, {0, 0}}, 4); }) ==
        "[grpo::question_advantages] sequence: row 0 must be in [0, 2), got 2");
  for (const auto& [begin, end] : std::vector<std::pair<int, int>>{{2, 5}, {3, 2}, {-1, 2}, {-2, -2}, {0, -1}})
    CHECK(thrown([&] { run({{1}, {0}, {begin}, {end}, {0, 0}}, 4); }) ==
          formatted("[grpo::question_advantages] token span: row 0 must lie in [0, 4] or be (-1, -1), got ({}, {})",
                    begin, end));
  CHECK(thrown([] { run({{1, 2}, {0}, {0}, {1}, {0}}, 4); }) ==
        "[grpo::question_advantages] spans: expected 2 rows, one per reward, got 1, 1 and 1");
  CHECK(thrown([&] { question_advantages(rewards, group, group, at::zeros({1}, at::kLong), group, 3); }) ==
        "[grpo::question_advantages] token_end: expected shape [Q], got [1] (Q=2 was set by question_rewards)");
  CHECK(thrown([&] { question_advantages(rewards, group, group, group, group, -1); }) ==
        "[grpo::question_advantages] length must be at least 0, got -1");
}
