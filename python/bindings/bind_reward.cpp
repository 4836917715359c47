#include <pybind11/operators.h>
#include <pybind11/stl.h>

#include "bindings.h"
#include "vlmprobe/reward/formula.h"
#include "vlmprobe/reward/score.h"

namespace vlmprobe::python {

void bind_reward(pybind11::module_& module) {
  namespace py = pybind11;
  using reward::Formula;
  using reward::TermId;

  py::enum_<TermId>(module, "TermId")
      .value("semantic", TermId::semantic)
      .value("lexical", TermId::lexical)
      .value("valid", TermId::valid)
      .value("wrong", TermId::wrong)
      .value("invalid", TermId::invalid);
  py::class_<Formula>(module, "Formula")
      .def_static("number", &Formula::number, py::arg("value"))
      .def_static("term", &Formula::term, py::arg("term"))
      .def_static("custom", &Formula::custom, py::arg("name"))
      .def(py::self + py::self)
      .def(py::self - py::self)
      .def(py::self * py::self)
      .def(-py::self)
      .def_property_readonly("custom_names", &Formula::custom_names)
      .def("__repr__", &Formula::text);

  const reward::PaperOptions defaults;
  module.def(
      "reward_paper",
      [](double lambda_scale, double lambda_penalty, bool semantic, bool lexical, bool penalty) {
        return reward::paper({lambda_scale, lambda_penalty, semantic, lexical, penalty});
      },
      py::kw_only(), py::arg("lambda_scale") = defaults.lambda_scale,
      py::arg("lambda_penalty") = defaults.lambda_penalty, py::arg("semantic") = defaults.semantic,
      py::arg("lexical") = defaults.lexical, py::arg("penalty") = defaults.penalty);
  module.def("reward_preset_names", &reward::preset_names);
  module.def(
      "reward_parse",
      [](const std::string& text, const std::vector<std::string>& custom) { return reward::parse(text, custom); },
      py::arg("text"), py::arg("custom"));
  module.def(
      "reward_score",
      [](const Formula& formula, std::int64_t num_sequences, const at::Tensor& sequence, const at::Tensor& valid,
         const at::Tensor& correct, const at::Tensor& semantic, const at::Tensor& lexical,
         const std::map<std::string, at::Tensor>& custom) {
        reward::Rewards rewards =
            reward::score(formula, {num_sequences, sequence, valid, correct, semantic, lexical, custom});
        return std::tuple(rewards.question, rewards.total, rewards.terms);
      },
      py::arg("formula"), py::arg("num_sequences"), py::arg("sequence"), py::arg("valid"), py::arg("correct"),
      py::arg("semantic"), py::arg("lexical"), py::arg("custom"), py::call_guard<py::gil_scoped_release>());
}

}  // namespace vlmprobe::python
