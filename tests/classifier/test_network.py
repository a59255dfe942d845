"""Backbone, head, and what of them learns."""

import numpy as np
import pytest
import torch
from PIL import Image

from sagehound.classifier.augment import augment, crop_box, random_generator
from sagehound.classifier.backbones import UnknownBackbone, known_preprocessing, known_weights
from sagehound.classifier.network import Classifier, Head, create_backbone, parameter_groups
from sagehound.classifier.preprocessing import Preprocessing
from tests.classifier.pictures import shape


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    backbone = create_backbone("efficientnet_lite0", pretrained=False)
    return Classifier(backbone, Head(backbone.feature_count, 3))


def test_a_frozen_backbone_keeps_its_statistics_in_training_mode(classifier: Classifier) -> None:
    before = {name: value.clone() for name, value in classifier.backbone.named_buffers()}
    classifier.train()
    assert classifier.training
    classifier(torch.rand(2, 3, 224, 224) * 255).sum().backward()
    assert all(torch.equal(value, before[name]) for name, value in classifier.backbone.named_buffers())
    assert all(p.grad is None for p in classifier.backbone.parameters())
    assert classifier.head.linear.weight.grad is not None


def test_learning_rates_rise_towards_the_head_and_cover_every_parameter_once(classifier: Classifier) -> None:
    classifier.backbone.unfreeze()
    groups = parameter_groups(classifier, 1.0, 0.01)
    classifier.backbone.freeze()
    covered = [id(p) for group in groups for p in group.parameters]
    assert sorted(covered) == sorted(id(p) for p in classifier.parameters())
    rates = [group.learning_rate for group in groups[2:]]
    assert rates == sorted(rates)
    assert rates[-1] == pytest.approx(0.1)
    assert groups[0].learning_rate == 1.0
    assert all((group.weight_decay == 0.0) == (group.parameters[0].ndim == 1) for group in groups)


def test_the_head_standardizes_and_leaves_dead_features_alone() -> None:
    head = Head(3, 2)
    features = np.array([[1.0, 5.0, 0.0], [3.0, 9.0, 0.0]], dtype=np.float32)
    head.standardize(features)
    assert head.feature_mean.tolist() == [2.0, 7.0, 0.0]
    assert head.feature_std.tolist() == [1.0, 2.0, 1.0]
    torch.nn.init.normal_(head.linear.weight)
    standard = torch.tensor([[-1.0, -1.0, 0.0], [1.0, 1.0, 0.0]])
    torch.testing.assert_close(head(torch.from_numpy(features)), head.linear(standard))
    np.testing.assert_allclose(head.arrays().logits(features), head.linear(standard).detach().numpy(), rtol=1e-6)


def test_an_unknown_backbone_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(UnknownBackbone, match=r"efficientnet_lite0.*timm"):
        create_backbone("resnet_of_dreams")


def test_the_pretrained_weights_see_a_picture_in_the_same_way_each_time() -> None:
    backbone = create_backbone("efficientnet_lite0")
    pixels = torch.from_numpy(np.asarray(Image.effect_noise((224, 224), 60).convert("RGB")).copy())
    features = backbone(pixels.permute(2, 0, 1)[None].float())
    assert features.shape == (1, 1280)
    assert 0.05 < float((features > 0).float().mean()) < 0.95


def test_a_random_view_depends_on_seed_epoch_and_picture_alone() -> None:
    picture, preprocessing = shape("red_disc", 1), Preprocessing(32)
    views = [augment(picture, preprocessing, random_generator(*key)) for key in ((1, 2, 3), (1, 2, 3), (1, 3, 3))]
    assert np.array_equal(views[0], views[1])
    assert not np.array_equal(views[0], views[2])
    assert views[0].shape == (3, 32, 32)


@pytest.mark.parametrize("size", [(100, 100), (1000, 10), (3, 400)])
def test_a_crop_lies_inside_the_picture(size: tuple[int, int]) -> None:
    for seed in range(50):
        left, upper, right, lower = crop_box(*size, random_generator(seed, 0, 0))
        assert 0 <= left < right <= size[0]
        assert 0 <= upper < lower <= size[1]


@pytest.mark.parametrize("name", ["efficientnet_lite0", "efficientnet_lite2"])
def test_what_is_known_of_a_backbone_unloaded_is_what_it_says_when_it_is_loaded(name: str) -> None:
    backbone = create_backbone(name)
    assert known_preprocessing(name) == backbone.preprocessing
    assert known_weights(name) == backbone.weights is not None
