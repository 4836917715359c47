#include "vlmprobe/models/chat_client.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "support.h"

using namespace vlmprobe;

namespace {

// Answers every request with the last word of its body's text; one that holds "hang" gets nothing.
class Server {
 public:
  Server() : listener_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET, address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address);
    listen(listener_, 64);
    socklen_t size = sizeof address;
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    url_ = "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port)) + "/v1";
    accepting_ = std::thread([this] { accept_all(); });
  }
  ~Server() {
    shutdown(listener_, SHUT_RDWR);
    accepting_.join();
    for (std::thread& thread : serving_) thread.join();
    close(listener_);
  }
  const std::string& url() const { return url_; }
  int requests() const { return requests_; }

 private:
  void accept_all() {
    for (int connection = accept(listener_, nullptr, nullptr); connection >= 0;
         connection = accept(listener_, nullptr, nullptr))
      serving_.emplace_back([this, connection] { serve(connection); });
  }
  void serve(int connection) {
    std::string held;
    char bytes[4096];
    for (ssize_t count = 0; (count = recv(connection, bytes, sizeof bytes, 0)) > 0;) {
      held.append(bytes, static_cast<std::size_t>(count));
      const std::size_t head = held.find("\r\n\r\n");
      if (head == held.npos) continue;
      const std::size_t length = std::stoul(held.substr(held.find("Content-Length: ") + 16));
      if (held.size() < head + 4 + length) continue;
      ++requests_;
      const std::size_t end = held.rfind("\"}]"), begin = held.rfind(' ', end) + 1;
      const std::string word = held.substr(begin, end - begin);
      const bool silent = held.find("hang") != held.npos;
      held.clear();
      if (silent) continue;
      const std::string body = R"({"choices":[{"message":{"content":")" + word + R"("},"finish_reason":"stop"}]})";
      const std::string answer =
          "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
      send(connection, answer.data(), answer.size(), MSG_NOSIGNAL);
    }
    close(connection);
  }

  int listener_;
  std::string url_;
  std::atomic<int> requests_ = 0;
  std::vector<std::thread> serving_;
  std::thread accepting_;
};

models::Request question(const std::string& text) {
  models::Request request;
  request.messages = {{"user", text}};
  return request;
}

models::ChatOptions options() {
  models::ChatOptions made;
  made.model = "m", made.attempt_timeout_s = 20, made.first_pause_s = 0.01;
  return made;
}

}  // namespace

TEST_CASE("one client serves several threads, and each gets its own replies") {
  if (!models::has_chat_client()) return;
  const Server server;
  models::ChatClient client({{server.url()}}, options());
  std::atomic<int> right = 0;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([&, t] {
        std::vector<models::Request> requests;
        for (int i = 0; i < 50; ++i)
          requests.push_back(question("say w" + std::to_string(i % 2 == 0 ? i : 100 * t + i)));
        const auto replies = client.reply(requests);
        for (std::size_t i = 0; i < replies.size(); ++i)
          right += replies[i].status == models::Status::ok && "say " + replies[i].text == requests[i].messages[0].text;
      });
  }
  CHECK(right == 200);
  CHECK(server.requests() <= 200);
  CHECK(client.spent().calls == server.requests());
}

TEST_CASE("a batch that is given up ends at once, and so does the client") {
  if (!models::has_chat_client()) return;
  const Server server;
  models::ChatClient client({{server.url()}}, options());
  const std::vector<models::Request> requests = {question("hang one"), question("hang two")};
  CHECK_THROWS_AS(client.reply(requests, {.meanwhile = [] { throw InvalidState("enough"); }}), InvalidState);
  const std::vector<models::Request> next = {question("say on")};
  CHECK(client.reply(next)[0].text == "on");
}

TEST_CASE("replies are handed on while others are waited for, each once") {
  if (!models::has_chat_client()) return;
  const Server server;
  models::ChatOptions quick = options();
  quick.attempt_timeout_s = 0.4, quick.max_attempts = 1;
  models::ChatClient client({{server.url()}}, quick);
  std::vector<models::Request> requests = {question("hang on")};
  for (int i = 0; i < 20; ++i) requests.push_back(question("say w" + std::to_string(i)));
  std::vector<std::vector<std::size_t>> told;
  models::Waiting waiting;
  waiting.arrived = [&](std::span<const std::size_t> places, std::span<const models::Reply> replies) {
    told.emplace_back(places.begin(), places.end());
    for (const std::size_t place : places)
      CHECK(replies[place].status == (place == 0 ? models::Status::timeout : models::Status::ok));
  };
  const auto replies = client.reply(requests, waiting);
  REQUIRE(told.size() >= 2);
  CHECK(told.back() == std::vector<std::size_t>{0});
  std::vector<int> times(requests.size());
  for (const auto& places : told)
    for (const std::size_t place : places) ++times[place];
  CHECK(times == std::vector<int>(requests.size(), 1));
  CHECK(replies[20].text == "w19");
}

TEST_CASE("a client says what it is, and refuses what it cannot be") {
  if (!models::has_chat_client()) {
    CHECK(thrown([] { models::ChatClient({{"http://a/v1"}}, options()); }).find("this build has no libcurl") !=
          std::string::npos);
    return;
  }
  models::ChatOptions named = options();
  named.revision = "abc";
  CHECK(models::ChatClient({{"http://127.0.0.1:9/v1"}}, named).identity() == "m@abc");
  named.max_attempts = 0;
  CHECK(thrown([&] { models::ChatClient({{"http://a/v1"}}, named); }) ==
        "[models::ChatClient] max_attempts: expected at least 1, got 0");
}
