"""The model server: SageMaker's inference container contract around four functions of the user.

Covered: /ping and /invocations on one port; `model_fn`, `input_fn`, `predict_fn`, `output_fn` or `transform_fn` with or
without a context, their defaults for TorchScript models with JSON, CSV and NPY; one bounded queue; time-outs; draining.

Not covered: batching, multi-model endpoints (`TargetModel`), response streaming, worker processes (a module that is not
`THREAD_SAFE` runs one request at a time), the `sagemaker_inference` package itself (name it in requirements.txt).

It is started by path (`python .../model_server`), never as `sagehound...`: the artefact brings packages of its own, and
one of them may well be called like ours. `__main__.py` loads this folder under a private name.
"""
