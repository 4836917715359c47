"""Text from outside is text to any tokenizer, and the end of a turn is what the chat template says it is."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from vlmprobe.vlm.special_tokens import SpecialTokens

QUESTION = "how many objects are there ? is there a red circle ?"
TEMPLATE = (
    "{% for m in messages %}[{{ m.role }}] {{ m.content[0].text }}{% if m.role == 'assistant' %}<|end|>{% endif %}"
    "{% endfor %}"
)


def byte_pairs(*, special=(), plain=(), normalizer=None, **named):
    """A byte-level tokenizer, as most models have one."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer, inner.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    if normalizer is not None:
        inner.normalizer = normalizer
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, show_progress=False)
    inner.train_from_iterator([QUESTION], trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, extra_special_tokens=list(special), **named)
    tokenizer.add_tokens(list(plain))
    return tokenizer


def pieces(*special):
    """A unigram tokenizer: its own vocabulary has the special tokens, so that splitting them does not keep them out."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.Unigram())
    inner.pre_tokenizer = pre_tokenizers.Metaspace()
    known = ["<unk>", "</s>", *special]
    trainer = trainers.UnigramTrainer(vocab_size=60, special_tokens=known, unk_token="<unk>", show_progress=False)
    inner.train_from_iterator([QUESTION] * 3, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, unk_token="<unk>", eos_token="</s>", extra_special_tokens=list(special)
    )


def in_python():
    """A tokenizer without a core in Rust."""
    from transformers import ByT5Tokenizer

    tokenizer = ByT5Tokenizer(extra_ids=0)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]})
    tokenizer.add_tokens(["[INST]"])
    return tokenizer


def special(tokenizer, *, image="<image>", template=TEMPLATE, settings=None, config=None) -> SpecialTokens:
    tokenizer.chat_template = template
    processor = SimpleNamespace(
        tokenizer=tokenizer,
        chat_template=template,
        image_token_id=tokenizer.convert_tokens_to_ids(image),
        apply_chat_template=lambda turns, tokenize: tokenizer.apply_chat_template(turns, tokenize=tokenize),
    )
    text = SimpleNamespace(vocab_size=len(tokenizer) + 4, eos_token_id=config)
    whole = SimpleNamespace(get_text_config=lambda: text, image_token_id=processor.image_token_id)
    return SpecialTokens(
        SimpleNamespace(config=whole, generation_config=SimpleNamespace(eos_token_id=settings)), processor
    )


def ids(found: SpecialTokens, texts: list[str]) -> set[int]:
    return {i for row in found.encode(found.as_text(texts)) for i in row}


@pytest.mark.parametrize(
    "make, spelled",
    [
        (lambda: byte_pairs(special=["<image>", "<|end|>", "<s>"], eos_token="</s>"), "<s> <image></s><|end|> <</s>s>"),
        (lambda: byte_pairs(special=["<image>"], plain=["[INST]", "[/INST]", "ENDTURN", "#!"], eos_token="</s>"),
         "a [INST] b [/INST]ENDTURN #!#! </s>"),
        (lambda: pieces("<image>", "[IMG]"), "[IMG][IMG] </s> x</s> <image>"),
        (in_python, "<image> [INST] </s><pad>"),
    ],
)  # fmt: skip
def test_no_spelling_of_a_token_becomes_the_token(make, spelled):
    tokenizer = make()
    found = special(tokenizer)
    marks = {i for i, token in tokenizer.added_tokens_decoder.items() if token.content != "<unk>"}
    assert marks & {i for row in found.encode([spelled]) for i in row}, "the text spells some, as it stands"
    assert not marks & ids(found, [spelled])
    assert found.wrong(found.as_text([spelled]), room=10_000) == {}


def test_a_tokenizer_that_folds_what_it_reads_finds_no_token_either():
    from tokenizers import AddedToken, normalizers

    folds = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    turn = AddedToken("<|turn|>", normalized=True, lstrip=True, rstrip=True)
    tokenizer = byte_pairs(special=["<image>"], plain=[turn], normalizer=folds, eos_token="</s>")
    found = special(tokenizer)
    texts = ["a <|TURN|> b", "＜|turn|＞", "＜｜ＴＵＲＮ｜＞", "<|turn|> <|Turn|>"]
    assert all(tokenizer.convert_tokens_to_ids("<|turn|>") in row for row in found.encode(texts))
    assert tokenizer.convert_tokens_to_ids("<|turn|>") not in ids(found, texts)


def test_ordinary_texts_and_our_own_tags_stay_as_they_are_to_the_byte():
    words = ["  ", "\n\n", "▁▁", "÷", "…", "circle", "<response_1>", "</response_1>", "<think>", "</think>"]
    found = special(byte_pairs(special=["<image>"], plain=words, eos_token="</s>"))
    texts = [QUESTION, "", " ", "a  b\n\nc", "3 < 4 > 2 ÷ 1 …", "< image >", "نص עברית", "x\x00y", "<image", "a circle"]
    texts += ["<response_1> is there a circle ? </response_1>", "<think>"]
    assert found.as_text(texts) == texts and found.as_said(texts) == texts


def test_a_lone_surrogate_is_a_question_mark():
    assert special(byte_pairs(special=["<image>"], eos_token="</s>")).as_text(["a \ud800 b"]) == ["a ? b"]


def test_a_completion_may_hold_what_a_model_may_say_but_no_end_and_no_picture():
    tokenizer = byte_pairs(special=["<image>"], plain=["<tool_call>"], eos_token="</s>")
    found = special(tokenizer)
    said, asked = ({i for row in found.encode(f(["<tool_call></s><image>"])) for i in row} for f in
                   (found.as_said, found.as_text))  # fmt: skip
    call, *others = tokenizer.convert_tokens_to_ids(["<tool_call>", "</s>", "<image>"])
    assert call in said and call not in asked
    assert said.isdisjoint(others) and asked.isdisjoint(others)


def test_a_spelling_that_cannot_be_kept_out_is_wrong_and_not_let_through():
    from tokenizers import AddedToken, normalizers

    blanks = normalizers.Replace(" ", "")  # puts together again what was set apart
    turn = AddedToken("[turn]", normalized=True)
    tokenizer = byte_pairs(special=["<image>"], plain=[turn], normalizer=blanks, eos_token="</s>")
    found = special(tokenizer)
    wrong = found.wrong(found.as_text(["fine", "a [turn] b"]), room=10_000)
    assert list(wrong) == [1] and wrong[1].startswith("the text: expected none of the tokenizer's special tokens")


@pytest.mark.parametrize("order", [["<|end|>", "<pad>"], ["<pad>", "<|end|>"]])
def test_the_end_of_a_turn_is_the_templates_whatever_the_order_of_the_ends(order):
    tokenizer = byte_pairs(special=["<image>", "<|end|>"], eos_token="<pad>", pad_token="<pad>")
    found = special(tokenizer, settings=tokenizer.convert_tokens_to_ids(order))
    assert found.end == tokenizer.convert_tokens_to_ids("<|end|>")
    assert found.ends == sorted(tokenizer.convert_tokens_to_ids(order))
    assert not set(found.ends) & set(found.banned)


@pytest.mark.parametrize(
    "template", [None, "{{ raise_exception('no') }}", "{% for m in messages %}{{ m.role }}{% endfor %}"]
)
def test_without_a_templates_word_the_tokenizers_end_it_is(template):
    tokenizer = byte_pairs(special=["<image>", "<|end|>"], eos_token="</s>", pad_token="<pad>")
    both = tokenizer.convert_tokens_to_ids(["<pad>", "<|end|>"])
    found = special(tokenizer, template=template, settings=both)
    assert found.end == tokenizer.eos_token_id and set(found.ends) == {found.end, *both}


def test_without_the_tokenizers_the_first_end_of_the_settings_that_does_not_pad():
    tokenizer = byte_pairs(special=["<image>", "<|end|>"], pad_token="<pad>")
    both = tokenizer.convert_tokens_to_ids(["<pad>", "<|end|>"])
    assert special(tokenizer, template=None, settings=both).end == both[1]
    assert special(tokenizer, template=None, settings=both[0]).end == both[0]
    assert special(tokenizer, template=None, config=both[1]).ends == [both[1]]


def test_a_template_that_takes_text_alone_is_read_as_well():
    tokenizer = byte_pairs(special=["<image>", "<|end|>"], eos_token="</s>")
    text_only = "{% for m in messages %}{{ m.content | trim }}<|end|>\n{% endfor %}"
    assert special(tokenizer, template=text_only).end == tokenizer.convert_tokens_to_ids("<|end|>")


def test_ids_that_are_none_of_the_vocabulary_end_nothing():
    tokenizer = byte_pairs(special=["<image>"], eos_token="</s>")
    assert special(tokenizer, template=None, settings=[-1, 10**6]).ends == [tokenizer.eos_token_id]


def test_padding_with_the_end_masks_no_end():
    tokenizer = byte_pairs(special=["<image>"], eos_token="</s>", pad_token="</s>")
    found = special(tokenizer, template=None)
    assert found.end == found.pad == tokenizer.eos_token_id and found.ends == [found.end]
    assert found.until_end([5, 6, found.end, found.end]) == [5, 6] and found.until_end([5]) == [5]


def test_a_model_that_never_ends_is_refused():
    with pytest.raises(
        ValueError, match=r"^\[VisionLanguageModel\] model: expected an end of text in the chat template"
    ):
        special(byte_pairs(special=["<image>"]), template=None)


@pytest.mark.parametrize("marks", [("[THINK]", "[/THINK]"), ("<think>", "</think>")])
def test_marks_of_thinking_that_are_special_tokens_still_say_where_the_answer_begins(marks):
    opening, closing = marks
    tokenizer = byte_pairs(special=("<|end|>", "<image>", "<|turn|>", *marks), eos_token="<|end|>")
    found = special(tokenizer)
    said = tokenizer(f"<|turn|>{opening}or blue{closing}red<|end|>", add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(found.spoken(said)) == f"{opening}or blue{closing}red"
