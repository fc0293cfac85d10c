"""What a scenario file may say. Unknown words are errors: a misspelt expectation must not pass as none."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Authority = Literal["provable", "leader_not_primary", "diverged", "undeterminable"]
Server = Literal["up", "down", "frozen", "missing"]
Engine = Literal["cnpg", "galera"]
#: a member by what it holds and whether it serves: all and serving, all and not, less, else, nothing, unknown
Verdict = Literal["healthy", "stopped", "behind", "diverged", "empty", "unreadable"]
Remedy = Literal["none", "wait", "restart", "bootstrap", "reseed"]
#: what the members of an engine are called, and the number of the first
NAMES: dict[str, tuple[str, int]] = {"cnpg": ("pg", 1), "galera": ("db", 0)}


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _OneOf(_Model):
    """Exactly one of the fields is given: a mapping with one key."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise ValueError(f"give exactly one of: {', '.join(type(self).model_fields)}")
        return self

    @property
    def chosen(self) -> tuple[str, Any]:
        """The name that was given, and what was said about it."""
        (name,) = self.model_fields_set
        return name, getattr(self, name)


class Write(_Model):
    """Commit rows into the ledger under a mark: the truth later asks who has which marks."""

    pod: str
    mark: str = Field(pattern=r"^[a-z0-9-]+$")
    rows: int = 100


class Sql(_Model):
    """Run SQL in a member as its superuser."""

    pod: str
    run: str
    database: str = ""


class Run(_Model):
    """Run a shell script in a member's container."""

    pod: str
    script: str


class SwitchWal(_Model):
    """Begin a new WAL segment, with a little WAL and a checkpoint each time."""

    pod: str
    times: int = 1


class Patch(_Model):
    """Merge-patch an object of the namespace: `pods/pg-1`, `cluster`, `cluster/status`."""

    object: str
    merge: dict[str, Any]


class Create(_Model):
    """Create an object of the namespace through the API."""

    object: str
    body: dict[str, Any]


class Value(_Model):
    """A dotted path into an object and what is there."""

    object: str = "cluster"
    path: str
    equals: Any


class Answer(_Model):
    """A query and the one answer it gives."""

    pod: str
    query: str
    equals: str


class Words(_Model):
    """A regular expression found in what a member's container has said."""

    pod: str
    match: str
    previous: bool = False


class Caught(_Model):
    """A member has replayed all that another has written so far."""

    pod: str
    up: str


class Condition(_OneOf):
    """Something to wait for."""

    ready: list[str] | None = None
    not_ready: list[str] | None = None
    streaming: list[str] | None = None
    not_streaming: list[str] | None = None
    down: list[str] | None = None
    caught: Caught | None = None
    answer: Answer | None = None
    value: Value | None = None
    says: Words | None = None
    wsrep: dict[str, str] | None = Field(None, description="what members say of themselves: `Synced 3`")
    condition: dict[str, str] | None = Field(None, description="conditions of the object, by type")
    reason: str | None = Field(None, description="part of what the condition Ready says")


class Wait(_Model):
    """Wait till something is so."""

    until: Condition
    within: float = 20.0


class Copy(_Model):
    """Copy a file of one member's PGDATA into another's; both must run."""

    source: str
    target: str
    path: str


class Put(_Model):
    """Write a file on a member's claim, from outside: the member need not run."""

    pod: str
    path: str
    text: str


class Edit(_Model):
    """Replace a text in a file on a member's claim, from outside."""

    pod: str
    path: str
    old: str
    new: str


class Step(_OneOf):
    """One step on the way. `${pg-2}` in SQL and scripts stands for that pod's address."""

    settle: str | None = Field(None, description="wait till all others have replayed what this one wrote")
    copy_file: Copy | None = None

    write: Write | None = None
    sql: Sql | None = None
    run: Run | None = None
    do: dict[str, Any] | None = Field(None, description="an action of `hasteward lab break`")
    wait: Wait | None = None
    promote: str | None = None
    checkpoint: str | None = None
    switch_wal: SwitchWal | None = None
    annotate: dict[str, dict[str, str | None]] | None = None
    patch: Patch | None = None
    create: Create | None = None
    operator: Literal["up", "down"] | None = None
    switchover: str | None = None
    pause: float | None = None
    shut_down: str | None = Field(None, description="end a server politely and hold its container down")
    scale: int | None = Field(None, description="scale the StatefulSet, and wait for it")
    suspend: bool | None = None
    put: Put | None = None
    edit: Edit | None = None
    latch: bool | None = Field(None, description="set the latch of the operator's recovery, or open it")


class Member(_Model):
    """What is true of one member; what is not said is not checked."""

    server: Server
    role: Literal["primary", "replica"] | None = None
    ready: bool | None = None
    streaming: bool | None = None
    timeline: int | None = None
    control_timeline: int | None = None
    marks: list[str] | Literal["unreadable"] | None = None
    wsrep: str | None = None
    verdict: Verdict | None = None


class Fact(_Model):
    """A claim in words, and the look that proves it."""

    claim: str
    answer: Answer | None = None
    value: Value | None = None
    says: Words | None = None
    control: Answer | None = None
    files: Answer | None = None
    script: Answer | None = None
    condition: dict[str, str] | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len(self.model_fields_set) != 2:
            raise ValueError("a fact has a claim and exactly one look that proves it")
        return self

    @property
    def chosen(self) -> tuple[str, Any]:
        """The kind of look, and what it must show."""
        (name,) = self.model_fields_set - {"claim"}
        return name, getattr(self, name)


class Expect(_Model):
    """The truth at the end, checked against the real servers and files."""

    authority: Authority
    newest: list[str]
    members: dict[str, Member]
    facts: list[Fact] = []
    remedies: dict[str, Remedy] = Field({}, description="what a good tool would do with each member")
    trap: str


class Scenario(_Model):
    """A broken cluster."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{2,60}$")
    title: str
    source: str
    engine: Engine = "cnpg"
    members: int = Field(3, ge=1, le=12)
    volume_size: str = "512Mi"
    level: str | None = None
    spec: dict[str, Any] = {}
    time_scale: float = 0.1
    long: bool = True
    steps: list[Step]
    expect: Expect
    look: list[str] = []

    @model_validator(mode="after")
    def _members_exist(self) -> Self:
        strange = (set(self.expect.members) | set(self.expect.newest)) - set(self.names)
        if strange:
            raise ValueError(f"expect names no member of this cluster: {', '.join(sorted(strange))}")
        missing = set(self.names) - set(self.expect.members)
        if missing:
            raise ValueError(f"expect says nothing of {', '.join(sorted(missing))}")
        for name in self.expect.newest:
            if len(self.expect.newest) == 1 and self.expect.remedies.get(name) == "reseed":
                raise ValueError(f"expect would have {name} overwritten, which alone has every commit")
        return self

    @property
    def names(self) -> list[str]:
        """The names of the members."""
        stem, first = NAMES[self.engine]
        return [f"{stem}-{serial}" for serial in range(first, first + self.members)]
