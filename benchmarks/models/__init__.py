"""The recurrent layers of a user's model: found in its modules, in a state dict or in an ONNX file."""
