#include "../../../src/models/reply_body.h"

#include <string>

#include "../../../src/models/chat_body.h"
#include "../../../src/models/event_stream.h"
#include "support.h"

using namespace vlmprobe;
using namespace std::string_literals;

namespace {

std::string event(const std::string& data) {
  return "data: " + data + "\n\n";
}

const std::string kEnd = event(R"({"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]})") + "data: [DONE]\n\n";

std::string delta(const std::string& fields) {
  return event(R"({"choices":[{"index":0,"delta":{)" + fields + "}}]}");
}

models::Reply read(const std::string& stream) {
  const models::JsonBody body = models::json_of(models::text_of(stream));
  CHECK(body.error.empty());
  return models::read_reply(body.json);
}

std::string trouble(const std::string& stream) {
  return models::json_of(models::text_of(stream)).error;
}

}  // namespace

TEST_CASE("marks of the byte order and UTF-16 are read, other bytes stay") {
  CHECK(models::text_of("\xEF\xBB\xBF{}") == "{}");
  CHECK(models::text_of("\xFF\xFE{\0}\0"s) == "{}");
  CHECK(models::text_of("\xFE\xFF\0{\0}"s) == "{}");
  CHECK(models::text_of("{\0}\0"s) == "{}");
  CHECK(models::text_of("\xFF\xFE\x3D\xD8\x00\xDE\x3D\xD8"s) == "\xF0\x9F\x98\x80\xEF\xBF\xBD");
  for (const std::string body : {"", "{", "{}", "\xFF", "\xFF\xFE\x41", "\x1F\x8B\x08"})
    CHECK(models::text_of(body) == body);
}

TEST_CASE("a stream of events is one reply: texts joined, the last reason and usage kept, the first choice alone") {
  const auto reply =
      read(": a comment\r\n\r\n" + delta(R"("role":"assistant","content":"")") + delta(R"("reasoning_content":"I ")") +
           delta(R"("reasoning_content":"count.","content":null)") + delta(R"("content":"tw")") +
           event(R"({"choices":[{"index":1,"delta":{"content":"no"}}]})") + delta(R"("content":"o")") +
           event(R"({"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2}})") + kEnd);
  CHECK(reply.status == models::Status::ok);
  CHECK(reply.text == "two");
  CHECK(reply.reasoning == "I count.");
  CHECK(reply.finish_reason == "stop");
  CHECK(reply.usage.prompt_tokens == 7);
  CHECK(read("data:" + delta(R"("content":"a")").substr(6, std::string::npos) + kEnd).text == "a");
  CHECK(
      read("id: 1\nevent: chunk\ndata: {\"choices\":\ndata: [{\"index\":0,\"delta\":{\"content\":\"b\"}}]}\n\n" + kEnd)
          .text == "b");
  std::string without_blanks = delta(R"("content":"c")") + kEnd;
  while (without_blanks.find("\n\n") != std::string::npos) without_blanks.replace(without_blanks.find("\n\n"), 2, "\n");
  CHECK(read(without_blanks).text == "c");
}

TEST_CASE("a stream that is not whole is no reply") {
  const std::string begun = delta(R"("content":"tw")");
  CHECK(trouble(begun) == "the stream of events ended before [DONE]");
  CHECK(trouble(begun + kEnd.substr(0, kEnd.find("data: [DONE]"))) == "the stream of events ended before [DONE]");
  CHECK(trouble(begun + "data: [DONE]\n\n") == "the stream of events has no finish_reason");
  CHECK(trouble(begun + "data: {\"choices\":[{\n\n" + kEnd) == "the stream of events holds what is no JSON object");
  for (const std::string& failed : {event(R"({"error":{"message":"out of memory"}})"),
                                    "event: error\n"s + event(R"({"message":"out of memory"})")}) {
    const auto reply = read(begun + failed + kEnd);
    CHECK(reply.status == models::Status::transport);
    CHECK(reply.error.find("out of memory") != reply.error.npos);
  }
  std::string deep = R"({"choices":[{"delta":{"content":)" + std::string(200000, '[');
  CHECK(!trouble(event(deep)).empty());
  CHECK(read(event(R"({"a":)" + std::string(100000, '[') + std::string(100000, ']') + "}") + begun + kEnd).text ==
        "tw");
}

TEST_CASE("what is no JSON at all has a sentence of its own") {
  CHECK(models::json_of("\x1F\x8B\x08").refused);
  CHECK(trouble("<!DOCTYPE HTML><TITLE>Sign\n in</TITLE>") ==
        "a web page came in place of a reply ('Sign in'): is the URL the server's own?");
  CHECK(models::json_of("{").error.empty());
  CHECK(models::words_in("<html><h1>502 Bad\nGateway</h1><hr>nginx") == "502 Bad Gateway nginx");
  CHECK(models::words_in(R"({"error":{"message":"overloaded"}})") == "overloaded");
  CHECK(models::words_in(event(R"({"error":{"message":"overloaded"}})")) == "overloaded");
  CHECK(models::words_in("upstream request timeout") == "upstream request timeout");
  CHECK(models::words_in("").empty());
  CHECK(models::words_in("<html>" + std::string(400, 'x') + "\xC3\xA4").size() == 300);
}
