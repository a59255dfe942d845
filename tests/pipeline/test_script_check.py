"""Each known mistake of a training script is found at its line, and its right counterpart is left alone."""

from __future__ import annotations

import random
import sys

import pytest

from sagehound.pipeline.script_check import ScriptWarning, check_script
from tests.pipeline.scripts import RIGHT, changed, line_of

REGEX = r"Testing Loss: ([0-9\.]+)"
TUNED = ("learning_rate", "batch_size")
TOTAL = "running_loss / len(loader.dataset)"
SHARE = "running_corrects / len(loader.dataset)"
SUMMED = "running_loss += loss.item() * inputs.size(0)"
FROZEN_PART = "        model.backbone.eval()\n"
NORMALIZED = "            transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),\n"


def check(source: str, instance_type: str = "ml.m5.xlarge", instance_count: int = 1, distribution: str = "",
          objective_regex: str = REGEX, tuned: tuple[str, ...] = TUNED) -> list[ScriptWarning]:  # fmt: skip
    return check_script(
        source,
        instance_type=instance_type,
        instance_count=instance_count,
        distribution=distribution,
        objective_regex=objective_regex,
        tuned=tuned,
    )


def only(source: str, code: str, text: str, **job: object) -> ScriptWarning:
    """The one warning of a source, which has this code and stands at the line with this text."""
    found = check(source, **job)  # type: ignore[arg-type]
    assert [warning.code for warning in found] == [code], found
    assert found[0].line == line_of(source, text)
    assert found[0].text.endswith(".")
    assert found[0].advice
    return found[0]


@pytest.mark.parametrize("instance_type", ["ml.m5.xlarge", "ml.g4dn.xlarge", "ml.p3.2xlarge"])
@pytest.mark.parametrize("regex", ["", REGEX, r"Testing Accuracy: ([0-9\.]+)"])
def test_a_right_script_gets_no_warning(instance_type: str, regex: str) -> None:
    assert check(RIGHT, instance_type=instance_type, objective_regex=regex) == []
    assert check(RIGHT, instance_type=instance_type, objective_regex=regex, tuned=()) == []


# The objective


def test_a_floored_loss_is_told_with_the_repaired_line() -> None:
    found = only(changed((TOTAL, "running_loss // len(loader)")), "floored-loss", "running_loss // len(loader)")
    assert "times the batch size" in found.text
    assert "12 chose" in found.text
    assert "`total_loss = running_loss / len(loader.dataset)`" in found.advice


@pytest.mark.parametrize(
    "total",
    [
        "running_loss // len(loader.dataset)",
        "float(running_loss) // float(len(loader.dataset))",
    ],
)
def test_a_loss_of_a_picture_may_not_be_floored_either(total: str) -> None:
    assert "times the batch size" not in only(changed((TOTAL, total)), "floored-loss", total).text


def test_a_loss_times_the_batch_size_is_told() -> None:
    for total in ("running_loss / len(loader)", "running_loss / float(len(loader))"):
        found = only(changed((TOTAL, total)), "batch-scaled-loss", total)
        assert "`total_loss = running_loss / len(loader.dataset)`" in found.advice
    in_place = changed(
        (f"total_loss = {TOTAL}", "running_loss /= len(loader)"), ("return total_loss", "return running_loss")
    )
    only(in_place, "batch-scaled-loss", "running_loss /= len(loader)")
    by_name = changed(
        (f"    total_loss = {TOTAL}", "    batches = len(loader)\n    total_loss = running_loss / batches")
    )
    only(by_name, "batch-scaled-loss", "running_loss / batches")


def test_a_mean_that_is_divided_by_the_pictures_is_told() -> None:
    found = only(changed((SUMMED, "running_loss += loss.item()")), "mean-divided-twice", TOTAL)
    assert "`total_loss = running_loss / len(loader)`" in found.advice
    direct = changed((SUMMED, "running_loss += criterion(outputs, labels).item()"))
    only(direct, "mean-divided-twice", TOTAL)


def test_a_total_is_divided_once_only() -> None:
    twice = "running_loss /= len(loader.dataset)\n    total_loss = running_loss / len(loader)"
    assert check(changed((f"total_loss = {TOTAL}", twice))) == []


