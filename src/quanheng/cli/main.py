"""Finds the command, runs it, and turns every error into one line with its cure and an exit code.

Exit codes: 0 done, 1 failed, 2 the input was wrong, 3 an alarm of a `watch` (log, models), 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import cyclopts

from quanheng import __version__
from quanheng.cli import (
    bench,
    consume,
    credit,
    demo,
    dmn_evaluate,
    explain,
    features,
    ingest,
    job,
    keep,
    ledger,
    ledger_reconcile,
    lists,
    logs,
    models,
    models_dmn,
    models_effect,
    models_fit,
    models_proofs,
    models_registry,
    models_report,
    models_score,
    models_watch,
    outbox,
    packs,
    process,
    process_simulate,
    run,
    serve,
    simulation,
    steps,
)
from quanheng.kernel.errors import InputError, QuanhengError

ABOUT = """Decide events in real time, durably, with reasons. 权衡:实时决策,持久记录,附带理由。

Start here:
  quanheng run --pack NAME     serve, play simulated traffic, show the result
  quanheng serve --pack NAME   serve only
  quanheng COMMAND --help      what a command does, with an example

Errors name place, what was found, what is allowed and the cure. Add --debug for the full trace.
"""

app = cyclopts.App(
    name="quanheng",
    help=ABOUT,
    help_format="plaintext",
    version=__version__,
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)
MODELS = cyclopts.App(
    name="models",
    help="Models: fitted on a table, watched.\n\nFor example:\n  quanheng models fit --target default loans.csv",
)
MODELS.command(models_fit.fit)
MODELS.command(models_score.score)
MODELS.command(models_dmn.dmn)
MODELS.command(models_watch.watch)
MODELS.command(models_effect.effect)
MODELS.command(models_report.report)
MODELS.command(models_registry.draft)
MODELS.command(models_registry.list_, name="list")
MODELS.command(models_registry.show)
MODELS.command(models_registry.compare)
MODELS.command(models_registry.history)
MODELS.command(models_proofs.prove)
MODELS.command(models_proofs.verify)
for command in (
    run.run,
    serve.serve,
    ingest.ingest,
    consume.consume,
    models.train,
    models.evaluate,
    logs.decision,
    logs.replay,
    explain.explain,
    keep.erase,
    bench.bench,
):
    app.command(command)
for group in (
    demo.app,
    packs.app,
    features.app,
    steps.POLICY,
    lists.app,
    outbox.app,
    job.app,
    ledger.app,
    process.app,
    logs.app,
    keep.app,
    dmn_evaluate.DMN,
    simulation.app,
    credit.app,
    MODELS,
):
    app.command(group)
ledger.app.command(ledger_reconcile.reconcile)
process.app.command(process_simulate.simulate)


@app.command
def version() -> None:
    """Show the version.

    For example:
      quanheng version
    """
    print(__version__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code. As a console script its value becomes the exit code of the process."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given or bool(os.environ.get("QUANHENG_DEBUG"))
    given = [one for one in given if one != "--debug"]
    try:
        code = app(given, exit_on_error=False, print_error=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except cyclopts.CycloptsError as error:
        return _fail(f"{' '.join(str(error).split())} See: quanheng {_command(given)}--help", 2)
    except QuanhengError as error:
        if debug:
            raise
        return _fail(str(error), 2 if isinstance(error, InputError) else 1)
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except BrokenPipeError:  # The reader of our output (head, less) has gone; that is no failure of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # The declared boundary: a person sees one line, not a trace.
        if debug:
            raise
        return _fail(
            f"a fault of Quanheng itself: {type(error).__name__}: {error}. Run again with --debug for the trace.", 1
        )


def _command(given: Sequence[str]) -> str:
    words = []
    for word in given[:2]:
        if word.startswith("-"):
            break
        words.append(word)
    groups = (
        "pack",
        "features",
        "policy",
        "list",
        "job",
        "outbox",
        "ledger",
        "process",
        "dmn",
        "models",
        "credit",
        "log",
        "token",
        "simulate",
    )
    known = words if words[:1] and (words[0] in groups or words == ["demo", "ledger"]) else words[:1]
    return "".join(f"{word} " for word in known if words and words[0] in app)


def _fail(text: str, code: int) -> int:
    print(f"error: {text}", file=sys.stderr)
    return code
