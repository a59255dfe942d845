"""AdamW as torch has it, without the second that its guards against torch.compile take to import

Optimizer's methods are wrapped so that torch.compile leaves them alone; the first call of one imports the whole
compiler, which takes as long as torch itself, in every process of a training that compiles nothing.
"""

import inspect
from typing import Any

import torch
from torch.optim import Optimizer


class AdamW(torch.optim.AdamW):
    """torch.optim.AdamW: the same steps and the same state, for modules that are not compiled."""

    add_param_group: Any = inspect.unwrap(Optimizer.add_param_group)
    zero_grad: Any = inspect.unwrap(Optimizer.zero_grad)
    state_dict: Any = inspect.unwrap(Optimizer.state_dict)
    load_state_dict: Any = inspect.unwrap(Optimizer.load_state_dict)
    step: Any = torch.no_grad()(inspect.unwrap(torch.optim.AdamW.step))
