#include "../../../src/models/servers.h"

#include <limits>
#include <string>
#include <vector>

#include "../../../src/models/retry.h"
#include "support.h"

using namespace vlmprobe;
using models::kNever;
using models::Pauses;
using models::Servers;

namespace {

models::ChatOptions options(std::int64_t limit) {
  models::ChatOptions made;
  made.model = "m", made.first_limit = made.max_limit = limit;
  return made;
}

Servers servers(int count, std::int64_t limit) {
  std::vector<models::Endpoint> endpoints;
  for (int i = 0; i < count; ++i) endpoints.push_back({"http://s" + std::to_string(i) + "/v1"});
  return Servers(endpoints, options(limit));
}

}  // namespace

TEST_CASE("a wait that a server asks for is a number or a date, and at most a minute") {
  const auto wait = [](std::string_view value, double until_date = 0) {
    return models::retry_after_s(value, until_date);
  };
  CHECK(wait(" 0.05\r\n") == 0.05);
  CHECK(wait("30") == 30);
  CHECK(wait("1e9") == 60);
  CHECK(wait("99999999999999999999999999") == 60);
  CHECK(wait(std::string(400, '9')) == 60);
  CHECK(wait("inf") == 60);
  CHECK(wait("-5") == 0);
  CHECK(wait("nan") == 0);
  CHECK(wait("") == 0);
  CHECK(wait("soon") == 0);
  CHECK(wait("Fri, 31 Dec 9999 23:59:59 GMT", 2.5e11) == 60);
  CHECK(wait("Fri, 31 Dec 1999 23:59:59 GMT", -8e8) == 0);
}

TEST_CASE("what one server refuses another may have at once, and the same one after the pause") {
  Servers two = servers(2, 1);
  Pauses pauses;
  models::Server* const first = two.best(0, pauses);
  pauses.set(*first, 5);
  models::Server* const other = two.best(0, pauses);
  CHECK(other != first);
  ++other->in_flight;
  CHECK(two.best(0, pauses) == nullptr);
  CHECK(two.room(0, pauses) == 5);
  CHECK(two.best(5, pauses) == first);
  CHECK(two.best(0, {}) == first);  // another request
}

TEST_CASE("a server that fails gets one request at a time to find out, while others take requests") {
  Servers two = servers(2, 4);
  models::Server* const bad = two.best(0, {});
  CHECK(!two.failed(*bad, 0, false));
  CHECK(!two.failed(*bad, 0, false));
  CHECK(two.failed(*bad, 0, false));
  models::Server* const good = two.best(0, {});
  CHECK(good != bad);
  good->in_flight = 4;
  CHECK(two.best(0.5, {}) == nullptr);
  CHECK(two.room(0.5, {}) == 1);
  CHECK(two.best(1, {}) == bad);  // to find out
  ++bad->in_flight;
  CHECK(two.best(1, {}) == nullptr);
  CHECK(two.room(1, {}) == kNever);
  CHECK(two.worked(*bad));
  CHECK(two.best(1, {}) == bad);
  good->paused_until = 100;
  for (int i = 0; i < 3; ++i) two.failed(*bad, 2, false);
  CHECK(two.best(2, {}) == bad);  // there is no other
}

TEST_CASE("servers stall together, from the moment on when the last one does") {
  Servers two = servers(2, 4);
  models::Server* const a = two.best(0, {});
  ++a->in_flight;
  models::Server* const b = two.best(0, {});
  CHECK(two.stalled_since(1) == kNever);
  a->paused_until = 50;
  CHECK(two.stalled_since(2) == kNever);
  for (int i = 0; i < 3; ++i) two.failed(*b, 3, false);
  CHECK(two.stalled_since(3) == 3);
  CHECK(two.stalled_since(9) == 3);
  CHECK(two.stalled_since(51) == kNever);
}

TEST_CASE("servers are lost when none was ever reached, each was tried since the request came, and time is up") {
  Servers two = servers(2, 4);
  models::Server* const a = two.best(0, {});
  ++a->in_flight;
  models::Server* const b = two.best(0, {});
  two.failed(*a, 1, true);
  CHECK(!two.lost(10, 0, 100));
  two.failed(*b, 2, true);
  CHECK(!two.lost(10, 0, 10.5));
  CHECK(two.lost(10, 0, 11));
  CHECK(!two.lost(10, 1.5, 11));  // a was not tried for this one
  two.worked(*a);
  two.failed(*a, 12, true);
  CHECK(!two.lost(10, 0, 1000));
}
