#include "../../../src/models/budget.h"

#include <string>

#include "../../../src/models/extra.h"
#include "support.h"

using namespace vlmprobe;
using models::Budget;
using models::Served;

namespace {

models::Request question(std::size_t bytes, std::int64_t images = 0) {
  models::Request request;
  request.messages = {{"user", std::string(bytes, 'x')}};
  for (; images > 0; --images) request.messages[0].images.push_back(std::make_shared<models::EncodedImage>("x"));
  return request;
}

models::ChatOptions tokens(std::int64_t most) {
  models::ChatOptions options;
  options.model = "m", options.max_tokens = most;
  return options;
}

std::string refused(const std::string& extra, std::int64_t most = 0) {
  models::ChatOptions options = tokens(most);
  options.extra = extra;
  return thrown([&] { models::check_extra(options); });
}

}  // namespace

TEST_CASE("a budget counts what is in flight before it is spent") {
  models::ChatOptions options = tokens(1000);
  options.max_calls = 3;
  Budget budget(options);
  const auto held = budget.needed(question(100), 300);
  CHECK(held.prompt_tokens == 164);  // and 64 for a template
  CHECK(held.completion_tokens == 300);
  budget.hold(held);
  CHECK(!budget.allows(held));  // alone until it is known how the server counts
  budget.release(held, Served::worked, {40, 20});
  const auto next = budget.needed(question(100), 300);
  CHECK(next.prompt_tokens == 140);  // a template has no more than the 40 that all had
  budget.hold(next);
  CHECK(budget.allows(next));  // 60 + 880
  budget.hold(next);
  CHECK(!budget.allows(next));
  budget.release(next, Served::worked, {40, 20});
  budget.release(next, Served::no);
  CHECK(budget.spent().calls == 2);
  CHECK(budget.spent().completion_tokens == 40);
  CHECK(budget.allows(next));
  budget.hold(next), budget.release(next, Served::failed);
  CHECK(budget.spent().completion_tokens == 40);
  CHECK(!budget.allows(next));  // three calls
  CHECK(budget.idle());
}

TEST_CASE("a budget of cost counts both prices") {
  models::ChatOptions options;
  options.max_cost = 0.003, options.prompt_price = 10, options.completion_price = 100;  // per million
  Budget budget(options);
  CHECK(budget.allows({100, 20}));  // 0.001 + 0.002
  CHECK(!budget.allows({100, 21}));
  budget.hold({100, 20}), budget.release({100, 20}, Served::worked, {50, 10});
  CHECK(budget.spent().cost == doctest::Approx(0.0015));
  CHECK(!budget.allows({100, 20}));
}

TEST_CASE("what a server does not count, or counts as it cannot be, is charged as it was held") {
  const models::Usage said[] = {{}, {40, 0}, {0, 20}, {3, 20}, {40, 20}};  // 3 tokens for 100 bytes: 33 bytes a token
  const models::Usage charged[] = {{164, 300}, {40, 300}, {164, 20}, {164, 20}, {40, 20}};
  for (std::size_t i = 0; i < std::size(said); ++i) {
    const models::ChatOptions options = tokens(1000);
    Budget budget(options);
    const auto held = budget.needed(question(100), 300);
    budget.hold(held);
    const models::Charge charge = budget.release(held, Served::worked, said[i]);
    CHECK(charge.calls == 1);
    CHECK(charge.prompt_tokens == charged[i].prompt_tokens);
    CHECK(charge.completion_tokens == charged[i].completion_tokens);
    CHECK(budget.spent().prompt_tokens == charge.prompt_tokens);
    CHECK(budget.spent().completion_tokens == charge.completion_tokens);
  }
}

TEST_CASE("what a server uses beyond what was held is charged, and held the next time") {
  const models::ChatOptions options = tokens(100000);
  Budget budget(options);
  const auto held = budget.needed(question(10, 1), 100);
  CHECK(held.prompt_tokens == 1074);
  budget.hold(held);
  CHECK(budget.release(held, Served::worked, {5000, 250}).prompt_tokens == 5000);
  const auto next = budget.needed(question(30, 1), 40);
  CHECK(next.prompt_tokens == 1030 + 3990);
  CHECK(next.completion_tokens == 40 + 150);
}

