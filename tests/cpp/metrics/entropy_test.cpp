#include "vlmprobe/metrics/entropy.h"

#include <cmath>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "support.h"
#include "vlmprobe/core/random.h"

using namespace vlmprobe;
using namespace vlmprobe::metrics;

namespace {

constexpr double kTolerance64 = 1e-12;
using Labels = std::vector<std::int64_t>;
using Span = std::span<const std::int64_t>;

}  // namespace

TEST_CASE("entropy by hand") {
  // shares 1/2, 1/4, 1/4: log(2)/2 + 2 log(4)/4 = 1.5 log 2; over log 4 = 2 log 2 it is 0.75
  const std::vector<std::string> texts = {"what is", "how many", "what is", "which one"};
  const std::span<const std::string> labels(texts);
  CHECK(entropy(labels) == doctest::Approx(1.5 * std::log(2.0)).epsilon(kTolerance64));
  CHECK(normalized_entropy(labels) == doctest::Approx(0.75).epsilon(kTolerance64));
  CHECK(effective_number(labels) == doctest::Approx(std::pow(2.0, 1.5)).epsilon(kTolerance64));
  CHECK(duplicates(labels) == 0.25);
  const std::vector<std::string_view> views(texts.begin(), texts.end());
  CHECK(entropy(std::span<const std::string_view>(views)) == entropy(labels));
}

TEST_CASE("entropy agrees with its definition, whatever the order and the names") {
  random::Sequence draws(1, random::Stream::kQuestion, 6);
  Labels labels, backwards, renamed;
  for (int i = 0; i < 500; ++i) labels.push_back(draws.below(1 + draws.below(30)));
  std::map<std::int64_t, double> counts;
  for (const std::int64_t label : labels) counts[label] += 1, renamed.push_back(17 - label);
  backwards.assign(labels.rbegin(), labels.rend());
  double expected = 0;
  for (const auto& [label, count] : counts) expected -= count / 500 * std::log(count / 500);

  CHECK(entropy(Span(labels)) == doctest::Approx(expected).epsilon(kTolerance64));
  CHECK(entropy(Span(backwards)) == entropy(Span(labels)));
  CHECK(entropy(Span(renamed)) == entropy(Span(labels)));
  CHECK(duplicates(Span(labels)) == doctest::Approx(1 - static_cast<double>(counts.size()) / 500));
}

TEST_CASE("entropy is exactly 0 for equal labels and exactly log n for different ones") {
  for (const std::size_t n : {2U, 3U, 7U, 100U}) {
    Labels equal(n, -4), different(n);
    for (std::size_t i = 0; i < n; ++i) different[i] = static_cast<std::int64_t>(i);
    CHECK(entropy(Span(equal)) == 0);
    CHECK(normalized_entropy(Span(equal)) == 0);
    CHECK(effective_number(Span(equal)) == 1);
    CHECK(entropy(Span(different)) == std::log(static_cast<double>(n)));
    CHECK(normalized_entropy(Span(different)) == 1);
    CHECK(effective_number(Span(different)) == doctest::Approx(static_cast<double>(n)).epsilon(kTolerance64));
    CHECK(duplicates(Span(different)) == 0);
  }
}

TEST_CASE("no label gives NaN, one label an entropy of 0") {
  const Labels none, one = {5};
  CHECK(std::isnan(entropy(Span(none))));
  CHECK(std::isnan(normalized_entropy(Span(none))));
  CHECK(std::isnan(effective_number(Span(none))));
  CHECK(std::isnan(duplicates(Span(none))));
  CHECK(entropy(Span(one)) == 0);
  CHECK(std::isnan(normalized_entropy(Span(one))));
  CHECK(effective_number(Span(one)) == 1);
  CHECK(duplicates(Span(one)) == 0);
}
