#include <pybind11/functional.h>
#include <pybind11/stl.h>

#include "bindings.h"
#include "fields.h"
#include "vlmprobe/models/chat_client.h"
#include "vlmprobe/models/finish.h"
#include "vlmprobe/models/scripted_model.h"

namespace vlmprobe::python {
namespace {

namespace py = pybind11;
using namespace vlmprobe::models;

// Requests and replies as rows of plain values; `vlmprobe.models.model` makes and reads them.
using Image = std::shared_ptr<EncodedImage>;
using MessageRow = std::tuple<std::string, std::string, std::vector<Image>>;
using RequestRow = std::tuple<std::vector<MessageRow>, double, double, std::int64_t, std::optional<std::int64_t>,
                              std::string, std::string, std::int64_t>;
using ChargeRow = std::tuple<std::int64_t, std::int64_t, std::int64_t>;
using ReplyRow = std::tuple<std::string, std::string, std::string, std::string, std::int64_t, std::int64_t, double,
                            std::int64_t, std::string, std::string, ChargeRow>;

Request request_of(const RequestRow& row) {
  const auto& [messages, temperature, top_p, max_tokens, seed, schema, id, vote] = row;
  Request request{{}, {temperature, top_p, max_tokens, seed}, schema, id, vote};
  for (const auto& [role, text, images] : messages)
    request.messages.push_back({role, text, {images.begin(), images.end()}});
  return request;
}

std::vector<Request> requests_of(const std::vector<RequestRow>& rows) {
  std::vector<Request> requests;
  for (const RequestRow& row : rows) requests.push_back(request_of(row));
  return requests;
}

RequestRow row_of(const Request& request) {
  std::vector<MessageRow> messages;
  for (const Message& message : request.messages) {
    std::vector<Image> images;
    for (const auto& image : message.images) images.push_back(std::const_pointer_cast<EncodedImage>(image));
    messages.emplace_back(message.role, message.text, std::move(images));
  }
  const Sampling& sampling = request.sampling;
  return {std::move(messages), sampling.temperature, sampling.top_p, sampling.max_tokens,
          sampling.seed,       request.schema,       request.id,     request.vote};
}

ReplyRow row_of(const Reply& reply) {
  const Charge& charged = reply.charged;
  return {std::string(name(reply.status)),
          reply.text,
          reply.reasoning,
          reply.finish_reason,
          reply.usage.prompt_tokens,
          reply.usage.completion_tokens,
          reply.latency_s,
          reply.attempts,
          reply.endpoint,
          reply.error,
          {charged.calls, charged.prompt_tokens, charged.completion_tokens}};
}

std::vector<ReplyRow> rows_of(const std::vector<Reply>& replies) {
  std::vector<ReplyRow> rows;
  for (const Reply& reply : replies) rows.push_back(row_of(reply));
  return rows;
}

Reply reply_of(const ReplyRow& row) {
  const auto& [status, text, reasoning, finish, prompt, completion, latency, attempts, endpoint, error, charge] = row;
  const auto& [calls, prompt_charged, completion_charged] = charge;
  return {status_of(status), text,     reasoning, finish, {prompt, completion},
          latency,           attempts, endpoint,  error,  {calls, prompt_charged, completion_charged}};
}

// A Python function as a model: any C++ code can ask it, and what it raises comes out with its traceback.
class PythonModel : public Model {
 public:
  using Call = std::function<std::vector<ReplyRow>(const std::vector<RequestRow>&)>;
  PythonModel(std::string identity, Call call) : identity_(std::move(identity)), call_(std::move(call)) {}

  std::string identity() const override { return identity_; }
  std::vector<Reply> reply(std::span<const Request> requests) override {
    std::vector<RequestRow> rows;
    for (const Request& request : requests) rows.push_back(row_of(request));
    std::vector<Reply> replies;
    for (const ReplyRow& row : call_(rows)) replies.push_back(reply_of(row));
    check_replies(requests.size(), replies.size());
    return replies;
  }

