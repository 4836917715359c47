// torch's 16-bit floats as those of the kernels: the same size, the same bits. For src/grpo only.
#pragma once

#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>

#include <type_traits>

#include "../half.h"

namespace vlmprobe::grpo {

template <class T>
struct PlainOf {
  using type = T;
};
template <>
struct PlainOf<c10::BFloat16> {
  using type = BFloat16;
};
template <>
struct PlainOf<c10::Half> {
  using type = Half;
};
template <class T>
using Plain = typename PlainOf<T>::type;
static_assert(sizeof(c10::BFloat16) == sizeof(BFloat16) && sizeof(c10::Half) == sizeof(Half));

template <class T>
const Plain<T>* plain(const T* numbers) {
  return reinterpret_cast<const Plain<T>*>(numbers);
}
template <class T>
Plain<T>* plain(T* numbers) {
  return reinterpret_cast<Plain<T>*>(numbers);
}

}  // namespace vlmprobe::grpo
