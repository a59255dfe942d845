"""The command `sagehound`: one word per thing to do.

Everything heavy is imported by the command that needs it, so that the command line itself starts at once.
"""

from __future__ import annotations

import typer

from sagehound.cli import (
    cleanup,
    cost,
    exec_,
    function,
    instance,
    load,
    local_cloud,
    notebook,
    scale,
    secure,
    seed,
    shell,
    steps,
    training,
    walk,
    weights,
)

app = typer.Typer(
    name="sagehound",
    help="Tune, train and deploy an image classifier through SageMaker's own API: here with no account, or on AWS.",
    no_args_is_help=True,
    # Plain text: rich would take longer to import than everything else together.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

for _panel, _commands in {
    "pipeline": (
        *(walk.run, steps.init, steps.upload, training.features, training.tune, training.train),
        *(
            training.deploy,
            steps.invoke,
            function.function,
            secure.secure,
            scale.scale,
            load.load,
            notebook.notebook,
            walk.report,
            cost.cost,
            cleanup.delete,
        ),
    ),
    "local cloud": (local_cloud.up, local_cloud.down, cleanup.status, local_cloud.env, local_cloud.logs, seed.seed),
}.items():
    for _command in _commands:
        app.command(rich_help_panel=_panel)(_command)

app.add_typer(instance.app, name="instance", rich_help_panel="pipeline")
# What follows the first word of the program is the program's, options too.
app.command("exec", rich_help_panel="local cloud", context_settings={"allow_interspersed_args": False})(exec_.exec_)
app.command("shell", rich_help_panel="local cloud")(shell.shell)
app.add_typer(weights.app, name="weights", rich_help_panel="local cloud")

if __name__ == "__main__":
    app()