 private:
  std::string identity_;
  Call call_;
};

// The fields of ChatOptions, by name.
constexpr auto kChatFields = [](auto& options, auto&& visit) {
  visit("model", options.model);
  visit("revision", options.revision);
  visit("attempt_timeout_s", options.attempt_timeout_s);
  visit("deadline_s", options.deadline_s);
  visit("unreachable_s", options.unreachable_s);
  visit("batch_deadline_s", options.batch_deadline_s);
  visit("max_attempts", options.max_attempts);
  visit("first_pause_s", options.first_pause_s);
  visit("first_limit", options.first_limit);
  visit("max_limit", options.max_limit);
  visit("max_response_bytes", options.max_response_bytes);
  visit("max_calls", options.max_calls);
  visit("max_tokens", options.max_tokens);
  visit("max_cost", options.max_cost);
  visit("prompt_price", options.prompt_price);
  visit("completion_price", options.completion_price);
  visit("schema", options.schema);
  visit("extra", options.extra);
  visit("proxy", options.proxy);
};

ChatOptions chat_options_of(const py::kwargs& given) {
  constexpr std::string_view kOp = "ChatClient";
  const auto read = [&](const char* field, const py::handle& value, auto& out) { read_field(kOp, field, value, out); };
  return options_of<ChatOptions>(kOp, given, kChatFields, read);
}

void raise_signals() {
  const py::gil_scoped_acquire acquire;
  if (PyErr_CheckSignals() != 0) throw py::error_already_set();
}

// Waits for the client with an ear for Ctrl-C; `arrived` gets [(place, reply)] as they come.
using Arrived = std::function<void(const std::vector<std::pair<std::size_t, ReplyRow>>&)>;
std::vector<ReplyRow> reply_of_client(ChatClient& client, const std::vector<RequestRow>& rows,
                                      const std::optional<Arrived>& arrived) {
  Waiting waiting{raise_signals};
  if (arrived)
    waiting.arrived = [&](std::span<const std::size_t> places, std::span<const Reply> replies) {
      std::vector<std::pair<std::size_t, ReplyRow>> some;
      for (const std::size_t place : places) some.emplace_back(place, row_of(replies[place]));
      (*arrived)(some);
    };
  return rows_of(client.reply(requests_of(rows), waiting));
}

}  // namespace

void bind_models(py::module_& parent) {
  using Release = py::call_guard<py::gil_scoped_release>;
  py::module_ module = parent.def_submodule("models");

  py::class_<EncodedImage, Image>(module, "EncodedImage")
      .def(py::init<std::string, std::string>(), py::arg("data"), py::arg("media_type"))
      .def_property_readonly("data", [](const EncodedImage& image) { return py::bytes(image.data); })
      .def_readonly("media_type", &EncodedImage::media_type)
      .def_readonly("sha256", &EncodedImage::sha256);

  module.def(
      "is_whole", [](const std::string& finish_reason) { return finish_of(finish_reason) == Finish::whole; },
      py::arg("finish_reason"));

  py::class_<Model, std::shared_ptr<Model>>(module, "Model")
      .def_property_readonly("identity", &Model::identity)
      .def(
          "reply",
          [](Model& model, const std::vector<RequestRow>& rows) { return rows_of(model.reply(requests_of(rows))); },
          py::arg("requests"), Release());
  py::class_<PythonModel, Model, std::shared_ptr<PythonModel>>(module, "PythonModel")
      .def(py::init<std::string, PythonModel::Call>(), py::arg("identity"), py::arg("call"));
  py::class_<ScriptedModel, Model, std::shared_ptr<ScriptedModel>>(module, "ScriptedModel")
      .def(py::init<std::map<std::string, std::string, std::less<>>, std::string>(), py::arg("replies"),
           py::arg("identity"));

  py::class_<ChatOptions>(module, "ChatOptions").def(py::init(&chat_options_of));
  module.def("has_chat_client", &has_chat_client);
  module.def(
      "check_endpoint", [](const std::string& url, const std::string& key) { check_endpoint({url, key}); },
      py::arg("url"), py::arg("key"));
  py::class_<ChatClient, Model, std::shared_ptr<ChatClient>>(module, "ChatClient")
      .def(py::init([](const std::vector<std::pair<std::string, std::string>>& endpoints, const ChatOptions& options) {
             std::vector<Endpoint> made;
             for (const auto& [url, key] : endpoints) made.push_back({url, key});
             return std::make_shared<ChatClient>(std::move(made), options);
           }),
           py::arg("endpoints"), py::arg("options"))
      .def("reply", &reply_of_client, py::arg("requests"), py::arg("arrived") = py::none(), Release())
      .def("spent",
           [](const ChatClient& client) {
             const Spent spent = client.spent();
             return std::tuple(spent.calls, spent.prompt_tokens, spent.completion_tokens, spent.cost);
           })
      .def("take_events", [](ChatClient& client) {
        std::vector<std::tuple<double, std::string, std::string, std::int64_t, std::int64_t, std::string>> rows;
        for (const ClientEvent& event : client.take_events())
          rows.emplace_back(event.time_s, event.endpoint, event.kind, event.limit, event.in_flight, event.detail);
        return rows;
      });
}

}  // namespace vlmprobe::python
