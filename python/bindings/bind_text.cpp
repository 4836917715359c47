#include <pybind11/stl.h>

#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "bindings.h"
#include "columns.h"
#include "texts.h"
#include "vlmprobe/text/delimiters.h"
#include "vlmprobe/text/invisible.h"
#include "vlmprobe/text/prefix.h"
#include "vlmprobe/text/responses.h"
#include "vlmprobe/text/thinking.h"
#include "vlmprobe/text/verdict.h"

namespace vlmprobe::python {
namespace {

std::vector<std::optional<bool>> truths_of(const text::Verdict& verdict) {
  std::vector<std::optional<bool>> truths;
  for (const Tri truth : verdict.truths)
    truths.push_back(truth == Tri::unknown ? std::nullopt : std::optional(truth == Tri::yes));
  return truths;
}

std::vector<const char*> names_of(const std::vector<text::Cause>& causes) {
  std::vector<const char*> names;
  for (const text::Cause cause : causes) names.push_back(text::name(cause));
  return names;
}

using Column = std::vector<std::int64_t>;

Questions table_of(std::int64_t k, std::int64_t prefix_length, Column sequence, Column slot, const Column& status,
                   const Texts& text, Column token_begin, Column token_end) {
  Questions columns;
  columns.k = k, columns.prefix_length = prefix_length;
  columns.sequence = std::move(sequence), columns.slot = std::move(slot);
  for (const std::int64_t each : status) columns.status.push_back(static_cast<SlotStatus>(each));
  columns.token_begin = std::move(token_begin), columns.token_end = std::move(token_end);
  return text::question_table(std::move(columns), text.views);
}

std::vector<std::pair<std::uint32_t, std::uint32_t>> invisible() {
  std::vector<std::pair<std::uint32_t, std::uint32_t>> ranges;
  for (const auto& [first, last] : text::kInvisible) ranges.emplace_back(first, last);
  return ranges;
}

}  // namespace

void bind_text(pybind11::module_& module) {
  namespace py = pybind11;
  py::class_<Questions>(module, "Questions")
      .def(py::init(&table_of), py::kw_only(), py::arg("k"), py::arg("prefix_length"), py::arg("sequence"),
           py::arg("slot"), py::arg("status"), py::arg("text"), py::arg("token_begin"), py::arg("token_end"))
      .def_readonly("k", &Questions::k)
      .def("__len__", &Questions::size)
      .def_readonly("prefix_length", &Questions::prefix_length)
      .def_property_readonly("text", [](const Questions& q) { return q.text.strings(); })
      .def_property_readonly("prefix", [](const Questions& q) { return q.prefix.strings(); })
      .def_property_readonly("sequence", [](const Questions& q) { return column_tensor(q.sequence, at::kLong); })
      .def_property_readonly("slot", [](const Questions& q) { return column_tensor(q.slot, at::kLong); })
      .def_property_readonly("status", [](const Questions& q) { return column_tensor(q.status, at::kChar); })
      .def_property_readonly("token_begin", [](const Questions& q) { return column_tensor(q.token_begin, at::kLong); })
      .def_property_readonly("token_end", [](const Questions& q) { return column_tensor(q.token_end, at::kLong); });
  module.def("status_name", [](int status) { return name(static_cast<SlotStatus>(status)); }, py::arg("status"));
  module.attr("DEFAULT_MAX_BYTES") = text::ResponseOptions{}.max_bytes;
  module.attr("DEFAULT_PREFIX_LENGTH") = text::kPrefixLength;
  module.attr("INVISIBLE") = invisible();
  module.def(
      "parse_responses",
      [](const Texts& completions, std::int64_t k, const std::vector<std::vector<std::int64_t>>& token_ends,
         std::int64_t max_bytes, std::int64_t prefix_length) {
        return text::parse_responses(completions.views, k, token_ends, {max_bytes, prefix_length});
      },
      py::arg("completions"), py::arg("k"), py::arg("token_ends"), py::arg("max_bytes"), py::arg("prefix_length"),
      py::call_guard<py::gil_scoped_release>());
  module.def("prefix", &text::prefix, py::arg("question"), py::arg("length"));
  module.def(
      "prefixes",
      [](const Texts& questions, std::int64_t length) {
        return text::prefixes<std::string_view>(questions.views, length);
      },
      py::arg("questions"), py::arg("length"), py::call_guard<py::gil_scoped_release>());
  module.def("neutralise", &text::neutralise, py::arg("quoted"));
  module.def("said", &text::said, py::arg("text"));
  py::class_<text::Verdict>(module, "VerdictText")
      .def_property_readonly("reading", [](const text::Verdict& verdict) { return text::name(verdict.reading); })
      .def_property_readonly("truths", [](const text::Verdict& verdict) { return truths_of(verdict); })
      .def_property_readonly("causes", [](const text::Verdict& verdict) { return names_of(verdict.causes); })
      .def_readonly("reason", &text::Verdict::reason);
  py::enum_<text::Asked>(module, "Asked").value("tags", text::Asked::tags).value("object", text::Asked::object);
  module.def(
      "read_verdict",
      [](std::string_view text, const Texts& keys, text::Asked asked) {
        return text::read_verdict(text, keys.views, asked);
      },
      py::arg("text"), py::arg("keys"), py::arg("asked"), py::call_guard<py::gil_scoped_release>());
}

}  // namespace vlmprobe::python
