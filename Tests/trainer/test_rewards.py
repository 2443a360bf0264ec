"""Rewards: what each kind gives, what it refuses, and a judge and a reward model at their boundaries."""

import json
from pathlib import Path

import pytest

from anneal_trainer.answers import after_reasoning, choice_label, extracted, is_equal, judgement
from anneal_trainer.errors import BadData, BadRequest, WorkerError
from anneal_trainer.fields import Fields
from anneal_trainer.job import Job
from anneal_trainer.math_answers import plainly_equal
from anneal_trainer.prompts import Prompt, read_prompts
from anneal_trainer.rewards import Response, check_prompts, parse_rewards, total
from conftest import JSONHandler, serving, write_lines


def job(folder: Path = Path("."), inputs: dict | None = None) -> Job:
    return Job("train", {}, inputs or {}, folder, folder, folder / "metrics.jsonl")


def made(*rewards: dict, folder: Path = Path("."), problems: list | None = None) -> list:
    found: list = [] if problems is None else problems
    parsed = parse_rewards(Fields({"rewards": list(rewards)}, "/params", found), job(folder))
    assert problems is not None or not found, found
    return parsed


def prompt(expected: str | None = "12", system: str | None = None, **record) -> Prompt:
    messages = [{"role": "system", "content": system}] if system else []
    return Prompt(3, [*messages, {"role": "user", "content": "7 + 5?"}], expected, record)


def score(reward: dict, *texts: str, asked: Prompt | None = None, tokens: int = 5, **more) -> list[float]:
    asked = asked or prompt()
    return made(reward)[0].score([Response(asked, text, tokens, **more) for text in texts])


@pytest.mark.parametrize(
    ("reward", "expected", "right", "wrong"),
    [
        ("exact", "1000", ["1000", " 1,000.0\n", "<think>9</think> 1000"], ["1001", "<think>1000", "the 1000", ""]),
        ("choice", "2", ["2", "(２)", "答えは2です", "2. a dog"], ["3", "1 or 2", "The answer is 3, not 2"]),
        ("choice", "B", ["b", "The answer is B", "B) yes"], ["A", "AB", ""]),
        ("math", "1/2", [r"so \boxed{1/2}", r"\boxed{\frac{1}{2}}", r"\boxed{0.5}"], [r"\boxed{2}", "1/2", r"\boxed{1/2"]),
    ],
)
def test_right_and_wrong_answers(reward, expected, right, wrong):
    assert score({reward: {}}, *right, *wrong, asked=prompt(expected)) == [1.0] * len(right) + [0.0] * len(wrong)


def test_answers_are_found_where_they_stand():
    assert after_reasoning("<think>a</think>b</think> c ") == "c" and after_reasoning("<think>a") is None
    assert extracted(r"\boxed{1} or \boxed{\frac{1}{2}}", "boxed") == r"\frac{1}{2}"
    assert extracted("#### 1\n#### 42\nrest", "hashes") == "42"
    assert is_equal("+007.50", "7.5") and not is_equal("1,00", "100") and not is_equal("1e3", "1000")
    assert choice_label("C", like="1") is None
    assert judgement("Judgement: no. Judgement: **Yes**") is True and judgement("Judgement: No") is False
    assert judgement("yes") is None
    assert plainly_equal("12", "13") is False and plainly_equal("A", "A") is True
    assert plainly_equal("1/2", "0.5") is None and plainly_equal("0.50", ".5") is None


def test_marks_of_reasoning_are_asked_for_and_forbidden():
    on, off = prompt(system="detailed thinking on"), prompt(system="Detailed thinking OFF")
    thinks, plain = "<think>hm</think>12", "12"
    assert score({"format": {}}, thinks, plain, "x<think>a</think>", "<think>a", thinks + thinks, asked=on) == [1, 0, 0, 0, 0]
    assert score({"format": {}}, thinks, plain, "a</think>12", asked=off) == [0, 1, 0]
    # A template that opens the reasoning itself leaves the rest of it to the model.
    assert score({"format": {}}, "hm</think>12", thinks, asked=on, opened=True) == [1, 0]
    field = {"format": {"field": "reasoning"}}
    assert score(field, thinks, asked=prompt(reasoning="on")) == [1] and score(field, thinks, asked=prompt(reasoning=False)) == [0]
    assert score({"format": {"mode": "on"}}, plain) == [0]
    with pytest.raises(BadData, match="finds no mode"):
        check_prompts(made({"format": {}}), [prompt()], "data")