TEST_CASE("what a body allows is its greatest length times its completions") {
  const auto length = [](const char* extra, std::int64_t own = 100) { return models::lengths_of(extra).of(own); };
  CHECK(length("") == 100);
  CHECK(length(R"({"top_k":5,"stream":false,"n":null})") == 100);
  CHECK(length(R"({"max_tokens":50})") == 50);  // in the place of the request's
  CHECK(length(R"({"max_completion_tokens":50})") == 100);
  CHECK(length(R"({"max_completion_tokens":2000})") == 2000);
  CHECK(length(R"({"max_tokens":null,"max_completion_tokens":50})") == 50);
  CHECK(length(R"({"maxOutputTokens":700})") == 700);
  CHECK(length(R"({"n_predict":300,"n":2})") == 600);
  CHECK(length(R"({"n":3,"best_of":4})") == 1200);
  CHECK(length(R"({"options":{"num_predict":900,"stop":"x"}})") == 900);
  CHECK(length(R"({"thinking_budget":1000,"n":2})") == 2200);
  CHECK(length(R"({"thinking":{"type":"enabled","budget_tokens":500}})") == 600);
  CHECK(length(R"({"max_tokens":18446744073709551615,"n":9})") == models::kMostTokens);
  CHECK(length("", std::int64_t{1} << 62) == models::kMostTokens);
  CHECK(length(R"({"response_format":{"schema":{"properties":{"max_tokens":{"type":"integer"}}}}})") == 100);
}

TEST_CASE("fields of another type are refused by name at the start") {
  CHECK(refused("").empty());
  CHECK(refused(R"({"temperature":1,"seed":3,"max_tokens":null})").empty());
  CHECK(refused(R"({"max_tokens":"2000"})") ==
        "[models::ChatClient] extra.max_tokens: expected a whole number or null, got \"2000\"");
  CHECK(refused(R"({"max_completion_tokens":2.5})").find("extra.max_completion_tokens: expected a whole") !=
        std::string::npos);
  CHECK(refused(R"({"max_output_tokens":[9]})").find("expected a whole number or null, got [9]") != std::string::npos);
  CHECK(refused(R"({"n":0})") == "[models::ChatClient] extra.n: expected a whole number of at least 1, or null, got 0");
  CHECK(refused(R"({"best_of":true})").find("extra.best_of") != std::string::npos);
  CHECK(refused(R"({"temperature":"hot"})").find("extra.temperature: expected a number or null") != std::string::npos);
  for (const char* own : {R"({"messages":[]})", R"({"model":"other"})", R"({"stream":true})", R"({"stream":"yes"})"})
    CHECK(refused(own).find("extra: expected neither messages, model nor stream, got '") != std::string::npos);
  for (const char* none : {"[]", "{", "{\"a\":NaN}", "1e999"})
    CHECK(refused(none) == "[models::ChatClient] extra: expected a JSON object, got '" + std::string(none) + "'");
  CHECK(refused("{\"a\":" + std::string(100000, '[') + std::string(100000, ']') + "}") ==
        "[models::ChatClient] extra: expected at most 64 levels, got more");
}

TEST_CASE("a budget of tokens or cost needs replies that end") {
  for (const char* endless : {R"({"max_tokens":null})", R"({"n_predict":-1})", R"({"max_tokens":0})",
                              R"({"max_tokens":null,"max_completion_tokens":null})", R"({"thinking_budget":-1})",
                              R"({"max_tokens":null,"options":{"num_predict":9}})"}) {
    CAPTURE(endless);
    CHECK(refused(endless).empty());
    CHECK(refused(endless, 1000).find("extra: expected a length such as max_completion_tokens with a budget") !=
          std::string::npos);
  }
  CHECK(refused(R"({"max_tokens":null,"max_completion_tokens":9,"thinking_budget":0})", 1000).empty());
}