@pytest.mark.parametrize(
    ("summed", "total"),
    [
        ("running_loss += loss.item()", "running_loss / len(loader)"),
        ("running_loss += loss.item() * len(inputs)", TOTAL),
        ("running_loss += float(loss) * labels.shape[0]", TOTAL),
        ("running_loss += nn.functional.cross_entropy(outputs, labels, reduction='sum').item()", TOTAL),
        ("running_loss += loss.item() * inputs.size(0)", "running_loss / seen"),
        ("running_loss += some_measure(outputs)", "running_loss / len(loader)"),
    ],
)
def test_right_averages_are_left_alone(summed: str, total: str) -> None:
    source = changed((SUMMED, f"{summed}\n            seen += inputs.size(0)"), (TOTAL, total))
    assert check(source.replace("total, right = 0.0, 0", "seen = 0")) == []


def test_a_floor_of_something_else_is_no_floored_loss() -> None:
    assert (
        check(
            changed(("    return total_loss, accuracy", "    half = len(loader) // 2\n    return total_loss, accuracy"))
        )
        == []
    )


def test_right_answers_by_batches_are_no_accuracy() -> None:
    only(changed((SHARE, "running_corrects / len(loader)")), "batch-scaled-accuracy", "running_corrects / len(loader)")
    only(changed((SHARE, "running_corrects // len(loader)")), "floored-accuracy", "running_corrects // len(loader)")
    counted = "torch.sum(outputs.argmax(1) == labels).item()"
    mean = changed(
        (counted, "(outputs.argmax(1) == labels).float().mean().item()"), (SHARE, "running_corrects / len(loader)")
    )
    assert check(mean) == []


@pytest.mark.parametrize("printed", ["{int(total_loss)}", "{round(total_loss)}", "{total_loss:.0f}"])
def test_a_loss_printed_as_a_whole_number_is_told(printed: str) -> None:
    only(changed(("{total_loss:.6f}", printed)), "whole-number-loss", printed)


@pytest.mark.parametrize(
    "printed", ["{round(total_loss, 4)}", "{float(total_loss)}", "{total_loss}", "{total_loss:.10f}"]
)
def test_a_loss_printed_with_decimals_is_right(printed: str) -> None:
    assert check(changed(("{total_loss:.6f}", printed))) == []


def test_tuning_on_the_test_pictures_is_told() -> None:
    last = changed(("Final loss on the test pictures {final_loss}, accuracy", "Testing Loss: {final_loss}, on test"))
    only(last, "tuned-on-test", "Testing Loss: {final_loss}")
    swapped = changed(
        ("train_loader, valid_loader, test_loader = loaders", "train_loader, test_loader, valid_loader = loaders")
    )
    only(swapped, "tuned-on-test", "Testing Loss: {total_loss")
    for folder in ('os.environ["SM_CHANNEL_TEST"]', 'os.path.join(data, "test")', 'data + "/test"', 'f"{data}/test"'):
        named = changed(('root=os.path.join(data, "valid")', f"root={folder}"))
        only(named, "tuned-on-test", "Testing Loss: {total_loss")
    assert [w.code for w in check(swapped, objective_regex="")] == ["tuned-on-test"]


def test_a_test_loss_of_a_training_that_is_not_tuned_is_right() -> None:
    last = changed(("Final loss on the test pictures {final_loss}", "Testing Loss: {final_loss}"))
    assert check(last, objective_regex="", tuned=()) == []


def test_a_loader_that_is_called_test_but_reads_the_validation_folder_is_right() -> None:
    assert check(RIGHT.replace("valid_loader", "test_loader_")) == []
    assert check(changed(('os.path.join(data, "valid")', 'os.environ["SM_CHANNEL_VALID"]'))) == []


def test_an_objective_that_is_never_printed_is_told() -> None:
    for regex in (r"testing loss: ([0-9\.]+)", r"Test loss=([0-9\.]+)"):
        only(RIGHT, "objective-never-printed", 'print(f"Final loss', objective_regex=regex)
    own_module = RIGHT.replace("import argparse", "import argparse\nimport my_engine")
    assert check(own_module, objective_regex=r"Test loss=([0-9\.]+)") == []
    assert check(RIGHT, objective_regex="([0-9") == []