def test_length_falls_along_a_line():
    rewards = {"length": {"full_until": 10, "zero_from": 30}}
    assert [score(rewards, "x", tokens=tokens)[0] for tokens in (0, 10, 20, 30, 99)] == [1, 1, 0.5, 0, 0]


def test_a_function_of_the_users_gets_what_it_asks_for(tmp_path):
    file = tmp_path / "rewards.py"
    file.write_text(
        "def brief(completion, tokens):\n    return 1 / tokens\n"
        "def all_of_it(**given):\n    return len(given)\n"
        "def record(record, expected=None, unused=1):\n    return record['level'] if expected else -1\n"
        "def broken(completion):\n    return 1 / 0\n"
        "def text(completion):\n    return 'good'\n"
        "def asks(answer):\n    return 1\n"
        "import dataclasses, numpy\n"
        "@dataclasses.dataclass\nclass Kept:\n    value: 'float'\n"
        "def kept(completion):\n    return numpy.float32(Kept(0.5).value)\n"
        "def empty(completion):\n    return None\n"
        "def no_number(completion):\n    return float('nan')\n"
        "def several(completion):\n    return numpy.ones(2)\n"
        "def huge(completion):\n    return 10 ** 400\n"
        "def leaves(completion):\n    raise SystemExit(0)\n"
        "def spoils(prompt, record):\n    prompt.clear()\n    record.clear()\n    return True\n"
    )

    asked = prompt(level=4)

    def one(function: str) -> float:
        reward = made({"python": {"file": str(file), "function": function}})[0]
        return reward.score([Response(asked, "x", 5)])[0]

    assert (one("brief"), one("all_of_it"), one("spoils"), one("record"), one("kept")) == (0.2, 6, 1, 4, 0.5)
    assert asked.messages
    for function, words in [
        ("broken", r"'python' \(rewards.py: broken\) on the prompt of line 3 raised ZeroDivisionError: .*line 8"),
        ("text", "gave 'good', and must give a finite number"),
        ("empty", "gave None, and must"),
        ("no_number", "gave nan, and must"),
        ("several", r"gave array.*, and must"),
        ("huge", "gave 1000.*, and must"),
        ("leaves", "raised SystemExit: 0"),
        ("asks", "asks for 'answer'; it can have prompt, completion"),
        ("missing", "has no function 'missing'"),
    ]:
        with pytest.raises(BadRequest, match=words):
            one(function)
    file.write_text("import nothing_of_the_kind\n")
    with pytest.raises(BadRequest, match="cannot be imported: ModuleNotFoundError"):
        one("brief")


def test_rewards_are_weighted_and_named_and_mistakes_are_told():
    rewards = made({"exact": {"weight": 2}}, {"length": {"full_until": 1, "zero_from": 2, "weight": -0.5, "name": "short"}})
    assert total(rewards, {"exact": 1.0, "short": 1.0}) == 1.5
    problems: list = []
    made({"exact": None}, {"exact": {"wieght": 1}}, {"exacte": {}}, {"length": {}}, {"judge": {"url": "x"}}, problems=problems)
    found = {problem.pointer for problem in problems}
    assert found >= {
        "/params/rewards",  # two of one name
        "/params/rewards/1/exact/wieght",
        "/params/rewards/2",
        "/params/rewards/3/length/full_until",
        "/params/rewards/4/judge/url",
        "/params/rewards/4/judge/model",
    }
    problems.clear()
    parse_rewards(Fields({}, "/params", problems), job())
    assert [problem.pointer for problem in problems] == ["/params/rewards"]


