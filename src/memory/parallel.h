// Loops over threads of our own, and a guard that keeps the libraries below them on one.
#pragma once

#ifdef _OPENMP
#include <omp.h>
#endif

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <thread>
#include <vector>

namespace vlmprobe::memory {

// call(i) for i in [0, count), on `threads` threads. The first exception is thrown again here.
template <class Call>
void for_each_index(std::size_t count, int threads, Call call) {
  std::atomic<std::size_t> next = 0;
  std::vector<std::exception_ptr> failures(static_cast<std::size_t>(std::max(threads, 1)));
  const auto work = [&](std::size_t worker) {
    try {
      for (std::size_t i = next++; i < count; i = next++) call(i);
    } catch (...) {
      failures[worker] = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> helpers;
    for (std::size_t worker = 1; worker < failures.size(); ++worker) helpers.emplace_back(work, worker);
    work(0);
  }
  for (const auto& failure : failures)
    if (failure) std::rethrow_exception(failure);
}

// FAISS and BLAS wake OpenMP's threads for every call; here the threads are over images or queries.
class OneThread {
 public:
#ifdef _OPENMP
  OneThread() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneThread() { omp_set_num_threads(before_); }
#else
  OneThread() = default;
#endif
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
#ifdef _OPENMP
  int before_;
#endif
};

}  // namespace vlmprobe::memory
