"""A module, a configuration or an ONNX file -> ``Graph``."""
