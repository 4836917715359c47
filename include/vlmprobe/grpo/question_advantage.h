// Credit per question on spans (no torch): each question's advantage on its own tokens.
//
//   A_q = (R_q - mean) / (std + epsilon),   mean and std over all scorable questions of the group
//   A_b = group_advantages of the sequences' rewards, a sequence's reward being the mean over its scorable questions
//   values[b, t] = A_q where t lies in the span of a question q of b, else A_b
//
//   rewards      [Q]     NaN = unscored
//   sequence     [Q]     row of the question's completion, in [0, B)
//   token_begin  [Q]     first token of the span, -1 without a span
//   token_end    [Q]     one past its last token, -1 without a span
//   group        [B]     any labels, in any order
//   values       [B, T]  out, row-major
//   degenerate   [B]     out: the group has fewer than two scorable questions, or they are all equal; its rows are
//   exactly 0
//
// A question without a span (a missing slot) counts in the statistics and in its sequence's reward only. The span of an
// unscored question is 0: nothing is known about it. Where spans overlap, the later row wins. A sequence without
// scorable questions gets 0 outside its spans. A group of one sequence has no sequence advantage, but its questions
// still compare. Throws InvalidArgument on unequal lengths, a sequence outside [0, B), a span outside [0, T], an
// infinite reward. Ours (docs/departures.md); the paper gives the whole sequence one advantage.
#pragma once

#include "vlmprobe/grpo/advantage.h"

namespace vlmprobe::grpo {

// Three columns of the table of questions.
struct QuestionSpans {
  std::span<const std::int64_t> sequence, token_begin, token_end;  // [Q] each
};

namespace detail {

inline void check_spans(std::string_view op, const QuestionSpans& spans, std::size_t questions, std::size_t sequences,
                        std::int64_t length) {
  expect(spans.sequence.size() == questions && spans.token_begin.size() == questions &&
             spans.token_end.size() == questions,
         op, "spans: expected {} rows, one per reward, got {}, {} and {}", questions, spans.sequence.size(),
         spans.token_begin.size(), spans.token_end.size());
  for (std::size_t q = 0; q < questions; ++q) {
    const std::int64_t row = spans.sequence[q], begin = spans.token_begin[q], end = spans.token_end[q];
    expect(row >= 0 && row < static_cast<std::int64_t>(sequences), op, "sequence: row {} must be in [0, {}), got {}", q,
           sequences, row);
    expect((begin == -1 && end == -1) || (begin >= 0 && begin <= end && end <= length), op,
           "token span: row {} must lie in [0, {}] or be (-1, -1), got ({}, {})", q, length, begin, end);
  }
}

// Mean over each sequence's scorable questions; NaN where there is none.
template <std::floating_point T>
std::vector<double> sequence_rewards(std::span<const T> rewards, std::span<const std::int64_t> sequence,
                                     std::size_t sequences) {
  std::vector<double> sum(sequences, 0), count(sequences, 0);
  for (std::size_t q = 0; q < rewards.size(); ++q) {
    if (std::isnan(rewards[q])) continue;
    sum[static_cast<std::size_t>(sequence[q])] += rewards[q];
    count[static_cast<std::size_t>(sequence[q])] += 1;
  }
  for (std::size_t b = 0; b < sequences; ++b) sum[b] /= count[b];  // 0/0 is the NaN of an unscored sequence
  return sum;
}

}  // namespace detail

template <std::floating_point T>
void question_advantages(std::span<const T> rewards, const QuestionSpans& spans, std::span<const std::int64_t> group,
                         std::int64_t length, std::span<T> values, std::span<bool> degenerate,
                         const AdvantageOptions& options = {}) {
  constexpr std::string_view kOp = "grpo::question_advantages";
  expect(length >= 0, kOp, "length must be at least 0, got {}", length);
  const auto width = static_cast<std::size_t>(length);
  expect(values.size() == group.size() * width && degenerate.size() == group.size(), kOp,
         "outputs: expected {} and {} entries, got {} and {}", group.size() * width, group.size(), values.size(),
         degenerate.size());
  detail::check_spans(kOp, spans, rewards.size(), group.size(), length);
  check(options, kOp);
  detail::expect_finite(kOp, "question_rewards", rewards);

  const Groups by_sequence(group);
  const std::vector<std::int64_t> group_of = by_sequence.numbers();
  std::vector<std::int64_t> question_group(rewards.size());
  for (std::size_t q = 0; q < rewards.size(); ++q)
    question_group[q] = group_of[static_cast<std::size_t>(spans.sequence[q])];
  const Groups by_question(question_group, by_sequence.count());
  const std::vector<double> sequences = detail::sequence_rewards(rewards, spans.sequence, group.size());
  const double question_deviation = batch_deviation(rewards, options);
  const double sequence_deviation = batch_deviation<double>(sequences, options);

  std::vector<T> buffer;
  std::vector<double> wide;
  std::vector<Normalisation> of_question(by_sequence.count());
  for (std::size_t g = 0; g < by_sequence.count(); ++g) {
    const auto rows = [&](auto&& visit) { by_sequence.each(g, visit); };
    const GroupStatistics statistics = grpo::statistics(by_question.gather(rewards, g, buffer));
    const bool none = statistics.degenerate(options.singleton);
    of_question[g] = normalisation(statistics, question_deviation, options);
    const Normalisation whole =
        normalisation(grpo::statistics(by_sequence.gather<double>(sequences, g, wide)), sequence_deviation, options);
    rows([&](std::size_t b) {
      degenerate[b] = none;
      std::ranges::fill(values.subspan(b * width, width), static_cast<T>(none ? 0 : whole(sequences[b])));
    });
  }
  for (std::size_t q = 0; q < rewards.size(); ++q) {
    if (spans.token_begin[q] < 0) continue;
    const auto first =
        static_cast<std::size_t>(spans.sequence[q]) * width + static_cast<std::size_t>(spans.token_begin[q]);
    const auto count = static_cast<std::size_t>(spans.token_end[q] - spans.token_begin[q]);
    const double own = of_question[static_cast<std::size_t>(question_group[q])](rewards[q]);
    std::ranges::fill(values.subspan(first, count), static_cast<T>(own));
  }
}

}  // namespace vlmprobe::grpo
