"""`ratti completion`: scripts by which a shell completes verbs, options and their values."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

HELP = "a script for the shell: source <(ratti completion bash), or zsh; ratti completion fish | source"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=sorted(_SHELLS), help="the shell that reads the script")


def run(arguments: argparse.Namespace) -> int:
    from . import parser

    print(_SHELLS[arguments.shell](list(_walk(parser()))), end="")
    return 0


@dataclass(frozen=True)
class _Option:
    flags: tuple[str, ...]
    values: tuple[str, ...]
    takes_value: bool
    help: str


@dataclass(frozen=True)
class _Command:
    """A path of verbs, and what may follow it."""

    path: tuple[str, ...]
    verbs: Mapping[str, str]  # with their help
    options: tuple[_Option, ...]
    words: tuple[str, ...]  # of positional arguments


def _walk(parser: argparse.ArgumentParser, path: tuple[str, ...] = ()) -> Iterator[_Command]:
    """Every command, the root first."""
    known = _values()
    verbs: dict[str, str] = {}
    children: dict[str, argparse.ArgumentParser] = {}
    options: list[_Option] = []
    words: list[str] = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            children = dict(action.choices)
            verbs = {a.dest: a.help or "" for a in action._choices_actions}
        elif action.option_strings:
            values = tuple(map(str, action.choices or known.get(action.option_strings[-1], ())))
            options.append(_Option(tuple(action.option_strings), values, action.nargs != 0, action.help or ""))
        elif action.choices:
            words += map(str, action.choices)
    yield _Command(path, verbs, tuple(options), tuple(words))
    for name, child in children.items():
        yield from _walk(child, (*path, name))


def _values() -> Mapping[str, tuple[str, ...]]:
    """Values of options that are no choices of argparse."""
    from .. import targets
    from ..emit import projects

    return {"--target": targets.ids(), "--project": projects.ids(), "--weights": ("linked", "blob")}


def _bash(commands: list[_Command]) -> str:
    cases, values = [], []
    for c in commands:
        flags = [flag for o in c.options for flag in o.flags]
        cases.append(f'    "{" ".join(c.path)}") words="{" ".join([*c.verbs, *c.words, *flags])}" ;;')
        for o in c.options:
            if o.takes_value:
                for flag in o.flags:
                    values.append(f'    "{" ".join((*c.path, flag))}") words="{" ".join(o.values)}" ;;')
    paths = "|".join(f'"{" ".join(c.path)}"' for c in commands if c.path)
    return _BASH.format(paths=paths, cases="\n".join(cases), values="\n".join(values))


_BASH = """# ratti: completion for bash. source <(ratti completion bash)
_ratti() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" previous="${{COMP_WORDS[COMP_CWORD-1]}}" command="" words="" k next
  for ((k = 1; k < COMP_CWORD; k++)); do
    next="${{command:+$command }}${{COMP_WORDS[k]}}"
    case "$next" in
    {paths}) command="$next" ;;
    esac
  done
  COMPREPLY=()
  case "${{command:+$command }}$previous" in
{values}
  *)
    case "$command" in
{cases}
    esac ;;
  esac
  [ -n "$words" ] && COMPREPLY=($(compgen -W "$words" -- "$current"))
}}
complete -o default -F _ratti ratti
"""


def _zsh(commands: list[_Command]) -> str:
    script = _bash(commands).split("\n", 1)[1]
    head = "# ratti: completion for zsh. source <(ratti completion zsh)\nautoload -U +X bashcompinit && bashcompinit\n"
    return head + script


def _fish(commands: list[_Command]) -> str:
    lines = ["# ratti: completion for fish. ratti completion fish | source"]
    for c in commands:
        seen = [f"__fish_seen_subcommand_from {verb}" for verb in c.path]
        if c.verbs:
            seen.append(f"not __fish_seen_subcommand_from {' '.join(c.verbs)}")
        start = f"complete -c ratti -n {_quoted('; and '.join(seen))}" if seen else "complete -c ratti"
        lines += [f"{start} -f -a {verb} -d {_quoted(about)}" for verb, about in c.verbs.items()]
        lines += [f"{start} -f -a {_quoted(' '.join(c.words))}"] if c.words else []
        for o in c.options:
            names = " ".join(f"-l {f[2:]}" if f.startswith("--") else f"-s {f[1:]}" for f in o.flags)
            value = f" -x -a {_quoted(' '.join(o.values))}" if o.values else " -r" if o.takes_value else ""
            lines.append(f"{start} {names}{value} -d {_quoted(o.help)}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


_SHELLS = {"bash": _bash, "fish": _fish, "zsh": _zsh}
