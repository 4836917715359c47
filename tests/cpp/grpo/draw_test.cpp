#include "vlmprobe/grpo/draw.h"

#include <ATen/Parallel.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <cmath>
#include <limits>

#include "scalar_loss.h"
#include "support.h"
#include "targets.h"

using namespace vlmprobe;
using namespace vlmprobe::grpo;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::vector<std::int64_t> tokens(const Drawn& drawn) {
  const at::Tensor token = drawn.token.contiguous();
  return {token.const_data_ptr<std::int64_t>(), token.const_data_ptr<std::int64_t>() + token.numel()};
}

// Whether `token` is what inverting the row at u gives, or its neighbour where u lies within `slack` of the border.
bool inverts(const at::Tensor& row, double u, std::int64_t token, double temperature, double slack) {
  const at::Tensor wide = row.to(at::kDouble);
  const auto* x = wide.const_data_ptr<double>();
  double best = -kInfinity, whole = 0, below = 0;
  for (std::int64_t v = 0; v < row.numel(); ++v) best = std::max(best, x[v]);
  for (std::int64_t v = 0; v < row.numel(); ++v) whole += std::exp((x[v] - best) / temperature);
  for (std::int64_t v = 0; v < token; ++v) below += std::exp((x[v] - best) / temperature) / whole;
  const double own = std::exp((x[token] - best) / temperature) / whole;
  return own > 0 && u >= below - slack && u < below + own + slack;
}

}  // namespace

TEST_CASE("a draw inverts the distribution, by hand") {
  on_every_target([] {
    // p = .5 0 .25 .25: 0 and .499 fall on word 0; .5001 on word 2, as word 1 has no probability; .99 on word 3.
    const at::Tensor row = at::tensor({std::log(0.5), -kInfinity, std::log(0.25), std::log(0.25)}, at::kFloat);
    const at::Tensor logits = row.expand({4, 4}).contiguous();
    const Drawn drawn = draw_tokens(logits, at::tensor({0.0, 0.499, 0.5001, 0.99}, at::kDouble));
    CHECK(tokens(drawn) == std::vector<std::int64_t>{0, 0, 2, 3});
    CHECK(drawn.logp[0].item<double>() == doctest::Approx(std::log(0.5)));
    CHECK(drawn.logp[3].item<double>() == doctest::Approx(std::log(0.25)));
  });
}

TEST_CASE("a draw never gives a banned word, at either end or beside the only one") {
  on_every_target([] {
    const at::Tensor row = at::tensor({-kInfinity, 3.0, -kInfinity}, at::kFloat).unsqueeze(0);
    for (const double u : {0.0, 0.5, 1 - 0x1p-53})
      CHECK(tokens(draw_tokens(row, at::tensor({u}, at::kDouble)))[0] == 1);
    const at::Tensor weight = at::zeros({300, 16}), hidden = at::zeros({3, 16});
    std::vector<std::int64_t> banned;
    for (std::int64_t id = 0; id < 300; ++id)
      if (id != 131) banned.push_back(id);
    const at::Tensor u = at::tensor({0.0, 0.7, 1 - 0x1p-53}, at::kDouble);
    const Drawn drawn = linear_draw(hidden, weight, u, 1.0, at::tensor(banned, at::kLong));
    CHECK(tokens(drawn) == std::vector<std::int64_t>{131, 131, 131});
    CHECK(drawn.logp.abs().max().item<double>() == 0);
  });
}

TEST_CASE("draws agree with scalar loops: instruction sets, dtypes, temperatures and sizes around the blocks") {
  on_every_target([] {
    for (const auto dtype : {at::kDouble, at::kFloat, at::kBFloat16, at::kHalf})
      for (const std::int64_t vocabulary : {1, 2, 127, 129, 511, 512, 513, 2049})
        for (const double temperature : {0.7, 1.0}) {
          CAPTURE(vocabulary);
          const std::int64_t rows = 9;
          const at::Tensor logits = scalar::uniform({rows, vocabulary}, -4, 4, 3).to(dtype);
          const at::Tensor u = scalar::uniform({rows}, 0, 1, 4);
          const Drawn drawn = draw_tokens(logits, u, temperature);
          for (std::int64_t r = 0; r < rows; ++r) {
            const std::int64_t token = drawn.token[r].item<std::int64_t>();
            CHECK(inverts(logits[r], u[r].item<double>(), token, temperature, 1e-5));
            const at::Tensor expected = logits[r].to(at::kDouble).div(temperature).log_softmax(0)[token];
            CHECK(drawn.logp[r].item<double>() == doctest::Approx(expected.item<double>()).epsilon(1e-5));
          }
        }
  });
}

