// The one definition of how unknown values run through a reward; the static and the run-time expressions both use it.
//
// A value is a double, NaN where it is unknown, with a flag: it is *certain* when it was made of constants and known
// indicators (valid, invalid, wrong) only.
//
//   a + b, a - b, -a   as for doubles; certain when all operands are
//   a * b              as for doubles, but a certain zero annihilates: 0 * b is a certain 0 whatever b is, NaN included
//
// So an indicator that is 0 gates its product (an invalid question costs the penalty though nobody judged its answer),
// a constant 0 makes a term a monitor (its NaN cannot unscore), and a novelty that happens to be 0 gates nothing. As an
// exception to NaN's rules this is exact, not an approximation: the factor's value does not matter where it is times 0.
#pragma once

#include <cstdint>
#include <limits>

namespace vlmprobe::reward {

inline constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

struct Value {
  double value;  // NaN: unknown
  bool certain;
};

constexpr Value constant(double value) {
  return {value, true};
}
constexpr Value measured(double value) {
  return {value, false};
}
// 1, 0, or unknown for -1 (vlmprobe::Tri as int8).
constexpr Value indicator(std::int8_t tri) {
  return tri < 0 ? Value{kUnknown, false} : Value{static_cast<double>(tri), true};
}
constexpr Value opposite(std::int8_t tri) {
  return indicator(static_cast<std::int8_t>(tri < 0 ? -1 : 1 - tri));
}

constexpr bool annihilates(Value a) {
  return a.certain && a.value == 0;
}

constexpr Value operator+(Value a, Value b) {
  return {a.value + b.value, a.certain && b.certain};
}
constexpr Value operator-(Value a, Value b) {
  return {a.value - b.value, a.certain && b.certain};
}
constexpr Value operator-(Value a) {
  return {-a.value, a.certain};
}
constexpr Value operator*(Value a, Value b) {
  if (annihilates(a) || annihilates(b)) return {0.0, true};
  return {a.value * b.value, a.certain && b.certain};
}

}  // namespace vlmprobe::reward
