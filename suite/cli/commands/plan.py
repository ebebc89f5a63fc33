"""`lape plan`: what is done, what is missing, how long it takes, and what the seeds can show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from suite.cli.answers.answer import json_text
from suite.cli.answers.plan import cell_part, plan_answer
from suite.cli.commands.console import SHOWN, open_console, print_line
from suite.cli.commands.plan_claims import foreign_metrics, outlook_lines
from suite.cli.commands.plan_disk import corruption_lines
from suite.cli.commands.plan_power import power_lines
from suite.cli.commands.plan_weights import weights_lines, weights_problems
from suite.cli.commands.precision_note import note_slow_bf16
from suite.cli.commands.thread_note import note_threads
from suite.data.cache import open_root, verify
from suite.data.tasks import TASKS
from suite.errors import InputError
from suite.grid.choice import Choice
from suite.report.workspace import Workspace
from suite.run.opened_grid import OpenGrid
from suite.run.plan import Plan, expectation, make_plan
from suite.run.ray.capacity import Capacity, Needs, capacity, default_gpus, parse_nodes
from suite.run.stale import Answer, Stale, checks, stale_answer, stale_lines, stale_records
from suite.run.timing.estimate import ANYWHERE, CellEstimate, Estimate, Interval, Where, workers_here
from suite.run.timing.here import anywhere, here
from suite.run.timing.pace import kind_of
from suite.store.files import make_folder, write_atomic
from suite.text import counted, csv_text, duration, precise_duration, say
from suite.train.machine import Machine
from suite.verdict.claims.claim import untested
from suite.verdict.metrics import METRICS

_STALE: dict[Answer, str] = {
    "": "",
    "keep": ", and are kept",
    "rerun": ", and are to do again",
    "verify": ", and are checked",
}


def _planned(opened: OpenGrid, stale: Answer) -> Plan:
    """The plan of a grid if records that other code made are rerun or kept."""
    records = opened.store.records()
    older = stale_records(opened.expansion.trials, records) if stale == "rerun" else []
    return make_plan(opened.expansion, records, again={one.trial.id for one in older})


def _stale_answers(workspace: Workspace, older: Sequence[Stale]) -> Iterator[str]:
    """What can be done with stale records, and what it takes."""
    few = checks(older, workspace.records)
    if few:
        seconds = sum(check.record.train_seconds or 0.0 for check in few)
        took = duration(seconds)
        yield f"`{workspace.command} --stale verify` trains {len(few)} of them again ({took} when they ran)"
        yield "and keeps all if the outcome is the same; --stale rerun trains all again, --stale keep trains none"
    else:
        yield f"`{workspace.command} --stale rerun` trains them again, --stale keep keeps them"


def calibrate_grid(workspace: Workspace, machine: Machine, workers: int | None, stale: str = "") -> None:
    """Measure each kind of trial that is to do, and keep what was found beside the results: no record comes of it.

    Args:
        workspace: The grid with its results.
        machine: How trials will run.
        workers: As many trials at a time as will run here; None: as many as the cores allow, or one on a GPU.
        stale: As `print_plan` has it.
    """
    from suite.run.timing.calibration import calibrate  # torch, which planning does without

    plan = _planned(workspace, stale_answer(stale))
    kinds = {kind_of(trial.config).whole: trial for trial in reversed(plan.to_do)}
    if not kinds:
        return
    trials = list(reversed(kinds.values()))
    root = open_root(machine.data_root)
    for dataset in {trial.dataset.name: trial.dataset for trial in trials}.values():
        verify(dataset, root)
    make_folder(workspace.store.folder)
    on_cpu = machine.torch_device().type == "cpu"
    at_a_time = workers or (workers_here(machine.threads) if on_cpu else 1)
    measured = calibrate(trials, replace(machine, data_root=root), min(at_a_time, len(plan.to_do)))
    measured.write(workspace.store.folder)


def print_plan_line(console: Console, workspace: Workspace, plan: Plan, where: Where = ANYWHERE) -> None:
    """The plan in one line, at the start of a run. where: which devices' measurements count."""
    if reason := workspace.grid.file.not_runnable:
        print_line(console, f"{workspace.grid.name}: nothing to run: {reason}")
        return
    if not plan.to_do:
        text = f"{workspace.grid.name}: nothing to run, all {plan.total} trials have been run"
        print_line(console, text + (f"; {_failed(workspace, plan)}" if plan.failed else ""))
        return
    expected = workspace.estimate(plan.to_do, where=where)
    time = f", about {precise_duration(expected.seconds)} of training on one such worker" if expected.known else ""
    print_line(console, f"{workspace.grid.name}: {len(plan.to_do)} of {counted(plan.total, 'trial')} to run{time}")


