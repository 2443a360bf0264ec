"""Layers are found by their names and numbers, whatever else of a model has numbers."""

import pytest
import torch

from anneal_trainer.errors import BadRequest
from anneal_trainer.pruning import without_layers
from anneal_trainer.weight_files import Tensors, TensorSpec


def tensors(*names: str) -> Tensors:
    """Tensors of one number each, which is their place in the list."""
    specs = {name: TensorSpec("F32", (1,)) for name in names}
    return Tensors(specs, lambda name: torch.tensor([float(names.index(name))]))


def test_experts_are_no_layers_and_lists_by_layer_are_thinned_out():
    names = [f"model.layers.{layer}.mlp.experts.{expert}.weight" for layer in range(3) for expert in range(3)]
    config = {"num_hidden_layers": 3, "layer_types": ["a", "b", "c"], "eos_token_id": [1, 2], "layers": 3}
    pruned, changed = without_layers(tensors("model.norm.weight", *names), config, [1, 1])
    assert changed == {"num_hidden_layers": 2, "layer_types": ["a", "c"], "eos_token_id": [1, 2], "layers": 3}
    assert len(pruned.specs) == 7 and "model.layers.2.mlp.experts.0.weight" not in pruned.specs
    # The third layer is the second now; its tensors stand at the places 7, 8 and 9.
    assert [pruned.read(f"model.layers.1.mlp.experts.{expert}.weight").item() for expert in range(3)] == [7, 8, 9]


def test_a_vision_models_decoder_is_pruned_and_its_encoder_is_not():
    decoder = [f"model.language_model.layers.{layer}.weight" for layer in range(2)]
    encoder = [f"model.visual.blocks.{layer}.weight" for layer in range(2)]
    config = {"model_type": "v", "text_config": {"num_hidden_layers": 2}, "vision_config": {"num_hidden_layers": 2}}
    pruned, changed = without_layers(tensors(*decoder, *encoder), config, [0])
    assert sorted(pruned.specs) == sorted([decoder[0], *encoder]) and pruned.read(decoder[0]).item() == 1
    assert changed == config | {"text_config": {"num_hidden_layers": 1}}


@pytest.mark.parametrize(
    ("config", "names", "words"),
    [
        ({}, ["model.layers.0.w"], "does not say how many layers"),
        ({"num_hidden_layers": 2}, ["a.0.w", "a.1.w", "b.0.w", "b.1.w"], "which tensors are the model's 2 layers"),
        ({"num_hidden_layers": 3}, ["a.0.w", "a.1.w"], "candidates: none"),
        ({"num_hidden_layers": 2, "cross_attention_layers": [1]}, ["a.0.w", "a.1.w"], "cross_attention_layers speaks"),
    ],
)
def test_models_whose_layers_cannot_be_told_are_refused(config, names, words):
    with pytest.raises(BadRequest, match=words) as caught:
        without_layers(tensors(*names), config, [0])
    assert caught.value.problems[0].pointer == "/prune/layers"
