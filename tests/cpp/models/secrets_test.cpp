#include "../../../src/models/secrets.h"

#include <string>

#include "../../../src/models/base64.h"
#include "support.h"

using namespace vlmprobe;
using models::Secrets;

namespace {

const std::string kKey = "sk-Ab/3+x9ZqW0Tr5Ny=";

Secrets secrets(const std::string& key) {
  return Secrets({{"http://a/v1", key}}, "");
}

}  // namespace

TEST_CASE("a key is cut however it is spelled") {
  const Secrets known = secrets(kKey);
  CHECK(known.cut("Bearer " + kKey + ", " + kKey) == "Bearer [key], [key]");
  CHECK(known.cut(R"(sk-Ab\/3+x9ZqW0Tr5Ny\u003d!)") == "[key]!");
  CHECK(known.cut("?key=sk-Ab%2F3%2bx9ZqW0Tr5Ny%3D&a=1") == "?key=[key]&a=1");
  CHECK(known.cut("sk-Ab&#x2F;3&#43;x9ZqW0Tr5Ny&#x3d;") == "[key]");
  for (const std::string user : {"", "u", "me", "you", "user:"}) {
    const std::string cut = known.cut("Basic " + models::base64(user + kKey) + ".");
    CHECK(cut.find("[key]") != cut.npos);
    CHECK(cut.size() < 25);  // of 28 characters and more at most the ends are left
  }
  CHECK(known.cut("cut off: " + kKey.substr(0, 14)) == "cut off: [key]");
  CHECK(known.cut("sk-Ab is how they begin") == "sk-Ab is how they begin");
}

TEST_CASE("a key that is part of its own mark, or of another key, ends the search") {
  for (const std::string key : {"key", "[key]", "e", "[", "]", "k"}) {
    const std::string cut = secrets(key).cut("the " + key + " and [key] of the keeper");
    CHECK(cut.find("[key]") != cut.npos);
    CHECK(cut.size() < 200);
  }
  const Secrets two({{"http://a/v1", "sk-long"}, {"http://b/v1", "sk-long-longer"}}, "");
  CHECK(two.cut("sk-long-longer, sk-long") == "[key], [key]");
}

TEST_CASE("the password of a proxy is a secret, too") {
  const Secrets known({{"http://a/v1"}}, "http://me:hunter2@proxy:3128");
  CHECK(known.cut("407 for me:hunter2") == "407 for me:[key]");
  CHECK(Secrets({{"http://a/v1"}}, "proxy:3128").cut("proxy:3128") == "proxy:3128");
}

TEST_CASE("a body is JSON after the cut when it was before") {
  CHECK(secrets("error").cut_body(R"({"error": {"message": "error, error"}, "n": 1})", false) ==
        R"({"error": {"message": "[key], [key]"}, "n": 1})");
  CHECK(secrets("sk-secret-key").cut_body(R"({"a":"\\sk-secret-key\n","b":["\"sk-secret\u002dkey"]})", true) ==
        R"({"a":"\\[key]\n","b":["\"[key]"]})");
  CHECK(secrets("sk-secret-key").cut_body("<p>sk-secret-key", true) == "<p>[key]");
  CHECK(secrets("sk-secret-key").cut_body("{\"cut \\", true) == "{\"cut \\");
}

TEST_CASE("an answer keeps its words where a key is a word") {
  models::Reply reply;
  reply.text = "none of them", reply.finish_reason = "stop", reply.error = "none is no key";
  secrets("none").cut(reply);
  CHECK(reply.text == "none of them");
  CHECK(reply.error == "[key] is no key");
  reply.text = reply.reasoning = reply.finish_reason = "it is " + kKey;
  secrets(kKey).cut(reply);
  CHECK(reply.text + reply.reasoning + reply.finish_reason == "it is [key]it is [key]it is [key]");
}
