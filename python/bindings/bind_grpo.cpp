#include <pybind11/stl.h>

#include "bindings.h"
#include "vlmprobe/grpo/advantage_tensor.h"
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

// A bound that is off is None in Python: JSON knows no infinity.
std::optional<double> unless_off(double bound) {
  return bound == kOff ? std::nullopt : std::optional(bound);
}

// Options cross as plain values: a tuple of named fields each way, and the flat form that the operators take.
void bind_options(py::module_& module) {
  const auto fields = [](const LossOptions& options) {
    const SurrogateOptions& s = options.surrogate;
    return py::dict(py::arg("policy") = name(s.policy), py::arg("ratio") = name(s.ratio),
                    py::arg("clip_low") = s.clip_low, py::arg("clip_high") = s.clip_high,
                    py::arg("dual_clip") = unless_off(s.dual_clip), py::arg("delta") = unless_off(s.delta),
                    py::arg("sapo_positive") = s.sapo_positive, py::arg("sapo_negative") = s.sapo_negative,
                    py::arg("beta") = s.beta, py::arg("kl") = name(s.kl),
                    py::arg("kl_straight_through") = s.kl_straight_through, py::arg("kl_weighted") = s.kl_weighted,
                    py::arg("entropy_weight") = s.entropy_weight, py::arg("reduction") = name(options.reduction));
  };
  module.attr("DEFAULTS") = fields({});
  module.attr("PAPER") = fields(kPaper);
  module.attr("TRL") = fields(kTrl);
  module.attr("VERL") = fields(kVerl);
  module.attr("OPENRLHF") = fields(kOpenRlhf);
  module.attr("DR_GRPO") = fields(kDrGrpo);
  module.attr("GSPO") = fields(kGspo);
  module.def(
      "pack_loss_options",
      [](const std::string& policy_name, const std::string& ratio_name, double clip_low, double clip_high,
         std::optional<double> dual_clip, std::optional<double> delta, double sapo_positive, double sapo_negative,
         double beta, const std::string& kl_name, bool kl_straight_through, bool kl_weighted, double entropy_weight,
         const std::string& reduction_name) {
        const LossOptions options{{policy(policy_name), ratio_level(ratio_name), clip_low, clip_high,
                                   dual_clip.value_or(kOff), delta.value_or(kOff), sapo_positive, sapo_negative, beta,
                                   kl_estimator(kl_name), kl_straight_through, kl_weighted, entropy_weight},
                                  reduction(reduction_name)};
        check(options.surrogate, "grpo::LossOptions");
        return pack(options);
      },
      py::kw_only(), py::arg("policy"), py::arg("ratio"), py::arg("clip_low"), py::arg("clip_high"),
      py::arg("dual_clip"), py::arg("delta"), py::arg("sapo_positive"), py::arg("sapo_negative"), py::arg("beta"),
      py::arg("kl"), py::arg("kl_straight_through"), py::arg("kl_weighted"), py::arg("entropy_weight"),
      py::arg("reduction"));

  const AdvantageOptions advantage;
  module.attr("ADVANTAGE_DEFAULTS") =
      py::dict(py::arg("epsilon") = advantage.epsilon, py::arg("scale") = name(advantage.scale),
               py::arg("baseline") = name(advantage.baseline), py::arg("minimum_std") = advantage.minimum_std,
               py::arg("singleton") = name(advantage.singleton));
  module.def(
      "pack_advantage_options",
      [](double epsilon, const std::string& scale_name, const std::string& baseline_name, double minimum_std,
         const std::string& singleton_name) {
        const AdvantageOptions options{epsilon, scale(scale_name), baseline(baseline_name), minimum_std,
                                       singleton(singleton_name)};
        check(options, "grpo::AdvantageOptions");
        return pack(options);
      },
      py::kw_only(), py::arg("epsilon"), py::arg("scale"), py::arg("baseline"), py::arg("minimum_std"),
      py::arg("singleton"));
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