@pytest.fixture
def judge():
    """A stand-in for a judge: answers by what the student's answer says, and fails as often as it is told to."""

    class Handler(JSONHandler):
        failures, model, asked = 0, "wise-1", []

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            Handler.asked.append((self.path, self.headers.get("Authorization"), body))
            if Handler.failures:
                Handler.failures -= 1
                return self.send_error(503)
            student = body["messages"][0]["content"].split("Answer to grade:\n")[1]
            words = "Judgement: Yes" if student.startswith("twelve") else "Judgement: no" if student[0] == "t" else "hm"
            self.answer({"model": Handler.model, "choices": [{"message": {"content": words}}]})

    with serving(Handler) as url:
        Handler.url = url + "/v1"
        yield Handler


def test_a_judge_is_asked_again_and_must_be_the_one_that_was_named(judge, monkeypatch):
    monkeypatch.setattr("anneal_trainer.judge.time.sleep", lambda _: None)
    monkeypatch.setenv("JUDGE_KEY", "secret")
    settings = {"url": judge.url, "model": "wise-1", "api_key_env": "JUDGE_KEY", "concurrency": 1}
    judge.failures = 2
    # The expected answer to the letter needs no judge, and no answer neither.
    assert score({"judge": settings}, "twelve", "thirteen", "unclear", "12", "<think>") == [1, 0, 0, 1, 0]
    path, key, body = judge.asked[0]
    assert (path, key, body["model"], body["temperature"]) == ("/v1/chat/completions", "Bearer secret", "wise-1", 0)
    assert len(judge.asked) == 5 and "7 + 5?" in body["messages"][0]["content"]
    judge.failures = 3
    with pytest.raises(WorkerError, match="no reply in 3 tries: HTTP 503"):
        score({"judge": settings | {"retries": 2}}, "twelve")
    judge.model = "other"
    with pytest.raises(BadRequest, match="answers as 'other', not as 'wise-1'"):
        score({"judge": settings}, "twelve")


def test_a_reward_model_scores_the_conversation(tiny_model, tmp_path):
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.manual_seed(1)
    model = AutoModelForSequenceClassification.from_pretrained(tiny_model, num_labels=1)
    model.save_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    tokenizer.save_pretrained(tmp_path)
    texts = ["12", "thirteen and more", "x"]
    found = score({"reward_model": {"model": str(tmp_path), "batch_size": 2}}, *texts)
    for text, value in zip(texts, found, strict=True):
        turns = [{"role": "user", "content": "7 + 5?"}, {"role": "assistant", "content": text}]
        ids = tokenizer.apply_chat_template(turns, return_tensors="pt", return_dict=True)
        model.config.pad_token_id = tokenizer.pad_token_id or tokenizer.eos_token_id
        assert value == pytest.approx(float(model.eval()(**ids).logits[0, 0].detach()), abs=1e-5)
    with pytest.raises(BadRequest, match="cannot load the reward model"):
        score({"reward_model": {"model": str(tmp_path / "none")}}, "x")


def test_prompts_are_read_where_evaluate_reads_them(tmp_path):
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "<think>b</think>\n\nc"}]
    records = [
        {"messages": turns},
        {"messages": turns[:1], "extra_env_info": {"ground_truth": "3"}},
        {"problem": "p", "expected_answer": 7, "pass_rate": 0.25},
        {"prompt": turns[:1], "answer": ["x"]},
        {"input": "i", "output": "o"},
        {"question": "q"},
    ]
    found = read_prompts(write_lines(tmp_path / "data.jsonl", records), "/dataset")
    assert [prompt.expected for prompt in found] == ["c", "3", "7", '["x"]', "o", None]
    assert [prompt.messages[-1]["content"] for prompt in found] == ["a", "a", "p", "a", "i", "q"]
    assert found[2].pass_rate == 0.25 and found[2].record == records[2]
    with pytest.raises(BadData, match="no expected answer, which the reward 'exact' needs"):
        check_prompts(made({"exact": {}}), found, "data.jsonl")
    bad = write_lines(tmp_path / "bad.jsonl", [{"text": "x"}, {"messages": turns[1:]}, {"problem": "p", "pass_rate": 2}])
    with pytest.raises(BadData) as caught:
        read_prompts(bad, "/dataset", needs_rate=True)
    assert [(problem.line, problem.pointer) for problem in caught.value.problems] == [
        (1, None),
        (2, "/messages"),
        (3, "/pass_rate"),
    ]
