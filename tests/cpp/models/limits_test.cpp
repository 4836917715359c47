#include "../../../src/models/concurrency.h"
#include "../../../src/models/image_texts.h"
#include "../../../src/models/retry.h"

#include <memory>
#include <string>

#include "support.h"
#include "vlmprobe/models/scripted_model.h"

using namespace vlmprobe;
using models::ConcurrencyLimit;
using models::Outcome;

TEST_CASE("the limit doubles a window at a time, falls once per episode, and grows slowly from then on") {
  ConcurrencyLimit limit(20, 100);
  for (int i = 0; i < 19; ++i) CHECK(!limit.succeeded(0));
  CHECK(limit.succeeded(0));
  CHECK(limit.limit() == 40);
  for (int i = 0; i < 40; ++i) limit.succeeded(0);
  CHECK(limit.limit() == 80);
  CHECK(limit.throttled(10, 0));     // 0.8 x 80
  CHECK(!limit.throttled(10.5, 0));  // the same episode
  CHECK(limit.limit() == 64);
  CHECK(limit.throttled(11.5, 3));
  CHECK(limit.limit() == 51);
  for (int i = 0; i < 500; ++i) limit.succeeded(14);  // the server asked for 3 s: until 14.5
  CHECK(limit.limit() == 51);
  for (int i = 0; i < 51; ++i) limit.succeeded(15);
  CHECK(limit.limit() == 56);
  limit.failed(20);
  for (int i = 0; i < 500; ++i) limit.succeeded(21);
  CHECK(limit.limit() == 56);
  for (int i = 0; i < 10000; ++i) limit.succeeded(30);
  CHECK(limit.limit() == 100);
  ConcurrencyLimit one(1, 1);
  CHECK(!one.throttled(5, 0));
  CHECK(one.limit() == 1);
}

TEST_CASE("what is tried again") {
  for (const long again : {408L, 409L, 425L, 500L, 502L, 503L, 504L})
    CHECK(models::outcome_of(again) == Outcome::again);
  for (const long never : {301L, 400L, 401L, 403L, 404L, 413L, 422L})
    CHECK(models::outcome_of(never) == Outcome::rejected);
  CHECK(models::outcome_of(429) == Outcome::throttled);
  CHECK(models::outcome_of(200) == Outcome::reply);
}

TEST_CASE("only two statuses bring a reply, and one that is none of HTTP's is an outage") {
  for (long http = -1; http < 1100; ++http) {
    CAPTURE(http);
    CHECK((models::outcome_of(http) == Outcome::reply) == (http == 200 || http == 201));
  }
  for (const long odd : {-1L, 0L, 101L, 202L, 204L, 206L, 299L, 499L, 520L, 529L, 599L, 600L, 999L})
    CHECK(models::outcome_of(odd) == Outcome::again);
  for (const long refused : {300L, 307L, 402L, 418L, 434L, 451L})
    CHECK(models::outcome_of(refused) == Outcome::rejected);
}

TEST_CASE("a gateway's failure may have cost tokens, a server's own has not") {
  for (const long idle : {409L, 425L, 500L, 503L, 529L}) CHECK(!models::may_have_worked(idle));
  for (const long unknown : {0L, 202L, 206L, 499L, 502L, 504L, 520L, 524L, 600L})
    CHECK(models::may_have_worked(unknown));
}

TEST_CASE("pauses double up to half a minute, a quarter more or less") {
  for (std::uint64_t request = 0; request < 100; ++request)
    for (std::int64_t attempts = 1; attempts < 30; ++attempts) {
      const double expected = std::min(30.0, 0.5 * std::exp2(static_cast<double>(attempts - 1)));
      const double pause = models::pause_after(attempts, 0.5, request);
      REQUIRE(pause >= 0.75 * expected);
      REQUIRE(pause <= 1.25 * expected);
    }
  CHECK(models::pause_after(3, 0.5, 1) != models::pause_after(3, 0.5, 2));
}

TEST_CASE("images are encoded once, and the least recently used ones go") {
  models::ImageTexts texts(8);  // bytes: two texts of four
  const models::EncodedImage a("aaa"), b("bbb"), c("ccc");
  const char* const first = texts.of(a).data();
  CHECK(texts.of(a) == "YWFh");
  texts.of(b);
  CHECK(texts.of(a).data() == first);
  texts.of(c);  // b goes
  CHECK(texts.of(a).data() == first);
  CHECK(texts.of(b) == "YmJi");
}

TEST_CASE("a model is asked through its interface") {
  const std::unique_ptr<models::Model> model = std::make_unique<models::ScriptedModel>(
      std::map<std::string, std::string, std::less<>>{{"How many?", "two"}, {"Why?", ""}, {"Where?", " \n"}});
  models::Request known, silent, blank, unknown;
  known.messages = {{"system", "Look."}, {"user", "How many?"}};
  silent.messages = {{"user", "Why?"}}, unknown.messages = {{"user", "Who?"}};
  blank.messages = {{"user", "Where?"}};
  const std::vector<models::Request> requests = {known, silent, unknown, blank};
  const auto replies = model->reply(requests);
  CHECK(replies[0].text == "two");
  CHECK(replies[0].usage.prompt_tokens == 3);
  CHECK(replies[1].status == models::Status::empty);
  CHECK(replies[2].status == models::Status::rejected);
  CHECK(replies[3].status == models::Status::empty);
  CHECK(replies[3].text.empty());
}
