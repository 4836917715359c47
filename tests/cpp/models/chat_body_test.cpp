#include "../../../src/models/chat_body.h"

#include <string>
#include <string_view>

#include "../../../src/models/base64.h"
#include "support.h"

using namespace vlmprobe;
using models::read_reply;
using models::Status;

namespace {

models::Request question(std::string text) {
  models::Request request;
  request.messages = {{"system", "Be short."}, {"user", std::move(text)}};
  return request;
}

models::ChatOptions options() {
  models::ChatOptions made;
  made.model = "m";
  return made;
}

std::string body_of(const models::Request& request, const models::ChatOptions& with = options()) {
  return models::body_of(request, with,
                         [](const models::EncodedImage& image) -> std::string_view { return image.data; });
}

// A body whose message has this content; `more` follows the content, `ending` the message.
std::string choice(const std::string& content, const std::string& ending = R"(,"finish_reason":"stop")",
                   const std::string& more = "") {
  return R"({"choices":[{"message":{"role":"assistant","content":)" + content + more + "}" + ending + "}]}";
}

}  // namespace

TEST_CASE("base64 of RFC 4648, section 10") {
  CHECK(models::base64("").empty());
  CHECK(models::base64("f") == "Zg==");
  CHECK(models::base64("fo") == "Zm8=");
  CHECK(models::base64("foo") == "Zm9v");
  CHECK(models::base64("foobar") == "Zm9vYmFy");
  CHECK(models::base64("\xFF\xFE\xFD") == "//79");
}

TEST_CASE("a body holds everything that was asked for, and nothing that was not") {
  CHECK(
      body_of(question("Hi")) ==
      R"({"max_tokens":512,"model":"m","temperature":0.0,"top_p":1.0,"messages":[{"role":"system","content":"Be short."},{"role":"user","content":"Hi"}]})");
  models::Request full = question("a \"quote\"\n\xFF");
  full.messages.erase(full.messages.begin());
  full.messages[0].images = {std::make_shared<models::EncodedImage>("IMG", "image/jpeg")};
  full.sampling = {0.5, 0.9, 7, 3};
  full.schema = R"({"type":"object"})";
  CHECK(
      body_of(full) ==
      R"({"max_tokens":7,"model":"m","response_format":{"json_schema":{"name":"reply","schema":{"type":"object"},"strict":true},"type":"json_schema"},"seed":3,"temperature":0.5,"top_p":0.9,"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/jpeg;base64,IMG"}},{"type":"text","text":"a \"quote\"\n)"
      "\xEF\xBF\xBD"
      R"("}]}]})");
  models::ChatOptions plain = options();
  plain.schema = false, plain.extra = R"({"top_k":5,"temperature":1})";
  CHECK(body_of(full, plain)
            .starts_with(R"({"max_tokens":7,"model":"m","seed":3,"temperature":1,"top_k":5,"top_p":0.9,)"));
}

TEST_CASE("two requests are the same when all but their names are") {
  models::Request a = question("Hi"), b = a;
  b.id = "another";
  CHECK(models::key_of(a, options()) == models::key_of(b, options()));
  b.vote = 1;
  CHECK(models::key_of(a, options()) != models::key_of(b, options()));
  a.messages[1].images = {std::make_shared<models::EncodedImage>("x")};
  b = a;
  b.messages[1].images = {std::make_shared<models::EncodedImage>("x")};
  CHECK(models::key_of(a, options()) == models::key_of(b, options()));
  b.messages[1].images = {std::make_shared<models::EncodedImage>("y")};
  CHECK(models::key_of(a, options()) != models::key_of(b, options()));
}

TEST_CASE("a reply is read from what servers send") {
  const auto reply = read_reply(
      R"({"choices":[{"message":{"content":"two","reasoning_content":"I count."},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":1}})");
  CHECK(reply.status == Status::ok);
  CHECK(reply.text == "two");
  CHECK(reply.reasoning == "I count.");
  CHECK(reply.finish_reason == "stop");
  CHECK(reply.usage.prompt_tokens == 7);
  CHECK(reply.usage.completion_tokens == 1);

  const auto thinking = read_reply(choice(R"("<think>a </think> b</think>\n\ntwo ")"));
  CHECK(thinking.status == Status::ok);
  CHECK(thinking.text == "two ");
  CHECK(thinking.reasoning == "a </think> b");
  CHECK(read_reply(choice(R"("thought</think>two")")).text == "two");
  CHECK(read_reply(choice(R"([{"type":"text","text":"t"},{"type":"output_text","text":"wo"}])")).text == "two");
  CHECK(read_reply(choice("\"\xFFtwo\"")).text == "\xEF\xBF\xBDtwo");
}

