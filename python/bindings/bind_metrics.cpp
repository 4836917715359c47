#include <pybind11/stl.h>

#include "bindings.h"
#include "vlmprobe/metrics/bootstrap.h"
#include "vlmprobe/metrics/diversity.h"
#include "vlmprobe/metrics/entropy.h"
#include "vlmprobe/metrics/quantiles.h"
#include "vlmprobe/metrics/rates_tensor.h"

namespace vlmprobe::python {

void bind_metrics(pybind11::module_& parent) {
  namespace py = pybind11;
  using namespace vlmprobe::metrics;
  using release = py::call_guard<py::gil_scoped_release>;
  using Labels = std::vector<std::int64_t>;
  py::module_ module = parent.def_submodule("metrics");

  py::class_<Rate>(module, "Rate")
      .def_readonly("value", &Rate::value)
      .def_readonly("low", &Rate::low)
      .def_readonly("high", &Rate::high)
      .def_readonly("n", &Rate::n)
      .def_readonly("n_unscored", &Rate::n_unscored)
      .def_readonly("n_effective", &Rate::n_effective)
      .def_readonly("design_effect", &Rate::design_effect)
      .def_readonly("df", &Rate::df)
      .def_readonly("clusters", &Rate::clusters);
  module.def("rate", py::overload_cast<const at::Tensor&, const at::Tensor&, double>(&rate), release(),
             py::arg("successes"), py::arg("cluster"), py::arg("confidence"));
  py::class_<Difference>(module, "Difference")
      .def_readonly("value", &Difference::value)
      .def_readonly("low", &Difference::low)
      .def_readonly("high", &Difference::high)
      .def_readonly("p", &Difference::p)
      .def_readonly("clusters", &Difference::clusters)
      .def_readonly("draws", &Difference::draws);
  py::class_<Ratio>(module, "Ratio")
      .def_readonly("value", &Ratio::value)
      .def_readonly("low", &Ratio::low)
      .def_readonly("high", &Ratio::high)
      .def_readonly("clusters", &Ratio::clusters)
      .def_readonly("draws", &Ratio::draws);
  using Sums = std::vector<double>;
  module.def(
      "ratio",
      [](const Sums& successes, const Sums& totals, std::uint64_t seed, std::int64_t draws, double confidence) {
        return ratio({successes, totals}, seed, draws, confidence);
      },
      release(), py::arg("successes"), py::arg("totals"), py::arg("seed"), py::arg("draws"), py::arg("confidence"));
  using Compare = Difference (*)(const ClusterSums&, const ClusterSums&, std::uint64_t, std::int64_t, double);
  const auto def_difference = [&](const char* name, Compare compare) {
    module.def(
        name,
        [compare](const Sums& successes_a, const Sums& totals_a, const Sums& successes_b, const Sums& totals_b,
                  std::uint64_t seed, std::int64_t draws, double confidence) {
          return compare({successes_a, totals_a}, {successes_b, totals_b}, seed, draws, confidence);
        },
        release(), py::arg("successes_a"), py::arg("totals_a"), py::arg("successes_b"), py::arg("totals_b"),
        py::arg("seed"), py::arg("draws"), py::arg("confidence"));
  };
  def_difference("paired_difference", &paired_difference);
  def_difference("ratio_difference", &ratio_difference);
  module.def(
      "exact_p_higher",
      [](const Sums& successes_a, const Sums& totals_a, const Sums& successes_b, const Sums& totals_b) {
        return exact_p_higher({successes_a, totals_a}, {successes_b, totals_b});
      },
      release(), py::arg("successes_a"), py::arg("totals_a"), py::arg("successes_b"), py::arg("totals_b"));
  module.def("t_quantile", &t_quantile, py::arg("p"), py::arg("df"));
  module.def("normal_quantile", &normal_quantile, py::arg("p"));

  module.def("entropy", [](const Labels& labels) { return entropy<std::int64_t>(labels); }, release());
  module.def(
      "normalized_entropy", [](const Labels& labels) { return normalized_entropy<std::int64_t>(labels); }, release());
  module.def(
      "effective_number", [](const Labels& labels) { return effective_number<std::int64_t>(labels); }, release());
  module.def("duplicates", [](const Labels& labels) { return duplicates<std::int64_t>(labels); }, release());

  module.def("vendi", &vendi, release(), py::arg("embeddings"));
  py::class_<VendiAccumulator>(module, "VendiAccumulator")
      .def(py::init<std::int64_t>(), py::arg("dimension"))
      .def("add", &VendiAccumulator::add, release(), py::arg("rows"))
      .def("merge", py::overload_cast<const VendiAccumulator&>(&VendiAccumulator::merge), py::arg("other"))
      .def("merge", py::overload_cast<const at::Tensor&, std::int64_t>(&VendiAccumulator::merge), py::arg("moment"),
           py::arg("count"))
      .def("value", &VendiAccumulator::value, release())
      .def_property_readonly("count", &VendiAccumulator::count)
      .def_property_readonly("dimension", &VendiAccumulator::dimension)
      .def_property_readonly("moment", &VendiAccumulator::moment);
}

}  // namespace vlmprobe::python
