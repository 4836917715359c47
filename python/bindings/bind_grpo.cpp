#include <pybind11/stl.h>

#include <string>
#include <type_traits>

#include "bindings.h"
#include "fields.h"
#include "vlmprobe/grpo/advantage_tensor.h"
#include "vlmprobe/grpo/detail/names.h"
#include "vlmprobe/grpo/detail/option_fields.h"
#include "vlmprobe/grpo/draw.h"
#include "vlmprobe/grpo/importance_tensor.h"
#include "vlmprobe/grpo/linear_loss.h"
#include "vlmprobe/grpo/option_names.h"
#include "vlmprobe/grpo/presets.h"
#include "vlmprobe/grpo/simd.h"
#include "vlmprobe/grpo/token_logp.h"

namespace vlmprobe::python {

namespace py = pybind11;
using namespace vlmprobe::grpo;
using release = py::call_guard<py::gil_scoped_release>;

namespace {

// Options cross as named values, and in the flat form that the operators take. A bound that is off is None in Python:
// JSON knows no infinity.
void read_option(std::string_view op, std::string_view field, const py::handle& value, double& out) {
  if (value.is_none())
    out = kOff;
  else
    read_field(op, field, value, out);
}
void read_option(std::string_view op, std::string_view field, const py::handle& value, bool& out) {
  read_field(op, field, value, out);
}
template <class Enum>
  requires std::is_enum_v<Enum>
void read_option(std::string_view op, std::string_view field, const py::handle& value, Enum& out) {
  std::string name;
  read_field(op, field, value, name);
  out = grpo::detail::parse<Enum>(op, field, name);
}

py::object option(double value) {
  return value == kOff ? py::object(py::none()) : py::float_(value);
}
py::object option(bool value) {
  return py::bool_(value);
}
template <class Enum>
  requires std::is_enum_v<Enum>
py::object option(Enum value) {
  return py::cast(grpo::detail::name_of(value));
}

template <class Options>
py::dict fields(const Options& options) {
  py::dict found;
  grpo::detail::each_field(options, [&](const char* field, auto value) { found[field] = option(value); });
  return found;
}

template <class Options>
Options options_from(std::string_view op, const py::kwargs& given) {
  return options_of<Options>(
      op, given, [](auto& options, auto&& visit) { grpo::detail::each_field(options, visit); },
      [&](const char* field, const py::handle& value, auto& out) { read_option(op, field, value, out); });
}

void bind_options(py::module_& module) {
  module.attr("DEFAULTS") = fields(LossOptions{});
  module.attr("PAPER") = fields(kPaper);
  module.attr("TRL") = fields(kTrl);
  module.attr("VERL") = fields(kVerl);
  module.attr("OPENRLHF") = fields(kOpenRlhf);
  module.attr("DR_GRPO") = fields(kDrGrpo);
  module.attr("GSPO") = fields(kGspo);
  module.attr("ADVANTAGE_DEFAULTS") = fields(AdvantageOptions{});
  module.def("pack_loss_options", [](const py::kwargs& given) {
    const auto options = options_from<LossOptions>("grpo::LossOptions", given);
    check(options.surrogate, "grpo::LossOptions");
    return pack(options);
  });
  module.def("pack_advantage_options", [](const py::kwargs& given) {
    const auto options = options_from<AdvantageOptions>("grpo::AdvantageOptions", given);
    check(options, "grpo::AdvantageOptions");
    return pack(options);
  });
}

AdvantageOptions advantage_options(const std::vector<double>& packed) {
  return unpack_advantage(packed, "grpo::AdvantageOptions");
}

void bind_advantages(py::module_& module) {
  py::class_<Advantages>(module, "Advantages")
      .def_readonly("values", &Advantages::values)
      .def_readonly("degenerate", &Advantages::degenerate);
  module.def(
      "gdpo_advantages",
      [](const at::Tensor& rewards, const at::Tensor& group, const std::optional<at::Tensor>& weights,
         const std::vector<double>& options) {
        return gdpo_advantages(rewards, group, weights, advantage_options(options));
      },
      release(), py::arg("rewards"), py::arg("group"), py::arg("weights"), py::arg("options"));
  module.def(
      "question_advantages",
      [](const at::Tensor& question_rewards, const at::Tensor& sequence, const at::Tensor& token_begin,
         const at::Tensor& token_end, const at::Tensor& group, std::int64_t length,
         const std::vector<double>& options) {
        return question_advantages(question_rewards, sequence, token_begin, token_end, group, length,
                                   advantage_options(options));
      },
      release(), py::arg("question_rewards"), py::arg("sequence"), py::arg("token_begin"), py::arg("token_end"),
      py::arg("group"), py::arg("length"), py::arg("options"));
  module.def(
      "importance_weights",
      [](const at::Tensor& old_logp, const at::Tensor& sampling_logp, const at::Tensor& mask, const std::string& level,
         const std::string& mode, double minimum, double maximum) {
        return importance_weights(old_logp, sampling_logp, mask,
                                  {importance_level(level), importance_mode(mode), minimum, maximum});
      },
      release(), py::arg("old_logp"), py::arg("sampling_logp"), py::arg("mask"), py::arg("level"), py::arg("mode"),
      py::arg("minimum"), py::arg("maximum"));
}

}  // namespace

// The functional forms are torch operators (torch.ops.vlmprobe), registered by the core; here is what is not one.
void bind_grpo(py::module_& parent) {
  py::module_ module = parent.def_submodule("grpo");
  bind_options(module);
  bind_advantages(module);
  module.def(
      "token_logp_in_place",
      [](const at::Tensor& logits, const at::Tensor& tokens, const std::optional<at::Tensor>& mask,
         double temperature) {
        const TokenLogp result = token_logp(logits, tokens, mask, {.temperature = temperature, .in_place = true});
        return std::tuple(result.logp, result.entropy);
      },
      release(), py::arg("logits"), py::arg("tokens"), py::arg("mask"), py::arg("temperature"));
  module.def(
      "loss_from_logits_in_place",
      [](const at::Tensor& logits, const at::Tensor& tokens, const at::Tensor& advantages, const at::Tensor& mask,
         const std::optional<at::Tensor>& old_logp, const std::optional<at::Tensor>& ref_logp,
         const at::Tensor& normalizer, double temperature, const std::vector<double>& options) {
        const TokenLoss result =
            loss_from_logits(logits, tokens, {advantages, mask, old_logp, ref_logp}, normalizer,
                             unpack(options, "grpo::loss_from_logits"), {.temperature = temperature, .in_place = true});
        return std::tuple(result.loss, result.monitors, result.logp, result.token_entropy);
      },
      release(), py::arg("logits"), py::arg("tokens"), py::arg("advantages"), py::arg("mask"), py::arg("old_logp"),
      py::arg("ref_logp"), py::arg("normalizer"), py::arg("temperature"), py::arg("options"));
  module.def(
      "normalizer",
      [](const at::Tensor& mask, const std::string& reduction_name, std::optional<std::int64_t> max_length) {
        return normalizer(mask, reduction(reduction_name), max_length);
      },
      release(), py::arg("mask"), py::arg("reduction"), py::arg("max_length"));
  module.def(
      "draw_tokens",
      [](const at::Tensor& logits, const at::Tensor& uniform, double temperature) {
        const Drawn drawn = draw_tokens(logits, uniform, temperature);
        return std::tuple(drawn.token, drawn.logp);
      },
      release(), py::arg("logits"), py::arg("uniform"), py::arg("temperature"));
  module.def(
      "linear_draw",
      [](const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& uniform, double temperature,
         const std::optional<at::Tensor>& banned) {
        const Drawn drawn = linear_draw(hidden, weight, uniform, temperature, banned);
        return std::tuple(drawn.token, drawn.logp);
      },
      release(), py::arg("hidden"), py::arg("weight"), py::arg("uniform"), py::arg("temperature"), py::arg("banned"));
  module.def("simd_targets", &simd_targets);
  module.def("limit_simd", &limit_simd, py::arg("target"));
}

}  // namespace vlmprobe::python
