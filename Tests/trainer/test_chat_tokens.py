"""Which tokens carry loss: exact ids, with and without marks in the template."""

from importlib import resources

import pytest

from anneal_trainer.chat_tokens import IGNORED, ChatTokenizer, last_run
from anneal_trainer.data import Conversation
from anneal_trainer.errors import BadData
from anneal_trainer.model_folder import chat_template_text

MESSAGES = [
    {"role": "system", "content": "be brief"},
    {"role": "user", "content": "7*10=?"},
    {"role": "assistant", "content": "70"},
    {"role": "user", "content": "and 12*10?"},
    {"role": "assistant", "content": "120"},
]
#: The SFT template of the article: no marks, no end mark.
PLAIN = (
    "{%- for m in messages -%}{%- if m.role == 'system' -%}{{ 'Context: ' + m.content|trim }}"
    "{%- elif m.role == 'user' -%}{{ ' Question: ' + m.content|trim + ' Answer:' }}"
    "{%- else -%}{{ ' ' + m.content|trim }}{%- endif -%}{%- endfor -%}"
)


@pytest.fixture
def tokenizer(tiny_model):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_model)


def without_marks() -> str:
    template = chat_template_text("chatml")
    return template.replace("{%- generation -%}", "").replace("{%- endgeneration -%}", "")


def expected(tokenizer, pieces) -> tuple[list[int], list[int]]:
    """Ids and labels of (text, learned) pieces."""
    ids, labels = [], []
    for text, learned in pieces:
        piece = tokenizer(text, add_special_tokens=False)["input_ids"]
        ids += piece
        labels += piece if learned else [IGNORED] * len(piece)
    return ids, labels


CHATML = [
    ("<|im_start|>system\nbe brief<|im_end|>\n<|im_start|>user\n7*10=?<|im_end|>\n<|im_start|>assistant\n", False),
    ("70<|im_end|>", True),
    ("\n<|im_start|>user\nand 12*10?<|im_end|>\n<|im_start|>assistant\n", False),
    ("120<|im_end|>", True),
    ("\n", False),
]


@pytest.mark.parametrize("template", [chat_template_text("chatml"), without_marks()], ids=["marked", "unmarked"])
def test_all_assistant_turns_and_their_end_marks_are_learned(tokenizer, template):
    tokenizer.chat_template = template
    chat = ChatTokenizer(tokenizer, only_final_turn=False)
    assert chat.marked == ("generation" in template.replace("add_generation_prompt", ""))
    assert chat.encode(Conversation(1, MESSAGES)) == expected(tokenizer, CHATML)


@pytest.mark.parametrize("template", [chat_template_text("chatml"), without_marks()], ids=["marked", "unmarked"])
def test_only_the_final_turn_is_learned_when_asked(tokenizer, template):
    tokenizer.chat_template = template
    chat = ChatTokenizer(tokenizer, only_final_turn=True)
    only_last = [(text, learned and text.startswith("120")) for text, learned in CHATML]
    assert chat.encode(Conversation(1, MESSAGES)) == expected(tokenizer, only_last)


def test_the_exact_ids_of_a_small_conversation(tokenizer):
    ids, labels = ChatTokenizer(tokenizer, False).encode(Conversation(1, MESSAGES[1:3]))
    digit = {text: tokenizer.convert_tokens_to_ids(text) for text in "0127"}
    start, end = tokenizer.convert_tokens_to_ids(["<|im_start|>", "<|im_end|>"])
    assert (start, end) == (1, 2)
    assert ids[0] == start and ids[-4:-1] == [digit["7"], digit["0"], end]
    assert labels == [IGNORED] * (len(ids) - 4) + [digit["7"], digit["0"], end, IGNORED]


def test_a_template_without_end_mark_gets_the_eos_token_at_the_end(tokenizer):
    tokenizer.chat_template = PLAIN
    got = ChatTokenizer(tokenizer, False).encode(Conversation(1, MESSAGES))
    pieces = [
        ("Context: be brief Question: 7*10=? Answer:", False),
        (" 70", True),
        (" Question: and 12*10? Answer:", False),
        (" 120<|im_end|>", True),
    ]
    assert got == expected(tokenizer, pieces)


def test_a_template_that_rewrites_earlier_turns_uses_the_training_version_that_trl_has(tokenizer):
    tokenizer.chat_template = resources.files("trl").joinpath("chat_templates/qwen3.jinja").read_text()
    ids, labels = ChatTokenizer(tokenizer, False).encode(Conversation(1, MESSAGES))
    learned = tokenizer.decode([label for label in labels if label != IGNORED])
    assert learned.count("<|im_end|>") == 2 and "70" in learned and "120" in learned
    assert "*10" not in learned


def test_a_template_that_rewrites_earlier_turns_and_is_unknown_is_refused_with_the_line(tokenizer):
    tokenizer.chat_template = "{{ messages | length }}{% for m in messages %}{{ m.content }}{% endfor %}"
    with pytest.raises(BadData) as caught:
        ChatTokenizer(tokenizer, False).encode(Conversation(9, MESSAGES))
    assert caught.value.problems[0].line == 9


def test_a_template_that_refuses_a_conversation_makes_it_bad_data(tokenizer):
    tokenizer.chat_template = "{{ raise_exception('no system role') }}"
    with pytest.raises(BadData, match="no system role"):
        ChatTokenizer(tokenizer, False).encode(Conversation(3, MESSAGES))


def test_a_sample_of_exactly_the_limit_is_too_long(tokenizer):
    chat, record = ChatTokenizer(tokenizer, False), Conversation(5, MESSAGES)
    length = len(chat.encode(record)[0])
    at_limit, below = chat.tokenize([record], length), chat.tokenize([record], length + 1)
    assert (len(at_limit), at_limit.dropped_lines) == (0, [5])
    assert (len(below), below.dropped_lines) == (1, [])


def test_the_last_run_of_a_mask():
    assert last_run([1, 1, 0, 1, 1, 0]) == [0, 0, 0, 1, 1, 0]
    assert last_run([0, 0]) == [0, 0]
    assert last_run([]) == []
