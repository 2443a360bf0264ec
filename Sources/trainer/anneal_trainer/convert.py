"""Kind convert: make, average, merge, prune, cast and check models, or have the program of another engine do it."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from . import averaging, companion_files, engine_program, export_check, merging, model_output, pruning
from .convert_request import SHARD_BYTES, ConvertRequest
from .errors import BadData, BadRequest, Problem
from .job import Job
from .model_folder import config_of
from .weight_files import INDEX_NAME, Tensors, WeightFiles, cast, float_types, write_weights

#: Where config.json says the type of the weights; the second is the older name.
DTYPE_KEYS = ("dtype", "torch_dtype")


def convert(job: Job) -> tuple[int, dict, dict]:
    """Make ANNEAL_OUTPUT_DIR/model. Returns the exit code, the outputs and the summary."""
    if job.spec.get("create") is not None:
        from .create_model import create

        return create(job)
    request = ConvertRequest.parse(job)
    final = job.output_dir / "model"
    try:
        # A program makes its folder itself; many refuse one that is there.
        with model_output.making(final, create=not request.command) as temporary:
            summary = run_program(request, temporary) if request.command else make_model(request, temporary)
    except engine_program.Failed as failure:
        # Its own words are in the log, where the daemon looks for the cause.
        print(f"error: {failure}", file=sys.stderr)
        return failure.exit_code, {}, {}
    print(f"model: {final}", flush=True)
    return 0, {"model": {"type": "checkpoint", "path": str(final)}}, summary


def make_model(request: ConvertRequest, target: Path) -> dict:
    """Fill `target` with the converted model. Returns the summary."""
    pointers = (
        [f"{averaging.POINTER}/{index}" for index in range(len(request.models))] if request.is_average else ["/model"]
    )
    configs = [config_of(model, pointer) for model, pointer in zip(request.models, pointers, strict=True)]
    for config, pointer in zip(configs, pointers, strict=True):
        refuse_quantized(request, config, pointer)
    merged = target.with_name("tmp_merged")
    try:
        sources = open_sources(request, configs, pointers, merged)
        config, tensors = transformed(request, configs, sources)
        if tensors is None:
            copy_weights(sources[0], target)
            tensors = sources[0].tensors()
        else:
            write_weights(target, tensors, request.max_shard_size or SHARD_BYTES, say)
    finally:
        model_output.remove(merged)
    write_config(target, config)
    behind = companion_files.copy_companions(request.models[-1], target)
    if behind:
        say(f"left out, as it is no part of a model: {', '.join(behind)}")
    finish_export(request, target)
    for source in sources:
        source.close()
    return {"parameters": tensors.parameters, "bytes": bytes_below(target), "models": len(request.models)}


def run_program(request: ConvertRequest, target: Path) -> dict:
    """Have the program of another engine make `target`, and look at what it made. Returns the summary."""
    engine_program.run(request.command, request.models[0], target)
    engine_program.check_layout(request.layout, target)
    if request.layout == "hf":
        finish_export(request, target)
    return {"bytes": bytes_below(target)}


def open_sources(request: ConvertRequest, configs: list[dict], pointers: list[str], merged: Path) -> list[WeightFiles]:
    """The weights that there are to begin with; with an adapter those that PEFT has merged into `merged`."""
    if request.adapter is not None:
        model_output.remove(merged)
        merged.mkdir()
        say(f"merging the adapter {merging.adapter_folder(request.adapter)} into {request.models[0]}")
        merging.merge(
            request.models[0],
            configs[0],
            request.adapter,
            wider_type(request),
            merged,
            request.max_shard_size or SHARD_BYTES,
        )
        return [WeightFiles(merged)]
    sources: list[WeightFiles] = []
    for model, pointer in zip(request.models, pointers, strict=True):
        try:
            sources.append(WeightFiles(model))
        except BadData as error:
            problems = [Problem(problem.detail, pointer) for problem in error.problems]
            raise BadData(error.message, problems) from error
    return sources


def transformed(
    request: ConvertRequest, configs: list[dict], sources: list[WeightFiles]
) -> tuple[dict, Tensors | None]:
    """The configuration and the weights of the result; None for weights whose files stay as they are."""
    config = configs[-1]
    if request.adapter is not None:
        config = merging.untied(config, sources[0].folder)
    tensors = lean = averaging.tied_away(sources[0], config)
    if request.is_average:
        averaging.check_configs(configs)
        shares = request.weights or [1] * len(sources)
        listed = "".join(f"\n  {share:g} × {model}" for share, model in zip(shares, request.models, strict=True))
        say(f"averaging {len(sources)} models:{listed}")
        tensors = averaging.average(sources, request.weights, config, stays_wide=request.dtype is not None)
    if request.dropped_layers:
        tensors, config = pruning.without_layers(tensors, config, request.dropped_layers)
        say(f"leaving out the layers {', '.join(map(str, sorted(set(request.dropped_layers))))}")
    tensors = cast(tensors, request.dtype)
    if request.dtype is not None:
        config = with_dtype(config, request.dtype)
    is_same = tensors.specs == lean.specs and not request.is_average and not request.dropped_layers
    # Merged weights were written in shards of the right size already.
    is_sharded = request.max_shard_size is None or request.adapter is not None
    return config, None if is_same and is_sharded else tensors


def wider_type(request: ConvertRequest) -> str | None:
    """The type that a merge is computed in: the one asked for where it is wider than the stored one, which is None."""
    if request.dtype != "float32":
        return None
    stored = float_types(WeightFiles(request.models[0]).tensors().specs.values())
    return None if "float64" in stored else "float32"


def refuse_quantized(request: ConvertRequest, config: dict, pointer: str) -> None:
    """Weights that are packed into whole numbers can be copied and put into other files, but not computed with."""
    computes = request.is_average or request.adapter is not None or request.dtype is not None
    if computes and config.get("quantization_config"):
        raise BadRequest.at(pointer, "the model is quantized; take the model that it was made from")


def with_dtype(config: dict, dtype: str) -> dict:
    """A configuration that says another type, also in its parts."""
    changed = {
        key: with_dtype(value, dtype) if isinstance(value, dict) and key.endswith("_config") else value
        for key, value in config.items()
    }
    for key in DTYPE_KEYS:
        if key in config:
            changed[key] = dtype
    if "model_type" in config and not any(key in config for key in DTYPE_KEYS):
        changed[DTYPE_KEYS[0]] = dtype
    return changed


def copy_weights(source: WeightFiles, target: Path) -> None:
    """The files as they are, with their index; those that were made for this job are moved."""
    is_own = source.folder.parent == target.parent
    names = list(source.files) + ([] if source.index is None else [INDEX_NAME])
    for name in names:
        if is_own:
            (source.folder / name).rename(target / name)
        else:
            shutil.copyfile(source.folder / name, target / name)


def write_config(target: Path, config: dict) -> None:
    (target / "config.json").write_text(json.dumps(config, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def finish_export(request: ConvertRequest, target: Path) -> None:
    """Take what is lacking from another model, and check the whole. Raises `BadData` with everything that is wrong."""
    if request.files_from is not None:
        taken = companion_files.take_lacking(request.files_from, target)
        say(f"taken from {request.files_from}: {', '.join(taken) or 'nothing; it has no file that the model lacks'}")
    config = config_of(target, "/model")
    findings = export_check.check_files(target, config)
    if request.is_checked and not findings.faults:
        findings.faults += export_check.check_tensors(target, config)
        if not any(name.startswith("tokenizer") for name in findings.missing):
            findings.faults += export_check.check_vocabulary(target, config)
    for name in findings.missing:
        say(f"the export lacks {name}")
    if findings.faults:
        problems = findings.faults + [Problem(f"{name} is missing") for name in findings.missing]
        raise BadData(f"the export is not whole: {findings.faults[0].detail}", problems)
    if request.is_checked and findings.missing:
        hint = "" if request.files_from is not None else "; 'files_from' takes such files from another model"
        raise BadData(f"the export is not whole: it lacks {', '.join(findings.missing)}{hint}")
    if request.is_checked:
        say("checked: every tensor and file is there and fits")


def bytes_below(folder: Path) -> int:
    """The bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def say(text: str) -> None:
    print(text, flush=True)
