"""Ladders: one kernel from naive to fast, each rung checked, then timed; see README.md in docs/kernels."""

#: modules of this folder that hold a ladder each, in the order of a course
LADDERS = ("adam", "dropout", "batch_norm", "softmax", "gemm", "gemm_tiles", "dense", "convolution", "lstm",
           "attention", "attention_grad")