TEST_CASE("draws from hidden states are those of their logits; chunks of rows and threads change nothing") {
  on_every_target([] {
    for (const auto dtype : {at::kDouble, at::kFloat, at::kBFloat16})
      for (const std::int64_t width : {16, 20, 272}) {
        CAPTURE(width);
        const std::int64_t rows = 37, vocabulary = 1030;
        const at::Tensor hidden = scalar::uniform({rows, width}, -1, 1, 5).to(dtype);
        const at::Tensor weight = scalar::uniform({vocabulary, width}, -1, 1, 6).to(dtype);
        const at::Tensor u = scalar::uniform({rows}, 0, 1, 7), banned = at::tensor({0, 3, 1029}, at::kLong);
        const at::Tensor logits = at::mm(hidden.to(at::kDouble), weight.to(at::kDouble).t());
        logits.index_fill_(1, banned, -kInfinity);
        const Drawn drawn = linear_draw(hidden, weight, u, 0.9, banned);
        for (std::int64_t r = 0; r < rows; ++r) {
          const std::int64_t token = drawn.token[r].item<std::int64_t>();
          CHECK(inverts(logits[r], u[r].item<double>(), token, 0.9, 1e-4));
          const at::Tensor expected = logits[r].div(0.9).log_softmax(0)[token];
          CHECK(drawn.logp[r].item<double>() == doctest::Approx(expected.item<double>()).epsilon(2e-4));
        }
        const int threads = at::get_num_threads();
        for (const int count : {1, 2, 3}) {
          at::set_num_threads(count);
          CHECK(linear_draw(hidden, weight, u, 0.9, banned).logp.equal(drawn.logp));
        }
        at::set_num_threads(threads);
      }
  });
}

TEST_CASE("draws follow the distribution") {
  // 20000 evenly spread numbers: counts are the probabilities to one part in 20000.
  const std::int64_t count = 20000;
  const at::Tensor logits = at::tensor({0.0, 1.0, -1.0, 2.0}, at::kFloat).expand({count, 4}).contiguous();
  const at::Tensor u = at::arange(count, at::kDouble).add(0.5).div(static_cast<double>(count));
  const at::Tensor shares =
      draw_tokens(logits, u).token.bincount({}, 4).to(at::kDouble).div(static_cast<double>(count));
  CHECK(shares.sub(logits[0].to(at::kDouble).softmax(0)).abs().max().item<double>() <= 1.01 / count);
}

TEST_CASE("errors of the draws") {
  const at::Tensor logits = at::zeros({2, 4}), u = at::zeros({2}, at::kDouble);
  const auto error = [&](const at::Tensor& x, const at::Tensor& numbers, double temperature = 1) {
    return thrown([&] { draw_tokens(x, numbers, temperature); });
  };
  CHECK(error(logits, u) == "");
  CHECK(error(logits[0], u) == "[grpo::draw_tokens] logits: expected shape [N, V] with V >= 1, got [4]");
  CHECK(error(logits, u.slice(0, 0, 1)) ==
        "[grpo::draw_tokens] uniform: expected shape [2] on the CPU, got [1] on cpu");
  CHECK(error(logits, u.to(at::kFloat)) == "[grpo::draw_tokens] uniform: expected Double, got Float");
  CHECK(error(logits, u.add(1)) == "[grpo::draw_tokens] uniform: row 0: expected a number in [0, 1), got 1");
  CHECK(error(logits, u, 0) == "[grpo::draw_tokens] temperature must be in (0, inf), got 0");
  const at::Tensor poisoned = logits.clone();
  poisoned[1].fill_(-kInfinity);
  CHECK(error(poisoned, u) == "[grpo::draw_tokens] logits: row 1 has no distribution");
  CHECK(error(logits.slice(0, 0, 0), u.slice(0, 0, 0)) == "");

  const at::Tensor hidden = at::zeros({2, 16}), weight = at::zeros({4, 16});
  const auto linear = [&](const at::Tensor& h, const at::Tensor& w, const std::optional<at::Tensor>& banned = {}) {
    return thrown([&] { linear_draw(h, w, u, 1, banned); });
  };
  CHECK(linear(hidden, weight.slice(1, 0, 8)) ==
        "[grpo::linear_draw] weight: expected shape [V, H], got [4, 8] (H=16 was set by hidden)");
  CHECK(linear(hidden, weight, at::tensor({4}, at::kLong)) ==
        "[grpo::linear_draw] banned: expected ids in [0, 4), got 4 to 4");
  CHECK(linear(hidden, weight, at::arange(4, at::kLong)) == "[grpo::linear_draw] hidden: row 0 has no distribution");
  CHECK(linear(hidden.mul(std::nan("")), weight) == "[grpo::linear_draw] hidden: row 0 has no distribution");
}
