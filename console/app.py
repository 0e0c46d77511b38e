"""The commands, what their exit codes mean, and errors as one sentence."""

import sys

import typer

from console.commands import (
    adopt,
    audit,
    bootstrap,
    capacity,
    cells,
    certificates,
    demo,
    doctor,
    jobs,
    keys,
    load,
    moves,
    orchestrations,
    place,
    plan,
    reservations,
    restored,
    router,
    running,
    secrets,
    status,
    tenants,
    token,
)
from console.errors import EXIT_CODES, EXIT_NOT_RUNNING, EXIT_OK, EXIT_REFUSED, ConsoleError

app = typer.Typer(
    name="cellway",
    help="Run and operate a Cellway platform.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
running.add_to(app)
demo.add_to(app)
app.add_typer(tenants.app, name="tenants")
app.add_typer(cells.app, name="cells")
place.add_to(app)
app.add_typer(reservations.app, name="reservations")
app.add_typer(moves.app, name="moves")
app.add_typer(plan.app, name="plan")
app.add_typer(keys.app, name="keys")
app.add_typer(orchestrations.app, name="orchestrations")
app.add_typer(jobs.app, name="jobs")
app.add_typer(router.app, name="router")
status.add_to(app)
capacity.add_to(app)
doctor.add_to(app)
audit.add_to(app)
token.add_to(app)
app.add_typer(bootstrap.app, name="bootstrap")
secrets.add_to(app)
certificates.add_to(app)
app.add_typer(restored.app, name="restored")
load.add_to(app)
adopt.add_to(app)


def run(arguments: list[str] | None = None) -> int:
    """Run one command; its exit code. Faults are one sentence on stderr, never a traceback."""
    from console.platform.errors import AlreadyRunning
    from runtime.errors import RuntimeFault

    try:
        app(args=arguments, standalone_mode=True)
    except ConsoleError as error:
        return _said(str(error), error.exit_code)
    except AlreadyRunning as error:
        return _said(str(error), EXIT_REFUSED)
    except RuntimeFault as error:
        return _said(str(error), EXIT_NOT_RUNNING)
    except BrokenPipeError:
        # Whoever read the output has seen enough (`| head`).
        sys.stderr.close()
        return EXIT_OK
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 1
    return EXIT_OK


def _said(sentence: str, code: int) -> int:
    sys.stderr.write(f"cellway: {sentence}\n")
    return code
