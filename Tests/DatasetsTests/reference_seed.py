"""The reference for the compatibility mode: the original preparation, written from its description.

    reference_seed.py prepare INPUT FOLDER   writes train.jsonl and validation.jsonl
    reference_seed.py load [INPUT OUTPUT]…   writes the loaded records of each input, one a line
    reference_seed.py random SEED COUNT      prints shuffles, choices and bits
    reference_seed.py decode INPUT OUTPUT    decodes UTF-8 with replacement
"""

import codecs
import json
import random
import sys
from pathlib import Path

CHUNK_BYTES = 8 * 1024 * 1024
ERRORS_MAX = 100


def load(path):
    decoder = json.JSONDecoder()
    utf8 = codecs.getincrementaldecoder("utf-8")(errors="replace")
    records, errors, line, buffer = [], 0, 1, ""

    def scan(buffer, final):
        nonlocal errors, line
        cursor = 0
        while True:
            while cursor < len(buffer) and buffer[cursor].isspace():
                if buffer[cursor] == "\n":
                    line += 1
                cursor += 1
            if cursor >= len(buffer):
                break
            try:
                value, cursor = decoder.raw_decode(buffer, cursor)
                records.append(value)
            except json.JSONDecodeError:
                newline = buffer.find("\n", cursor)
                if newline == -1:
                    if final:
                        errors += 1
                        cursor = len(buffer)
                    break
                errors += 1
                cursor = newline + 1
                line += 1
                if errors > ERRORS_MAX:
                    cursor = len(buffer)
                    break
        return cursor

    with open(path, "rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            buffer += utf8.decode(chunk)
            buffer = buffer[scan(buffer, False):]
    buffer += utf8.decode(b"", final=True)
    scan(buffer, True)
    return records


def rebalance_one(question, target):
    choices = [question.get(f"choice{i}", "") for i in range(5)]
    index = question.get("answer_index")
    if index is None:
        return
    right = choices[index]
    others = [choice for i, choice in enumerate(choices) if i != index]
    random.shuffle(others)
    for slot in range(5):
        question[f"choice{slot}"] = right if slot == target else others.pop(0)
    question["answer_index"] = target


def rebalance(records):
    random.seed(42)
    positions = [i for i, record in enumerate(records) if "jcqa_data" in record]
    if not positions:
        return
    targets = {label: len(positions) // 5 + (1 if label < len(positions) % 5 else 0) for label in range(5)}
    current = {label: 0 for label in range(5)}
    random.shuffle(positions)
    for position in positions:
        available = [label for label in range(5) if current[label] < targets[label]] or list(range(5))
        target = random.choice(available)
        current[target] += 1
        rebalance_one(records[position]["jcqa_data"], target)


def convert(record):
    data = record["jcqa_data"]
    index = data.get("answer_index")
    truth = "" if index is None else str(index)
    choices = "\n".join(f"    {i}. {data[f'choice{i}']}" for i in range(5) if f"choice{i}" in data)
    user = (
        "以下の質問に答えてください。"
        + f"\n\n質問:\n{data['question']}"
        + f"\n\n選択肢:\n{choices}"
        + "\n\n最も適切な選択肢の番号だけを、半角数字で1つ出力してください。"
    )
    return {
        "messages": [{"role": "user", "content": user}, {"role": "assistant", "content": f"<think></think>\n\n{truth}"}],
        "extra_env_info": {"dataset_type": "jcommonsenseqa", "ground_truth": truth},
    }


def write(path, records):
    with open(path, "w", encoding="utf-8") as file:
        for record in records:
            file.write(json.dumps(record, ensure_ascii=False) + "\n")


def prepare(path, folder):
    records = load(path)
    rebalance(records)
    converted = [convert(record) for record in records if "jcqa_data" in record]
    random.seed(42)
    shuffled = list(converted)
    random.shuffle(shuffled)
    border = int(0.9 * len(shuffled))
    write(Path(folder) / "train.jsonl", shuffled[:border])
    write(Path(folder) / "validation.jsonl", shuffled[border:])


def draws(seed, count):
    random.seed(seed)
    order = list(range(count))
    random.shuffle(order)
    print(*order)
    print(*[random.choice(range(7)) for _ in range(count)])
    print(*[random.getrandbits(1 + i % 64) for i in range(count)])


def decode(source, target):
    text = Path(source).read_bytes().decode("utf-8", errors="replace")
    Path(target).write_bytes(text.encode("utf-8"))


if __name__ == "__main__":
    command, arguments = sys.argv[1], sys.argv[2:]
    if command == "prepare":
        prepare(*arguments)
    elif command == "load":
        for source, target in zip(arguments[::2], arguments[1::2]):
            write(target, load(source))
    elif command == "random":
        draws(int(arguments[0]), int(arguments[1]))
    elif command == "decode":
        decode(*arguments)
    else:
        sys.exit(f"unknown command {command}")
