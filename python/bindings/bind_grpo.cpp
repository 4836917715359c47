#include <pybind11/stl.h>

#include "bindings.h"
#include "vlmprobe/grpo/advantage_tensor.h"
#include "vlmprobe/grpo/loss.h"
#include "vlmprobe/grpo/presets.h"
#include "vlmprobe/grpo/token_logp.h"

namespace vlmprobe::python {

void bind_grpo(pybind11::module_& parent) {
  namespace py = pybind11;
  using namespace vlmprobe::grpo;
  using release = py::call_guard<py::gil_scoped_release>;
  py::module_ module = parent.def_submodule("grpo");

  py::class_<AdvantageOptions>(module, "AdvantageOptions")
      .def(py::init([](double epsilon, bool scale) { return AdvantageOptions{epsilon, scale}; }), py::kw_only(),
           py::arg("epsilon") = AdvantageOptions{}.epsilon, py::arg("scale") = AdvantageOptions{}.scale)
      .def_readonly("epsilon", &AdvantageOptions::epsilon)
      .def_readonly("scale", &AdvantageOptions::scale);

  const LossOptions defaults;
  py::class_<LossOptions>(module, "LossOptions")
      .def(py::init([](double clip_low, double clip_high, double beta, double entropy_weight,
                       const std::string& reduction_name) {
             const LossOptions options{{clip_low, clip_high, beta, entropy_weight}, reduction(reduction_name)};
             check(options.surrogate, "grpo::LossOptions");
             return options;
           }),
           py::kw_only(), py::arg("clip_low") = defaults.surrogate.clip_low,
           py::arg("clip_high") = defaults.surrogate.clip_high, py::arg("beta") = defaults.surrogate.beta,
           py::arg("entropy_weight") = defaults.surrogate.entropy_weight,
           py::arg("reduction") = name(defaults.reduction))
      .def_property_readonly("clip_low", [](const LossOptions& options) { return options.surrogate.clip_low; })
      .def_property_readonly("clip_high", [](const LossOptions& options) { return options.surrogate.clip_high; })
      .def_property_readonly("beta", [](const LossOptions& options) { return options.surrogate.beta; })
      .def_property_readonly("entropy_weight",
                             [](const LossOptions& options) { return options.surrogate.entropy_weight; })
      .def_property_readonly("reduction", [](const LossOptions& options) { return name(options.reduction); });
  module.attr("PAPER") = kPaper;
  module.attr("TRL") = kTrl;

  py::class_<Advantages>(module, "Advantages")
      .def_readonly("values", &Advantages::values)
      .def_readonly("degenerate", &Advantages::degenerate);
  py::class_<TokenLogp>(module, "TokenLogp")
      .def_readonly("logp", &TokenLogp::logp)
      .def_readonly("entropy", &TokenLogp::entropy);
  py::class_<Loss>(module, "Loss")
      .def_readonly("loss", &Loss::loss)
      .def_readonly("kl", &Loss::kl)
      .def_readonly("clip_fraction", &Loss::clip_fraction)
      .def_readonly("ratio_mean", &Loss::ratio_mean)
      .def_readonly("ratio_max", &Loss::ratio_max)
      .def_readonly("entropy", &Loss::entropy)
      .def_readonly("tokens", &Loss::tokens);

  module.def(
      "group_advantages",
      [](const at::Tensor& rewards, const at::Tensor& group, const AdvantageOptions& options) {
        return group_advantages(rewards, group, options);
      },
      release(), py::arg("rewards"), py::arg("group"), py::arg("options"));
  module.def(
      "question_advantages",
      [](const at::Tensor& question_rewards, const at::Tensor& sequence, const at::Tensor& token_begin,
         const at::Tensor& token_end, const at::Tensor& group, std::int64_t length, const AdvantageOptions& options) {
        return question_advantages(question_rewards, sequence, token_begin, token_end, group, length, options);
      },
      release(), py::arg("question_rewards"), py::arg("sequence"), py::arg("token_begin"), py::arg("token_end"),
      py::arg("group"), py::arg("length"), py::arg("options"));
  module.def("token_logp", &token_logp, release(), py::arg("logits"), py::arg("tokens"), py::arg("temperature"),
             py::arg("mask"));
  module.def(
      "loss",
      [](const at::Tensor& logp, const at::Tensor& old_logp, const at::Tensor& advantages, const at::Tensor& mask,
         const std::optional<at::Tensor>& ref_logp, const std::optional<at::Tensor>& entropy,
         const at::Tensor& normalizer, const LossOptions& options) {
        return loss({logp, old_logp, advantages, mask, ref_logp, entropy}, normalizer, options);
      },
      release(), py::arg("logp"), py::arg("old_logp"), py::arg("advantages"), py::arg("mask"), py::arg("ref_logp"),
      py::arg("entropy"), py::arg("normalizer"), py::arg("options"));
  module.def(
      "normalizer",
      [](const at::Tensor& mask, const std::string& reduction_name, std::optional<std::int64_t> max_length) {
        return normalizer(mask, reduction(reduction_name), max_length);
      },
      release(), py::arg("mask"), py::arg("reduction"), py::arg("max_length"));
}

}  // namespace vlmprobe::python