@pytest.mark.parametrize(
    "printed",
    [
        'print("Testing Loss: {:.4f}".format(total_loss))',
        'print("Testing Loss:", total_loss)',
        'print("Testing Loss: %.4f" % total_loss)',
        'logger.info("Testing Loss: %s", total_loss)',
        'message = f"Testing Loss: {total_loss}"; print(message)',
        'print("Epoch\\nTesting Loss: " + str(total_loss))',
    ],
)
def test_every_way_to_print_is_read(printed: str) -> None:
    right = changed(
        ('print(f"Epoch {epoch} Testing Loss: {total_loss:.6f} Testing Accuracy: {accuracy:.4f}")', printed)
    )
    assert check(right) == []
    wrong = right.replace("train_loader, valid_loader, test_loader = l", "train_loader, test_loader, valid_loader = l")
    assert [w.code for w in check(wrong)] == ["tuned-on-test"]


# The loops


@pytest.mark.parametrize(
    ("loop", "leaves"),
    [
        ("range(50)", "if epoch == 0:\n            break"),
        ("range(epochs)", "if epoch == 0:\n            break"),
        ("range(1, 51)", "if epoch == 1:\n            break"),
        ("range(50)", "if epoch >= 4:\n            break"),
        ("range(50)", "break"),
        ("range(50)", "return model"),
    ],
)
def test_a_loop_over_epochs_that_is_cut_short_is_told(loop: str, leaves: str) -> None:
    end = 'Testing Accuracy: {accuracy:.4f}")\n'
    source = changed(("for epoch in range(epochs)", f"for epoch in {loop}"), (end, f"{end}        {leaves}\n"))
    found = check(source)
    assert [w.code for w in found] == ["one-epoch" if leaves.startswith("if") else "one-pass"]
    assert found[0].line == line_of(source, leaves.split("\n")[0])


@pytest.mark.parametrize(
    ("loop", "leaves"),
    [
        ("range(1)", "if epoch == 0:\n            break"),
        ("range(5)", "if epoch == 4:\n            break"),
        ("range(epochs)", "if epoch == epochs - 1:\n            break"),
        ("range(epochs)", "if total_loss > 4:\n            break"),
        ("range(epochs)", "if epoch == 0:\n            print('first')"),
        ("range(epochs)", "if epoch >= args_patience:\n            break"),
    ],
)
def test_a_loop_that_ends_for_a_reason_is_right(loop: str, leaves: str) -> None:
    end = 'Testing Accuracy: {accuracy:.4f}")\n'
    assert (
        check(changed(("for epoch in range(epochs)", f"for epoch in {loop}"), (end, f"{end}        {leaves}\n"))) == []
    )


def test_a_part_of_the_pictures_is_told() -> None:
    step = "            optimizer.step()\n"
    part = "            if seen > 0.1 * len(loader.dataset):\n                break\n"
    only(changed((step, step + part)), "part-of-the-pictures", "if seen > 0.1")
    named = part.replace("0.1", "PART")
    only(
        changed((step, step + named), ("def net():", "PART = 0.2\n\n\ndef net():")),
        "part-of-the-pictures",
        "if seen > PART",
    )
    whole = "            if seen > limit * len(loader.dataset):\n                break\n"
    assert check(changed((step, step + whole))) == []


def test_an_evaluation_with_gradients_is_told() -> None:
    only(changed(("with torch.no_grad():", "if True:")), "evaluation-with-gradients", "outputs = model(inputs)")
    for right in ("with torch.inference_mode():", "with torch.set_grad_enabled(False):"):
        assert check(changed(("with torch.no_grad():", right))) == []
    decorated = changed(("with torch.no_grad():", "if True:"), ("def evaluate", "@torch.no_grad()\ndef evaluate"))
    assert check(decorated) == []
    by_caller = changed(
        ("with torch.no_grad():", "if True:"),
        (
            "        total_loss, accuracy = evaluate(",
            "        with torch.no_grad():\n            total_loss, accuracy = evaluate(",
        ),
        ("    final_loss, final_accuracy = ", "    with torch.no_grad():\n        final_loss, final_accuracy = "),
    )
    assert check(by_caller) == []


