"""Playing: model folders, decoders under ONNX Runtime, and the performers built on them."""
