// Include this instead of doctest: torch's headers define CHECK and friends, which would silently replace doctest's.
// Torch headers a test needs come first.
#pragma once

#ifdef CHECK
#undef CHECK
#undef CHECK_EQ
#undef CHECK_NE
#undef CHECK_LT
#undef CHECK_LE
#undef CHECK_GT
#undef CHECK_GE
#undef CHECK_NOTNULL
#undef DCHECK
#endif

#include <doctest/doctest.h>

#include <string>

// The text of the exception that `call` throws, or "" when it throws none.
template <class Call>
std::string thrown(Call&& call) {
  try {
    call();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}
