"""An accelerator in one run: equal to the CPU on small inputs, then timed at the sizes that are trained and served.

It needs torch, transformers and this package's own code, and no Ray, MLflow or store.
"""
