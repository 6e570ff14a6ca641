"""Conditions (``where``): CEL over an in-toto statement. One that is false, errs or costs too much is unmet.

Variables: ``statement`` (``_type``, ``subject``, ``predicateType``, ``predicate``), and its parts ``subject``,
``predicateType`` and ``predicate``. There is no time among them: ages are judged at the proven time, by ``maxAge``.

cel-expr-python (Google's own C++ library) checks names and types when the policy is read, ends an evaluation after
10,000 turns of loops, nests no deeper than 32 and matches regexps in linear time; it cannot be stopped from outside,
and holds the GIL. So what else could be dear is refused at the start, or bounded by the statement's size: ``map`` and
``filter`` copy their list at each turn; a regexp must be a literal; a loop whose body looks at more than its own
element is asked of small statements only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

from plimsoll import limits
from plimsoll.errors import AttestationConditionError, PolicyError, UsageError
from plimsoll.model.attestation import Statement, Subject
from plimsoll.model.identity import Regexp, RegexpReading
from plimsoll.policy.cel_shape import Shape, read_shape
from plimsoll.policy.fields import shown

VARIABLES: Final = frozenset({"statement", "subject", "predicateType", "predicate"})

_FAULTS: Final = (RuntimeError, ValueError, TypeError, OverflowError)
"""What cel-expr-python raises: RuntimeError for all that CEL says, the others for values that it cannot take."""
_ENVIRONMENT: Final = "stdlib:\n  exclude_macros: [map, filter]\n"
_COMPILE_ERROR = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): ([^\n]*)")
_COPYING = re.compile(r"\.\s*(map|filter)\s*\(")


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A condition that was compiled; ``looks_outside`` says that its loops need a small statement."""

    text: str
    looks_outside: bool
    _expression: Any = field(repr=False, compare=False)

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (compile_condition, (self.text,))

    def check(self, statement: Statement) -> None:
        """Raise AttestationConditionError unless it is true of ``statement``, whose signature is proven elsewhere."""
        if not self.holds(statement):
            raise self.unmet("it is false")

    def holds(self, statement: Statement) -> bool:
        """Whether it is true or false of ``statement``; raises AttestationConditionError where it is neither."""
        from cel_expr_python import cel  # noqa: PLC0415  # late: see compile_condition

        data = _variables(statement)
        _check_size(data["statement"], small=self.looks_outside)
        try:
            found = self._expression.eval(data=data)
            kind, value = found.type(), found.value()
        except _FAULTS as error:
            raise self.unmet(_first_line(error)) from error
        if kind == cel.Type.ERROR:
            raise self.unmet(_first_line(value))
        if kind != cel.Type.BOOL or not isinstance(value, bool):
            raise self.unmet(f"it is no boolean but {kind.name()}")
        return value

    def unmet(self, why: str) -> AttestationConditionError:
        """The error that says that it is not met, and why."""
        return AttestationConditionError(f"the attestation does not meet the condition {self.text!r:.300}: {why}")


def compile_condition(text: str, *, where: str = "where") -> Condition:
    """Compile a condition; raises PolicyError, with the line and column where CEL names them.

    Needs the extra ``plimsoll[cel]``, imported here so that nobody else pays for it. Refused too: a type that can never
    be a boolean, what has no bounds (see above), and a regexp that RE2 refuses.
    """
    if len(text) > limits.CONDITION_CHARS:
        raise PolicyError(f"{where}: the condition has {len(text)} characters: at most {limits.CONDITION_CHARS}")
    try:
        from cel_expr_python import cel  # noqa: PLC0415  # late, see above
    except ImportError as error:
        raise PolicyError(f"{where}: conditions need another package: pip install 'plimsoll[cel]' ({error})") from error
    types = dict.fromkeys(VARIABLES, cel.Type.DYN) | {"predicateType": cel.Type.STRING}
    try:
        environment = cel.NewEnv(config=cel.NewEnvConfigFromYaml(_ENVIRONMENT), variables=types)
        expression = environment.compile(text)
        shape = read_shape(expression.serialize(), variables=VARIABLES)
    except _FAULTS as error:
        raise PolicyError(f"{where}: {_compile_fault(text, error)}") from error
    if expression.return_type() not in (cel.Type.BOOL, cel.Type.DYN):
        kind = expression.return_type().name()
        raise PolicyError(f"{where}: the condition {shown(text)} is never true or false: it is {kind}")
    _check_shape(shape, where)
    return Condition(text=text, looks_outside=shape.looks_outside, _expression=expression)


def _compile_fault(text: str, error: Exception) -> str:
    found = _COMPILE_ERROR.search(str(error))
    if found is None:
        return f"the condition {shown(text)} cannot be used: {_first_line(error)}"
    line, column, message = found.groups()
    message = message.removesuffix(" (in container '')")
    hint = ""
    if _COPYING.search(text):
        hint = "; map and filter are not available: all, exists, exists_one are"
    elif message.startswith("undeclared"):
        hint = f"; the variables are {', '.join(sorted(VARIABLES))}"
    return f"the condition {shown(text)} is refused at line {line}, column {column}: {message:.300}{hint}"


def _check_shape(shape: Shape, where: str) -> None:
    if shape.nesting > limits.CONDITION_NESTING:
        raise PolicyError(f"{where}: {shape.nesting} loops inside one another: at most {limits.CONDITION_NESTING}")
    if shape.computed_regexps:
        raise PolicyError(f"{where}: matches() needs its regexp as a literal: one out of a statement is the signer's")
    for pattern in shape.regexps:
        try:
            Regexp(pattern=pattern, reading=RegexpReading.SEARCH)
        except UsageError as error:
            raise PolicyError(f"{where}: {error}") from error


def _variables(statement: Statement) -> dict[str, object]:
    """The statement in its JSON form, of plain dicts and lists: the library takes no others."""
    predicate = None if statement.predicate is None else dict(statement.predicate)
    subjects = [_subject(found) for found in statement.subjects]
    whole = {
        "_type": statement.type,
        "subject": subjects,
        "predicateType": statement.predicate_type,
        "predicate": predicate,
    }
    return {
        "statement": whole,
        "subject": subjects,
        "predicateType": statement.predicate_type,
        "predicate": predicate,
    }


def _subject(found: Subject) -> dict[str, object]:
    """A subject with the members that it has: one without a name has none to compare."""
    members: dict[str, object] = {"digest": dict(found.digests)}
    if found.name:
        members["name"] = found.name
    if found.annotations:
        members["annotations"] = dict(found.annotations)
    return members


def _check_size(statement: object, *, small: bool) -> None:
    """Bound what each turn of a loop, and the copy of the whole, can cost; raises AttestationConditionError."""
    most, longest = (
        (limits.CONDITION_LOOP_NODES, limits.CONDITION_LOOP_CHARS)
        if small
        else (limits.CONDITION_NODES, limits.BUNDLE_BYTES)
    )
    why = " where a loop looks at more than its own element" if small else ""
    waiting, seen = [statement], 0
    while waiting:
        found = waiting.pop()
        seen += 1
        if isinstance(found, dict):
            waiting += found
            waiting += found.values()
        elif isinstance(found, list):
            waiting += found
        elif isinstance(found, str) and len(found) > longest:
            raise AttestationConditionError(f"the statement has a text of more than {longest} characters{why}")
        if seen + len(waiting) > most:
            raise AttestationConditionError(f"the statement has more than {most} values{why}")


def _first_line(said: object) -> str:
    """What the library says, without the source that it repeats, and bounded: the text may be the signer's."""
    return f"{str(said).strip().partition(chr(10))[0]!s:.300}"
