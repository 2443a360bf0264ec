"""Is a folder a whole Hugging Face export, ready to be served? Names what is missing and what does not fit."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass, field
from pathlib import Path

from .companion_files import GENERATION, TEMPLATE
from .errors import BadData, Problem, first_line
from .model_folder import has_chat_template, model_class
from .weight_files import INDEX_NAME, WeightFiles

#: Keys of a configuration that only models with a picture, video or sound processor have.
PROCESSOR_KEYS = (
    "vision_config",
    "image_token_id",
    "image_token_index",
    "video_token_id",
    "audio_config",
    "vision_tower",
)


@dataclass
class Findings:
    """What a check found. A model with `faults` cannot be loaded; one with `missing` files cannot be served."""

    faults: list[Problem] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def check_files(folder: Path, config: dict) -> Findings:
    """Look at names, headers and small files alone: takes no time, whatever the size of the model."""
    findings = Findings()
    if not config.get("model_type") and not config.get("architectures"):
        findings.faults.append(Problem("config.json has neither model_type nor architectures"))
    try:
        files = WeightFiles(folder)
        check_total(files, findings)
    except BadData as error:
        findings.faults += error.problems
    if not any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer.model", "spiece.model")) and not all(
        (folder / name).is_file() for name in ("vocab.json", "merges.txt")
    ):
        findings.missing.append("tokenizer.json")
    if not (folder / "tokenizer_config.json").is_file():
        findings.missing.append("tokenizer_config.json")
    if has_processor(config):
        check_processor(folder, findings)
    elif not has_chat_template(folder):
        # The other file, of processors, is read by no tokenizer.
        findings.missing.append(f"a chat template ({TEMPLATE[0]})")
    findings.missing += [name for name in GENERATION if not (folder / name).is_file()]
    for path in sorted(folder.glob("*.json")):
        try:
            json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            if path.name != INDEX_NAME:
                findings.faults.append(Problem(f"{path.name} cannot be read: {error}"))
    return findings


def check_total(files: WeightFiles, findings: Findings) -> None:
    """The index says how many bytes all tensors have; one that says something else belongs to other files."""
    if files.index is None:
        return
    index = json.loads((files.folder / INDEX_NAME).read_text(encoding="utf-8"))
    metadata = index.get("metadata")
    said = metadata.get("total_size") if isinstance(metadata, dict) else None
    total = sum(spec.bytes for spec in files.tensors().specs.values())
    # Programs that count tied weights twice write more than there is.
    if isinstance(said, int) and said < total:
        findings.faults.append(Problem(f"{INDEX_NAME} speaks of {said} bytes, and its files hold {total}"))


def has_processor(config: dict) -> bool:
    """Whether a model takes more than text."""
    return any(config.get(key) is not None for key in PROCESSOR_KEYS)


def check_processor(folder: Path, findings: Findings) -> None:
    """Models of pictures keep their template with the processor, and the size of pictures in a file of its own."""
    if not has_chat_template(folder) and not (folder / "chat_template.json").is_file():
        findings.missing.append("chat_template.json")
    if not (folder / "preprocessor_config.json").is_file() and not holds_image_processor(
        folder / "processor_config.json"
    ):
        findings.missing.append("preprocessor_config.json")


def holds_image_processor(path: Path) -> bool:
    """Newer versions of transformers keep all parts of a processor in one file."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        # No such file, or one that is reported with the other files of JSON.
        return False
    return isinstance(document, dict) and "image_processor" in document


def check_tensors(folder: Path, config: dict) -> list[Problem]:
    """Every tensor that the architecture has must be there, in its shape, and none beside. Reads no weights.

    transformers itself says which they are: it loads the model without memory for it (torch's meta device).
    """
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _, report = model_class(config).from_pretrained(
                folder, device_map="meta", output_loading_info=True, local_files_only=True, ignore_mismatched_sizes=True
            )
    except Exception as error:
        # Whatever a configuration leads to inside of transformers, the model cannot be loaded.
        return [Problem(f"transformers cannot load it: {type(error).__name__}: {first_line(error)}")]
    finally:
        logging.set_verbosity(verbosity)
    problems = [Problem(f"the tensor {name} is missing") for name in sorted(report["missing_keys"])]
    problems += [
        Problem(f"the tensor {name} belongs to no part of the model") for name in sorted(report["unexpected_keys"])
    ]
    for name, *shapes in sorted(report["mismatched_keys"]):
        found = [list(shape) for shape in shapes]
        problems.append(Problem(f"the tensor {name} has the shape {found[0]}; config.json gives it {found[-1]}"))
    return problems


def check_vocabulary(folder: Path, config: dict) -> list[Problem]:
    """The tokenizer must load, and give no number beyond the embeddings."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:
        # tokenizers raises bare Exception on a broken tokenizer.json.
        return [Problem(f"the tokenizer cannot be loaded: {error}")]
    text = config.get("text_config")
    size = config.get("vocab_size") or (text.get("vocab_size") if isinstance(text, dict) else None)
    highest = max(tokenizer.get_vocab().values(), default=-1)
    problems = check_templates(tokenizer.chat_template)
    if isinstance(size, int):
        if highest >= size:
            detail = f"the tokenizer gives numbers up to {highest}, and the embeddings have {size} rows"
            problems.append(Problem(detail))
        problems += check_generation(folder / GENERATION[0], size)
    return problems


def check_templates(template: str | dict | None) -> list[Problem]:
    """Each chat template must be Jinja that parses; a tokenizer may have several by name."""
    from jinja2 import TemplateSyntaxError
    from transformers.utils.chat_template_utils import _compile_jinja_template

    problems = []
    for name, text in (template if isinstance(template, dict) else {"": template or ""}).items():
        try:
            _compile_jinja_template(text)
        except TemplateSyntaxError as error:
            which = f"the chat template {name}".rstrip()
            problems.append(Problem(f"line {error.lineno} of {which} is not valid Jinja: {error.message}"))
    return problems


def check_generation(path: Path, size: int) -> list[Problem]:
    """The special tokens of generation_config.json must be rows of the embeddings, else a generation never ends."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        # Missing, or reported with the other files of JSON.
        return []
    problems = []
    for key in ("bos_token_id", "eos_token_id", "pad_token_id"):
        value = document.get(key) if isinstance(document, dict) else None
        for number in value if isinstance(value, list) else [value]:
            if isinstance(number, int) and not -1 <= number < size:
                detail = f"{path.name} has {key} {number}, and the embeddings have {size} rows"
                problems.append(Problem(detail))
    return problems
