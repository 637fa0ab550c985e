"""ONNX files -> ``Graph``: read, optimised by ONNX Runtime, kept in a cache; modules by way of an exported file."""