PHASES = """
import torch, torchvision

def fit(model, loaders, criterion, optimizer):
    for epoch in range(10):
        for phase in ["train", "valid"]:
            if phase == "train":
                model.train()
            else:
                model.eval()
            for inputs, labels in loaders[phase]:
                outputs = model(inputs)
                loss = criterion(outputs, labels)
                if phase == "train":
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
    torch.save(model.state_dict(), "/opt/ml/model/model.pth")
"""


def test_phases_need_gradients_in_one_of_them_only() -> None:
    found = only(PHASES, "evaluation-with-gradients", "outputs = model(inputs)", objective_regex="", tuned=())
    assert 'set_grad_enabled(phase == "train")' in found.advice
    switched = PHASES.replace(
        "outputs = model(inputs)",
        'with torch.set_grad_enabled(phase == "train"):\n                    outputs = model(inputs)',
    )
    assert check(switched, objective_regex="", tuned=()) == []


def test_a_thawed_head_leaves_the_rest_frozen() -> None:
    loop = "    for parameter in model.backbone.parameters():\n        parameter.requires_grad = False\n"
    head = "    for parameter in model.fc.parameters():\n        parameter.requires_grad = True\n"
    only(changed((FROZEN_PART, ""), (loop, loop + head)), "batch-norm-drifts", "model.train()")
    assert check(changed((FROZEN_PART, ""), (loop, loop + head.replace("fc", "layer4")))) == []


def test_frozen_layers_with_batch_norm_in_train_mode_are_told() -> None:
    only(changed((FROZEN_PART, "")), "batch-norm-drifts", "model.train()")
    no_batch_norm = changed((FROZEN_PART, ""), ("resnet50", "vgg16"))
    assert check(no_batch_norm) == []
    not_frozen = changed((FROZEN_PART, ""), ("requires_grad = False", "requires_grad = True"))
    assert check(not_frozen) == []
    by_type = changed((FROZEN_PART, "        [m.eval() for m in model.modules() if isinstance(m, nn.BatchNorm2d)]\n"))
    assert check(by_type) == []


# The pictures


def test_pictures_that_are_not_normalized_are_told() -> None:
    only(changed((NORMALIZED, "")), "not-normalized", "transforms.Compose(")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (NORMALIZED, "            normalize,\n"),
        (NORMALIZED, "            *more,\n"),
        (NORMALIZED, "            transforms.Lambda(lambda x: (x - 0.5) / 0.25),\n"),
        (NORMALIZED, "            OwnStep(),\n"),
    ],
)
def test_pictures_that_may_be_normalized_are_left_alone(old: str, new: str) -> None:
    source = changed((old, new)).replace(
        "def net():", "normalize = transforms.Normalize([0.5] * 3, [0.5] * 3)\n\n\ndef net():"
    )
    assert check(source.replace("\nclass Head", "\nclass OwnStep(nn.Module):\n    pass\n\n\nclass Head")) == []


def test_a_network_that_is_not_pretrained_needs_no_normalization() -> None:
    assert check(changed((NORMALIZED, ""), ('resnet50(weights="DEFAULT")', "resnet50()"))) == []
    assert check(changed((NORMALIZED, ""), ('resnet50(weights="DEFAULT")', "resnet50(weights=None)"))) == []


def test_training_on_the_test_folder_is_told() -> None:
    wrong = changed(('root=os.path.join(data, "train")', 'root=os.path.join(data, "test")'))
    only(wrong, "trained-on-test", "train_data = ")
    phases = PHASES.replace("loaders[phase]", "pictures[phase]").replace(
        "def fit(",
        'test_set = torchvision.datasets.ImageFolder("dogImages/test")\npictures = {"train": test_set}\n\ndef fit(',
    )
    assert "trained-on-test" in [w.code for w in check(phases, objective_regex="", tuned=())]
    assert "trained-on-test" not in [
        w.code for w in check(phases.replace("/test", "/train"), objective_regex="", tuned=())
    ]


