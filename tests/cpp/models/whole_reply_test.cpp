#include <string>
#include <string_view>

#include "../../../src/models/chat_body.h"
#include "support.h"
#include "vlmprobe/models/finish.h"

using namespace vlmprobe;
using models::Finish;
using models::read_reply;
using models::Status;

namespace {

// A reply of the text "two"; `message` follows its content, `choice` the message, `body` the choices.
std::string two(const std::string& choice = R"(,"finish_reason":"stop")", const std::string& message = "",
                const std::string& body = "") {
  return R"({"choices":[{"index":0,"message":{"role":"assistant","content":"two")" + message + "}" + choice + "}]" +
         body + "}";
}

std::string ended(const std::string& reason) {
  return two(R"(,"finish_reason":)" + reason);
}

std::string content(const std::string& json) {
  return R"({"choices":[{"message":{"content":)" + json + R"(},"finish_reason":"stop"}]})";
}

Status status(const std::string& body) {
  const models::Reply reply = read_reply(body);
  CHECK((reply.status == Status::ok || reply.status == Status::truncated || reply.text.empty()));
  CHECK((reply.status != Status::transport || !reply.error.empty()));
  return reply.status;
}

models::Usage usage(const std::string& json, const std::string& text = "two") {
  return read_reply(R"({"choices":[{"message":{"content":")" + text + R"("},"finish_reason":"stop"}],"usage":)" + json +
                    "}")
      .usage;
}

}  // namespace

TEST_CASE("only the names of a closed list are whole answers") {
  for (const char* whole : {"stop", "STOP", "eos", "eos_token", "stop_sequence", "end_turn", "end-turn"}) {
    CAPTURE(whole);
    CHECK(models::finish_of(whole) == Finish::whole);
    CHECK(status(ended('"' + std::string(whole) + '"')) == Status::ok);
  }
  for (const char* cut : {"length", "max_tokens", "MAX_TOKENS", "model_length", "max_output_tokens",
                          "model_context_window_exceeded", "repetition"})
    CHECK(status(ended('"' + std::string(cut) + '"')) == Status::truncated);
  for (const char* filtered :
       {"content_filter", "content-filter", "sensitive", "SAFETY", "RECITATION", "refusal", "IMAGE_PROHIBITED_CONTENT",
        "image_recitation", "MODEL_ARMOR", "content_filter: PROHIBITED_CONTENT", "content_filter:recitation"})
    CHECK(status(ended('"' + std::string(filtered) + '"')) == Status::refusal);
  for (const char* tool : {"tool_calls", "tool-calls", "function_call", "tool_use"})
    CHECK(status(ended('"' + std::string(tool) + '"')) == Status::empty);
}

TEST_CASE("a name that is on no list, another type, or no name at all is an outage") {
  for (const char* unknown : {"error", "abort", "network_error", "insufficient_system_resource", "timeout", "cancelled",
                              "other", "unknown", "null", "stopped", " stop", "stop ", "", "st\\u043Ep"}) {
    CAPTURE(unknown);
    CHECK(status(ended('"' + std::string(unknown) + '"')) == Status::transport);
  }
  for (const char* other : {"null", "0", "true", "{}", R"({"type":"stop"})", R"(["stop"])"})
    CHECK(status(ended(other)) == Status::transport);
  CHECK(status(two("")) == Status::transport);
  CHECK(read_reply(ended("\"abort\"")).error == "the reply ended with finish_reason 'abort', which is no answer's");
}

TEST_CASE("an error inside or beside the choices outlives the text") {
  const std::string stop = R"(,"finish_reason":"stop")", error = R"(,"error":{"code":502,"message":"upstream closed"})";
  for (const std::string& body : {two(stop, "", error), two(stop + error), two(stop, error)}) {
    CHECK(status(body) == Status::transport);
    CHECK(read_reply(body).error == "the body says: upstream closed");
  }
  CHECK(read_reply(two(stop, "", R"(,"error":{"code":1})")).error == "the body says: an error without a message");
  CHECK(status(two(stop, "", R"(,"error":"overloaded")")) == Status::transport);
  CHECK(status(two(stop, "", R"(,"error":true)")) == Status::transport);
  for (const char* beside : {R"(,"object":"error","message":"boom")", R"(,"type":"error")", R"(,"errors":["boom"])"})
    CHECK(status(two(stop, "", beside)) == Status::transport);
  CHECK(read_reply(R"({"message":"busy"})").error == R"(the body has no choices: {"message":"busy"})");
  CHECK(read_reply("Ollama is running").error == "the body is no JSON object: Ollama is running");
  CHECK(read_reply("\n").error == "the body is empty");
  for (const char* none : {"null", "false", "\"\"", "{}", "[]"}) {
    const std::string field = R"(,"error":)" + std::string(none);
    CHECK(status(two(stop + field, field, field)) == Status::ok);
  }
}

