#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "support.h"
#include "vlmprobe/core/detail/format.h"
#include "vlmprobe/core/error.h"
#include "vlmprobe/core/random.h"

using namespace vlmprobe;

TEST_CASE("a pattern is filled from left to right, and doubled braces are one") {
  CHECK(formatted("k: expected at least {}, got {}", 1, -2) == "k: expected at least 1, got -2");
  CHECK(formatted("{{}} and {}{}", "a", 'b') == "{} and ab");
  CHECK(formatted("nothing") == "nothing");
  CHECK(formatted("{}", "{}") == "{}");  // what is filled in is text
}

TEST_CASE("only a pattern with a place for each argument is one") {
  CHECK(detail::placeholders("{} {}") == 2);
  CHECK(detail::placeholders("{{{}}}") == 1);
  for (const char* wrong : {"{", "}", "{:.3f}", "{0}", "{} }"}) CHECK(detail::placeholders(wrong) == -1);
}

TEST_CASE("numbers read as in fmt, which is the reference: the shortest text that is the same number") {
  const double largest = std::numeric_limits<double>::max();
  const std::vector<double> edges = {0.0,   -0.0,  1.0,      0.1,       1e-4,   9.9e-5,  123456.0, 9999999999999998.0,
                                     1e16,  1e17,  -2.5e3,   1.0 / 3,   5e-324, largest, 1e100,    100000.0,
                                     1e-10, 12e15, INFINITY, -INFINITY, NAN};
  for (const double value : edges) CHECK(formatted("{}", value) == fmt::format("{}", value));
  random::Sequence draw(7, random::Stream::kSampling, 0);
  for (int i = 0; i < 2000; ++i) {
    const double value = (draw.uniform() - 0.5) * std::pow(10.0, draw.below(60) - 30);
    CHECK(formatted("{}", value) == fmt::format("{}", value));
    CHECK(formatted("{}", static_cast<float>(value)) == fmt::format("{}", static_cast<float>(value)));
  }
  CHECK(formatted("{} {}", true, false) == "true false");
  CHECK(formatted("{} {}", std::int8_t{-128}, std::uint8_t{255}) == "-128 255");
  CHECK(formatted("{}", std::numeric_limits<std::uint64_t>::max()) == "18446744073709551615");
}

TEST_CASE("ranges are joined") {
  const std::vector<std::int64_t> sizes = {2, 3};
  CHECK(formatted("[{}]", joined(sizes, ", ")) == fmt::format("[{}]", fmt::join(sizes, ", ")));
  CHECK(formatted("[{}]", joined(std::vector<std::string>{}, ", ")) == "[]");
}

TEST_CASE("an expectation that holds formats nothing, and one that does not says its arguments") {
  CHECK_NOTHROW(expect(true, "op", "{}", "never"));
  CHECK_THROWS_WITH_AS(expect(false, "op", "k: {}", 0.5), "[op] k: 0.5", InvalidArgument);
  CHECK_THROWS_WITH_AS(expect_state(false, "op", "closed"), "[op] closed", InvalidState);
}