# The instances


def unmoved() -> str:
    return changed(
        ("            inputs, labels = inputs.to(device), labels.to(device)\n", ""),
        ("net().to(device)", "net()"),
        ('    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")\n', "    device = None\n"),
    )


def test_a_gpu_that_is_not_used_is_told() -> None:
    for instance_type in ("ml.g4dn.xlarge", "ml.p3.2xlarge", "ml.g5.xlarge"):
        found = check(unmoved(), instance_type=instance_type)
        assert [w.code for w in found] == ["gpu-not-used"]
        assert instance_type in found[0].text
    assert check(unmoved(), instance_type="ml.m5.xlarge") == []
    only_cpu = changed(('torch.device("cuda" if torch.cuda.is_available() else "cpu")', 'torch.device("cpu")'))
    assert [w.code for w in check(only_cpu, instance_type="ml.g4dn.xlarge")] == ["gpu-not-used"]


def test_a_gpu_that_another_library_uses_is_left_alone() -> None:
    for library in ("accelerate", "pytorch_lightning", "my_own_engine"):
        assert (
            check(
                unmoved().replace("import torch\n", f"import torch\nimport {library}\n"), instance_type="ml.g5.xlarge"
            )
            == []
        )
    by_cuda = changed(
        (".to(device), labels.to(device)", ".cuda(), labels.cuda()"), ("net().to(device)", "net().cuda()")
    )
    assert check(by_cuda, instance_type="ml.g5.xlarge") == []


def test_pictures_that_stay_behind_are_told() -> None:
    left = "            inputs, labels = inputs.to(device), labels.to(device)\n            optimizer"
    named = changed((left, "            optimizer"), ("net().to(device)", "net()\n    model = model.to(device)"))
    found = check(named, instance_type="ml.g4dn.xlarge")
    assert [w.code for w in found] == ["pictures-not-moved"]
    assert found[0].line == line_of(named, "loss = criterion(model(inputs)")


def test_a_model_that_stays_behind_is_told() -> None:
    stays = changed(
        ("net().to(device)", "net()"), ("criterion(model(inputs), labels)", "criterion(model(inputs), labels)")
    )
    found = check(stays, instance_type="ml.p3.2xlarge")
    assert [w.code for w in found] == ["model-not-moved"]
    assert found[0].line == line_of(stays, "loss = criterion(model(inputs)")
    assert check(stays, instance_type="ml.m5.xlarge") == []
    in_net = changed(
        ("net().to(device)", "net()"), ("    return model\n\n\nclass", "    return model.to('cuda')\n\n\nclass")
    )
    assert check(in_net, instance_type="ml.p3.2xlarge") == []


def test_the_same_training_on_every_instance_is_told_with_the_bill() -> None:
    found = check(RIGHT, instance_count=5)
    assert [w.code for w in found] == ["same-training-everywhere"]
    assert "5 x the bill" in found[0].text
    imported_only = RIGHT.replace("import torch\n", "import torch\nimport torch.distributed as dist\n")
    assert [w.code for w in check(imported_only, instance_count=2)] == ["same-training-everywhere"]
    assert [w.code for w in check(RIGHT, instance_count=4, distribution="torch_distributed")] == [
        "same-training-everywhere"
    ]


@pytest.mark.parametrize(
    "line",
    [
        "torch.distributed.init_process_group('gloo')",
        "model = nn.parallel.DistributedDataParallel(model)",
    ],
)
def test_a_distributed_training_on_several_instances_is_right(line: str) -> None:
    start = "    criterion = nn.CrossEntropyLoss()\n"
    assert check(changed((start, f"{start}    {line}\n")), instance_count=5) == []


# What SageMaker asks of a script