TEST_CASE("only parts of text are text") {
  const std::string text = R"({"type":"text","text":"two"})";
  CHECK(status(content("[" + text + "]")) == Status::ok);
  for (const char* foreign :
       {R"({"type":"image_url","image_url":{"url":"x"}})", R"({"type":"input_text","text":"three"})", R"("three")", "3",
        R"({"text":"three"})", R"({"type":"text","text":3})", R"({"type":"text"})", R"({"type":null,"text":"x"})"}) {
    CAPTURE(foreign);
    CHECK(status(content("[" + text + "," + foreign + "]")) == Status::transport);
  }
  CHECK(status(content("[" + text + R"(,{"type":"tool_use","name":"look"}])")) == Status::empty);
  CHECK(status(content("[" + text + R"(,{"type":"refusal","refusal":"I may not."}])")) == Status::refusal);
  CHECK(read_reply(content(R"([{"type":"refusal","refusal":"I may not."}])")).error == "I may not.");
  const auto thinking = read_reply(content(R"([{"type":"thinking","thinking":"I count."},)" + text + "]"));
  CHECK(thinking.text == "two");
  CHECK(thinking.reasoning == "I count.");
  CHECK(status(content(R"([{"type":"thinking","thinking":"I count."}])")) == Status::empty);
  for (const char* other : {"3", "true", R"({"text":"two"})"}) CHECK(status(content(other)) == Status::transport);
  for (const char* nothing : {"null", "[]", "\"\"", "\" \\n\"", "\"\\u3000\""})
    CHECK(status(content(nothing)) == Status::empty);
}

TEST_CASE("a message that is not the assistant's words alone is no answer") {
  const std::string stop = R"(,"finish_reason":"stop")";
  const auto with = [&](const std::string& more) { return status(two(stop, more)); };
  CHECK(with(R"(,"tool_calls":[{"function":{"name":"look"}}])") == Status::empty);
  CHECK(with(R"(,"function_call":{"name":"look"})") == Status::empty);
  CHECK(with(R"(,"tool_calls":[],"function_call":null,"refusal":null)") == Status::ok);
  CHECK(with(R"(,"refusal":"I may not.")") == Status::refusal);
  for (const char* odd : {"true", "1", R"({"reason":"no"})", R"(["no"])"})
    CHECK(with(R"(,"refusal":)" + std::string(odd)) == Status::refusal);
  for (const char* role : {"\"user\"", "\"tool\"", "\"\"", "7"})
    CHECK(status(R"({"choices":[{"message":{"content":"two","role":)" + std::string(role) +
                 R"(},"finish_reason":"stop"}]})") == Status::transport);
}

TEST_CASE("thinking has many marks, and what has no end is no answer") {
  const auto said = [](const std::string& text) { return read_reply(content('"' + text + '"')); };
  for (const char* thought : {"<think>hm</think>", "◁think▷hm◁/think▷", "[THINK]hm[/THINK]", "<Thinking>hm</Thinking>",
                              "<seed:think>hm</seed:think>", "<|begin_of_thought|>hm<|end_of_thought|>"}) {
    CAPTURE(thought);
    CHECK(said(std::string(thought) + " two").text == "two");
    CHECK(said(std::string(thought) + " two").reasoning == "hm");
    CHECK(said(std::string(thought)).status == Status::empty);
  }
  for (const char* open : {"<think>two", "◁think▷two", "[THINK]two", "two <reasoning>or three"}) {
    CHECK(said(open).status == Status::empty);
    CHECK(said(open).reasoning.find("two") != std::string::npos);
  }
  CHECK(read_reply(two(R"(,"finish_reason":"stop")", R"(,"reasoning":null,"reasoning_content":"hm")")).reasoning ==
        "hm");
}

TEST_CASE("a count that cannot be is none") {
  CHECK(usage(R"({"prompt_tokens":7,"completion_tokens":2.0})").completion_tokens == 2);
  for (const char* odd : {"-1", "2.5", "\"2\"", "null", "1e30", "true", "[2]", "0"}) {
    CAPTURE(odd);
    const models::Usage found =
        usage(R"({"prompt_tokens":)" + std::string(odd) + R"(,"completion_tokens":)" + odd + "}");
    CHECK(found.prompt_tokens == 0);
    CHECK(found.completion_tokens == 0);
  }
  for (const char* none : {"null", "[]", "3", "{}", "\"7\""}) CHECK(usage(none).prompt_tokens == 0);
  const std::string words(640, 'w');  // 20 tokens at the least
  CHECK(usage(R"({"prompt_tokens":7,"completion_tokens":19})", words).completion_tokens == 0);
  CHECK(usage(R"({"prompt_tokens":7,"completion_tokens":20})", words).completion_tokens == 20);
  // The thinking may be in the total alone.
  CHECK(usage(R"({"prompt_tokens":7,"completion_tokens":2,"total_tokens":109})").completion_tokens == 102);
  CHECK(read_reply(R"({"error":{"message":"no"},"usage":{"prompt_tokens":7}})").usage.prompt_tokens == 7);
}

TEST_CASE("bodies of any depth and size are read or refused, and take no stack") {
  const std::size_t deep = 1000000;
  const std::string nested = std::string(deep, '[') + std::string(deep, ']');
  CHECK(status(nested) == Status::transport);
  CHECK(status(std::string(deep, '[')) == Status::transport);
  CHECK(status(content(nested)) == Status::transport);
  CHECK(status(two(R"(,"finish_reason":"stop","logprobs":)" + nested)) == Status::ok);
  CHECK(status(two(R"(,"finish_reason":"stop","error":)" + nested)) == Status::transport);
  CHECK(status(two(R"(,"finish_reason":)" + nested)) == Status::transport);
  models::Request request;
  request.messages = {{"user", "Hi"}};
  request.schema = R"({"a":)" + nested + "}";
  CHECK(thrown([&] { models::check_request(request, 0); }).find("schema: expected at most 64 levels") !=
        std::string::npos);
}
