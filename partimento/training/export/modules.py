"""Torch modules as ONNX graphs by ``torch.onnx.export``: the way for every graph without a cache.

What the exporter notes about the module's source (files, lines, stack traces) is left out: it
names the machine, and the same module gives the same bytes. Graphs that keep a state in place, that
need a fused kernel, or whose weights are read back by name are built by hand in the modules beside
this one; ``docs/reference/model-folders.md`` says which and why.
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Mapping, Sequence

import onnx
import torch
from torch import Tensor, nn
from torch.export import Dim

from partimento.errors import MissingExtra

__all__ = ["export_module"]

_OPSET = 21
_LOGGER = "torch.onnx"


def export_module(
    module: nn.Module,
    example: Mapping[str, Tensor],
    outputs: Sequence[str],
    free: Mapping[str, Mapping[int, str]],
) -> onnx.ModelProto:
    """Return the graph of a module in evaluation mode, in fp32; the module stays as it is.

    Args:
        module: takes the inputs in the order of ``example``.
        example: name to an input of some size; no free axis may be 0 or 1 long in it.
        outputs: names of the outputs in order.
        free: for each input the axes whose size is free, with a name: ``{"inputs": {0: "B"}}``.

    Raises:
        MissingExtra: if ``onnxscript``, which the exporter needs, is not installed.
    """
    sizes = {name: Dim(name, min=1) for axes in free.values() for name in axes.values()}
    shapes = tuple(
        {axis: sizes[size] for axis, size in free.get(name, {}).items()} for name in example
    )
    logger = logging.getLogger(_LOGGER)
    level = logger.level
    logger.setLevel(logging.ERROR)  # it reports optional packages that no module here needs
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                copy.deepcopy(module).cpu().float().eval(),
                tuple(example.values()),
                input_names=list(example),
                output_names=list(outputs),
                dynamic_shapes=shapes,
                opset_version=_OPSET,
                dynamo=True,
                verbose=False,
            )
    except ImportError:
        raise MissingExtra("exporting this network", "train") from None
    finally:
        logger.setLevel(level)
    assert program is not None
    return _plain(program.model_proto)


def _plain(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the graph without notes on where it came from."""
    graph = model.graph
    del model.metadata_props[:], graph.metadata_props[:], graph.value_info[:]
    for each in (*graph.node, *graph.input, *graph.output, *graph.initializer):
        del each.metadata_props[:]
        each.doc_string = ""
    model.producer_name, model.producer_version = "partimento", ""
    return model