TEST_CASE("what is no answer has a status that says so, and no text") {
  const auto status = [](std::string_view body) { return read_reply(body).status; };
  CHECK(status(R"({"choices":[{"message":{"content":""},"finish_reason":"stop"}]})") == Status::empty);
  CHECK(status(R"({"choices":[{"message":{"content":null},"finish_reason":"stop"}]})") == Status::empty);
  CHECK(status(choice(R"(" \n")")) == Status::empty);
  CHECK(status(R"({"choices":[{"message":{"content":"<think>on and on"},"finish_reason":"stop"}]})") == Status::empty);
  CHECK(status(R"({"choices":[{"message":{"content":"<think>on and on"},"finish_reason":"length"}]})") ==
        Status::truncated);
  CHECK(status(R"({"choices":[{"message":{"content":"","reasoning":"r"},"finish_reason":"length"}]})") ==
        Status::truncated);
  CHECK(status(R"({"choices":[{"message":{"content":"no","refusal":"I may not."}}]})") == Status::refusal);
  CHECK(status(R"({"choices":[{"message":{"content":"two"},"finish_reason":"content_filter"}]})") == Status::refusal);
  for (const std::string_view body :
       {"", "[]", "null", "\"two\"", "{", R"({"choices":[]})", R"({"choices":[{}]})", R"({"choices":"two"})",
        R"({"choices":[{"message":{"content":"two")", R"({"error":{"message":"overloaded"}})", R"({"error":"no"})",
        "<html>502</html>", R"({"choices":[1]})"}) {
    const auto reply = read_reply(body);
    CHECK(reply.status == Status::transport);
    CHECK(reply.text.empty());
    CHECK(!reply.error.empty());
  }
  CHECK(read_reply(R"({"error":{"message":"overloaded"}})").error == "the body says: overloaded");
  CHECK(read_reply(R"({"choices":[{"message":{"content":"x","refusal":"I may not."}}]})").text.empty());
}

TEST_CASE("a server's complaint is found where it stands") {
  CHECK(models::complaint(R"({"error":{"message":"no such model"}})") == "no such model");
  CHECK(models::complaint(R"({"error":"no"})") == "no");
  CHECK(models::complaint(R"({"detail":"Not Found"})") == "Not Found");
  CHECK(models::complaint("<html>\xFF") == "<html>\xEF\xBF\xBD");
  CHECK(models::complaint("").empty());
  CHECK(models::complaint(std::string(1000, 'x')).size() == 300);
}

TEST_CASE("credit that is spent is told from a limit per minute by its code alone") {
  CHECK(models::credit_is_spent(R"({"error":{"message":"m","type":"insufficient_quota","code":null}})"));
  CHECK(models::credit_is_spent(R"({"error":{"message":"m","code":"billing_not_active"}})"));
  const char* const words = "You exceeded your current quota, please check your plan and billing details.";
  for (const std::string& body :
       {std::string(R"({"error":{"message":")") + words + R"(","code":"rate_limit_exceeded"}})",
        std::string(R"({"error":{"message":")") + words + R"(","code":429,"status":"RESOURCE_EXHAUSTED"}})",
        std::string(R"({"error":"insufficient_quota"})"), std::string(R"({"code":"insufficient_quota"})"),
        std::string("insufficient_quota"), std::string("[]"), std::string()})
    CHECK(!models::credit_is_spent(body));
}

TEST_CASE("requests that the protocol has no place for are refused by name") {
  const auto said = [](const models::Request& request) { return thrown([&] { models::check_request(request, 3); }); };
  models::Request request = question("Hi");
  CHECK(said(request).empty());
  request.messages[0].role = "tool";
  CHECK(said(request) == "[models::reply] requests[3].role: expected system, user or assistant, got 'tool'");
  request = question("Hi"), request.sampling.max_tokens = 0;
  CHECK(said(request) == "[models::reply] requests[3].max_tokens: expected at least 1, got 0");
  request = question("Hi"), request.sampling.temperature = -1;
  CHECK(said(request) == "[models::reply] requests[3].temperature: expected at least 0, got -1");
  request = question("Hi"), request.schema = "[";
  CHECK(said(request) == "[models::reply] requests[3].schema: expected a JSON object, got '['");
  CHECK(said({}) == "[models::reply] requests[3].messages: expected at least one, got none");
}