def print_plan(
    workspace: Workspace,
    *,
    workers: int | None = None,
    as_json: bool = False,
    target: str | None = None,
    room: Capacity | None = None,
    device: str = "auto",
    threads: int = 1,
    stale: str = "",
    data: Path | None = None,
) -> None:
    """`lape plan`.

    Args:
        workspace: The grid with its results.
        workers: Trials at a time; None: as many as this machine's cores allow.
        as_json: Print JSON alone.
        target: A file for a row of CSV per cell; "-" prints that alone.
        room: What a cluster has, if that was asked.
        device: Where trials will run, as `--device` has it.
        threads: CPU threads of each trial.
        stale: What a run would do with records that other code made: "verify", "rerun" or "keep"; empty: it would ask.
        data: The folder of the prepared data sets; None for the usual one.

    Raises:
        InputError: `stale` is another word.
    """
    console = open_console()
    answer = stale_answer(stale)
    older = stale_records(workspace.expansion.trials, workspace.records)
    plan = _planned(workspace, answer)

    def expect(plan: Plan) -> Estimate:
        if room is None:
            found = workspace.estimate(plan.to_do, workers, here(device, threads))
            if found.known:
                return found
        return workspace.estimate(plan.to_do, workers, anywhere(device, threads))

    if as_json or target is not None:
        found = expect(plan)
        if as_json:
            say(json_text(plan_answer(workspace, plan, found, older, weights_problems(plan.to_do, data)), indent=1))
            return
        if target == "-":
            say(_cell_csv(found), end="")
            return
        write_atomic(Path(str(target)), _cell_csv(found).encode())
    if workspace.grid.file.not_runnable:
        print_plan_line(console, workspace, plan)
        print_line(console, f"  claims   {len(workspace.claims)}, not tested by this grid")
        return
    unmatched = untested(workspace.claims, workspace.expansion.trials)
    seeds = len(workspace.grid.file.seeds)
    if workspace.choices:
        print_line(console, f"{workspace.grid.name}: {_phases(workspace)}")
    else:
        cells = len(workspace.expansion.trials) // seeds
        print_line(console, f"{workspace.grid.name}: {_product(cells, seeds)}")
    if (task := workspace.grid.file.task) != "classification":
        print_line(console, f"  task     {task}: {METRICS[TASKS[task].metric].summary}")
    print_line(
        console, f"  trials   {plan.total}: {len(plan.done)} done, {len(plan.failed)} failed, {len(plan.to_do)} to do"
    )
    for line in choice_lines(workspace.choices):
        print_line(console, line)
    if plan.others:
        print_line(
            console,
            f"  besides  {counted(plan.others, 'stored run')} of other trials (another recipe or size): left alone",
        )
    if older:
        were = counted(len(older), "stored run was", "stored runs were")
        print_line(console, f"  stale    {were} made by other code than that at hand{_STALE[answer]}:")
        for line in stale_lines(older):
            print_line(console, f"           {line}")
        if not answer:
            for line in _stale_answers(workspace, older):
                print_line(console, f"           {line}")
    machine = Machine(device=device, threads=threads)
    if room is not None:
        print_line(console, f"  at once  {room.line}")
    else:
        note_threads(machine)
        note_slow_bf16(plan.to_do, machine)
    expected = expect(plan)
    print_line(console, f"  time     {_time(workspace, plan, expected)}")
    for line in _time_details(expected, None if workspace.calibration is None else workspace.calibration.warning):
        print_line(console, f"           {line}")
    if workspace.grid.file.expect:
        print_line(console, f"  expected {_expected(workspace)}")
    if workspace.budget_note:
        print_line(console, f"  budget   {workspace.budget_note}: the claims are tested as analogues")
    for place, line in enumerate(power_lines(workspace)):
        print_line(console, f"  {'' if place else 'power':<8} {line}")
    for line in corruption_lines(workspace):
        print_line(console, f"  disk     {line}")
    for line in weights_lines(weights_problems(plan.to_do, data)):
        print_line(console, f"  weights  {line}")
    claims = f"{len(workspace.claims)} to judge" + (f", {len(unmatched)} not tested by this grid" if unmatched else "")
    print_line(console, f"  claims   {claims}")
    for line in foreign_metrics(workspace.claims, workspace.grid.file.task):
        print_line(console, f"           {line}")
    for line in outlook_lines(workspace, expected):
        print_line(console, f"           {line}")
    print_line(console, f"  dropped  {counted(len(plan.dropped), 'cell')}")
    for cell in plan.dropped[:SHOWN]:
        print_line(console, f"    {cell.label}: {cell.reason}")
    if len(plan.dropped) > SHOWN:
        print_line(console, f"    and {len(plan.dropped) - SHOWN} more")


def _phases(workspace: Workspace) -> str:
    search, seeds = workspace.choices[0].search, len(workspace.grid.file.seeds)
    cells = sum(map(len, search.sides))
    return (
        f"a search of {search.axis}, {_product(cells, len(search.seeds))}, then {_product(len(search.sides), seeds)} "
        "at the chosen levels"
    )


def _product(cells: int, seeds: int) -> str:
    return f"{counted(cells, 'cell')} × {counted(seeds, 'seed')}"


def choice_lines(choices: Sequence[Choice]) -> list[str]:
    """A line per side of a search: what is chosen for it. Empty for another grid."""
    dearest = "; until then its price is that of the dearest level"
    return [f"  chosen   {one.side}: {one.text}{dearest if one.level is None else ''}" for one in choices]


