"""Our AdamW is torch's: the same steps to the last bit, and states that either takes from the other."""

from __future__ import annotations

import pytest
import torch

from sagehound.classifier.optimizer import AdamW


def steps(first: type[torch.optim.AdamW], second: type[torch.optim.AdamW]) -> tuple[torch.Tensor, torch.Tensor]:
    """A small layer after four steps of one optimizer and three of another that goes on from its state."""
    torch.manual_seed(0)
    layer = torch.nn.Linear(4, 3)
    groups = [
        {"params": [layer.weight], "lr": 0.1, "weight_decay": 0.1},
        {"params": [layer.bias], "lr": 0.2, "weight_decay": 0.0},
    ]
    optimizer: torch.optim.AdamW = first(groups)
    for number in range(7):
        if number == 4:
            state = optimizer.state_dict()
            optimizer = second([dict(group) for group in groups])
            optimizer.load_state_dict(state)
        loss = torch.nn.functional.cross_entropy(layer(torch.randn(5, 4)), torch.tensor([0, 1, 2, 0, 1]))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return layer.weight.detach(), layer.bias.detach()


@pytest.mark.parametrize(("first", "second"), [(AdamW, AdamW), (AdamW, torch.optim.AdamW), (torch.optim.AdamW, AdamW)])
def test_the_same_steps_and_states(first: type[torch.optim.AdamW], second: type[torch.optim.AdamW]) -> None:
    ours, theirs = steps(first, second), steps(torch.optim.AdamW, torch.optim.AdamW)
    assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))