def test_hyperparameters_that_the_script_does_not_take_are_told() -> None:
    found = check(RIGHT, tuned=("lr", "batch-size"))
    assert [w.code for w in found] == ["option-not-declared"] * 2
    assert any("it declares `--batch_size`" in w.text for w in found)
    assert all("unrecognized arguments" in w.text for w in found)
    assert check(RIGHT, tuned=("learning",)) == []  # argparse takes a beginning that only one option has
    lenient = changed(("parser.parse_args()", "parser.parse_known_args()[0]"))
    assert ["never used" in w.text for w in check(lenient, tuned=("lr",))] == [True]


def test_a_tuned_option_that_is_not_used_is_told() -> None:
    only(changed(("lr=args.learning_rate", "lr=0.001")), "option-not-used", '"--learning_rate"')
    assert check(changed(("lr=args.learning_rate", 'lr=vars(args)["learning_rate"]'))) == []


def test_options_of_the_wrong_type_are_told() -> None:
    only(
        changed(('"--learning_rate", type=float', '"--learning_rate", type=int')),
        "fraction-as-int",
        '"--learning_rate"',
    )
    only(changed(('"--learning_rate", type=float', '"--learning_rate"')), "option-without-type", '"--learning_rate"')
    cast = changed(
        ('"--learning_rate", type=float', '"--learning_rate"'), ("args.learning_rate", "float(args.learning_rate)")
    )
    assert check(cast) == []


def test_a_model_that_is_not_saved_is_told() -> None:
    saved = '    torch.save(model.state_dict(), os.path.join(args.model_dir, "model.pth"))\n'
    assert [w.code for w in check(changed((saved, "")))] == ["model-not-saved"]
    nowhere = changed(
        (saved, '    torch.save(model.state_dict(), "TrainedModels/model.pth")\n'),
        ('    parser.add_argument("--model_dir", type=str, default=os.environ["SM_MODEL_DIR"])\n', ""),
    )
    only(nowhere, "model-saved-elsewhere", "TrainedModels")
    for place in ('"/opt/ml/model/model.pth"', 'os.path.join(os.environ["SM_MODEL_DIR"], "model.pth")'):
        assert check(nowhere.replace('"TrainedModels/model.pth"', place)) == []


# Odd input


def test_what_is_no_python_is_one_warning_with_its_line() -> None:
    for source, line in (("import os\n!pip install torch\n", 2), ("def f(:\n", 1), ("print 'x'\n", 1), ("\0", 1)):
        found = check(source)
        assert [(w.code, w.line) for w in found] == [("not-python", line)]
    assert [w.code for w in check("x = '\ud800'")] == ["not-python"]


def test_odd_sources_are_read_or_told() -> None:
    assert check("") == []
    assert check("\ufeffimport os\n") == []
    assert check("# -*- coding: latin-1 -*-\nx = 'é'\n") == []
    assert [w.code for w in check("x = " + "(" * 5000 + ")" * 5000)] in (["not-python"], ["not-checked"])
    assert check("x = " + "1 + " * 3000 + "1\n") in ([], check("x = " + "1 + " * 3000 + "1\n"))
    many = "\n".join(f"def f{i}(loader):\n    return f{i + 1}(loader)" for i in range(400))
    assert check(many + "\nfor x in f0(1):\n    loss.backward()\n", objective_regex="", tuned=()) != []
    body = "    x = f(x)\n    for a in x:\n        loss.backward()\n        running_loss += a\n"
    itself = f"def f(x):\n{body}    print('Testing Loss:', f(x))\nf(f)\n"
    assert isinstance(check(itself), list)


def test_any_cut_or_shuffled_script_is_read_without_an_error() -> None:
    dice = random.Random(7)
    lines = RIGHT.split("\n")
    read = 0
    for _ in range(150):
        some = [line for line in lines if dice.random() < 0.93]
        found = check("\n".join(some), instance_type="ml.g4dn.xlarge", instance_count=3)
        read += [w.code for w in found] != ["not-python"]
        assert found == sorted(found)
        assert all(1 <= w.line <= len(some) + 1 for w in found)
    assert read > 10


def test_the_script_is_never_run(tmp_path: object) -> None:
    assert check("import sys\nsys.modules['sagehound_was_run'] = sys\nraise SystemExit(3)\n") == []
    assert "sagehound_was_run" not in sys.modules