def _time(workspace: Workspace, plan: Plan, expected: Estimate) -> str:
    if not plan.to_do:
        return "nothing to do"
    if expected.device is None:
        calibrate = f"`{workspace.command_for('plan')} --calibrate` measures a few steps"
        return f"unknown before a first trial of each size: {calibrate}, `{workspace.command} --limit 2` runs some"
    unknown = (
        f"; besides {counted(expected.unknown, 'trial')} of sizes that were not run yet" if expected.unknown else ""
    )
    interval = "" if expected.interval is None else f", 95 % {_between(expected.interval)}"
    hours = f"{expected.device.hours(expected.seconds):.2f} {expected.device.unit}"
    return (
        f"about {precise_duration(expected.seconds)}{interval} ({hours}) on one worker, as measured on "
        f"{expected.device.label}{unknown}"
    )


def _time_details(expected: Estimate, warning: str | None) -> Iterator[str]:
    """Lines below the time. warning: what to say of the calibration, if any of it was used."""
    if not expected.known:
        return
    if warning is not None and any(cell.basis == "calibration" for cell in expected.cells):
        yield warning
    wall = expected.wall_interval
    at_a_time = f"{expected.workers} trials at a time" if expected.workers > 1 else "one trial at a time"
    # Otherwise two at a time may seem slower than one.
    begin = f", {precise_duration(expected.begin)} of it until they begin" if expected.begin else ""
    yield f"about {precise_duration(expected.wall)}{f', {_between(wall)}' if wall else ''}, with {at_a_time}{begin}"
    if expected.spread is None:
        yield "no interval: that takes two measurements of a kind at least"
    else:
        yield (
            f"the interval: t with {expected.freedom:.1f} degrees of freedom, for trainings whose times differ by "
            f"{expected.spread:.1%}, all alike in one run"
        )
    for cell in expected.cells[:SHOWN]:
        yield _cell_line(cell)
    if len(expected.cells) > SHOWN:
        yield f"and {counted(len(expected.cells) - SHOWN, 'more cell')}: --csv has them all"


def _cell_line(cell: CellEstimate) -> str:
    if cell.seconds is None:
        return f"{cell.label}: {cell.trials} × unknown"
    start_up = f" and {precise_duration(cell.start_up)} to begin" if cell.start_up else ""
    return f"{cell.label}: {cell.trials} × {precise_duration(cell.seconds)}{start_up}, {_basis(cell)}"


def _basis(cell: CellEstimate) -> str:
    if cell.basis == "runs":
        return f"as {counted(cell.measured, 'run')}"
    if cell.basis == "calibration":
        return f"as calibrated, {counted(cell.measured, 'round')}"
    return "as the same model with another PE or recipe, which the interval knows nothing of"


def _between(interval: Interval) -> str:
    return f"from {precise_duration(interval[0])} to {precise_duration(interval[1])}"


def _cell_csv(expected: Estimate) -> str:
    return csv_text(cell_part(expected, cell).model_dump() for cell in expected.cells)


def _expected(workspace: Workspace) -> str:
    found = expectation(workspace.expansion.trials, workspace.grid.file.expect)
    parts = [f"{hours:,.{0 if hours >= 10 else 1}f} h on {hardware}" for hardware, hours in found.hours.items()]
    if found.hours and found.unknown:
        parts.append(f"besides {counted(found.unknown, 'trial')} whose time isn't known")
    if found.low <= found.high:
        parts.append(f"top-1 from {found.low:.2f} to {found.high:.2f} %")
    return "; ".join(parts) or "nothing: no entry names any of its cells"


def _failed(workspace: Workspace, plan: Plan) -> str:
    counts = Counter(record.status for record in plan.failed)
    text = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    retry = f"`{workspace.command} --retry {','.join(sorted(counts))}` runs them again"
    return f"{len(plan.failed)} failed ({text}): `{workspace.command_for('status')}` lists them, {retry}"


def find_room(
    opened: OpenGrid, address: str | None, described: Sequence[str], threads: int, gpus: float | None, stale: str = ""
) -> Capacity:
    """What is asked of the cluster at the address, or of nodes as they are described.

    Raises:
        InputError: there is no such cluster, or none of its nodes could ever run such a trial.
    """
    if address is not None and described:
        raise InputError(
            "a cluster, and nodes besides",
            expected="either --address or --nodes",
            found="both",
            where="lape plan",
            fix="leave one of the two out",
        )
    if address is None:
        nodes, where = parse_nodes(described), "--nodes"
    else:
        from suite.run.ray.cluster import ask_nodes

        nodes, where = ask_nodes(address), "--address"
    needs = Needs(threads, default_gpus(nodes) if gpus is None else gpus)
    needs = replace(needs, cpus=threads * max(1, int(needs.gpus)))  # a process of so many threads for each GPU
    to_do = _planned(opened, stale_answer(stale)).to_do
    return capacity(nodes, needs, max(1, len(to_do)), where)
