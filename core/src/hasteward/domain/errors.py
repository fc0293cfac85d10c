"""Everything hasteward can say no with, and the exit code each carries.

The tree:

    HastewardError                 something the person on call must read
      InvalidInput            3    a flag, a name, a file or a value is wrong
      DependencyError         4    a program, the API or the network is not there
      PermissionDenied        4    the API or a file refused us
      RunFailed               1    the work itself failed
      RepositoryMissing      10    restic's own meanings
      RepositoryLocked       11
      WrongPassword          12
      Refused                21    a safety gate said no; nothing was touched
      Unproven               22    bytes arrived that were not proven; nothing was saved
      Interrupted           130    somebody pressed Ctrl-C or sent SIGTERM

Every message is one sentence about what is wrong; `hint` names the next command or setting.
No message may carry a secret.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """The process's answer to scripts. An unknown code must be treated as failure."""

    OK = 0
    #: the work failed
    FAILED = 1
    #: the command line could not be parsed
    USAGE = 2
    #: a value or the configuration is invalid, or names something that does not exist
    INVALID = 3
    #: a program, the Kubernetes API or a right is missing
    DEPENDENCY = 4
    #: some of the work was done, some was not
    PARTIAL = 5
    #: as in restic: there is no repository at the path
    NO_REPOSITORY = 10
    #: as in restic: the repository is locked
    REPOSITORY_LOCKED = 11
    #: as in restic: the password does not open the repository
    WRONG_PASSWORD = 12
    #: triage found something unhealthy
    UNHEALTHY = 20
    #: a safety gate refused; nothing was touched
    REFUSED = 21
    #: proof or verification failed; nothing was saved
    UNPROVEN = 22
    #: interrupted by SIGINT or SIGTERM
    INTERRUPTED = 130


class HastewardError(Exception):
    """The root; catch it at the edge only. `code` is stable and for machines."""

    exit_code: ExitCode = ExitCode.FAILED
    code: str = "run.failed"
    retryable: bool = False

    def __init__(self, message: str, *, hint: str = "", code: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if code:
            self.code = code


class RunFailed(HastewardError):
    """The work was begun and failed."""


class InvalidInput(HastewardError):
    """What was asked for is wrong or does not exist; nothing was touched."""

    exit_code = ExitCode.INVALID
    code = "input.invalid"


class DependencyError(HastewardError):
    """A program, a server or the network that the work needs is not available."""

    exit_code = ExitCode.DEPENDENCY
    code = "dependency.unavailable"
    retryable = True


class PermissionDenied(DependencyError):
    """We were recognised and refused."""

    code = "permission.denied"
    retryable = False


class RepositoryMissing(HastewardError):
    """No restic repository exists at the given place."""

    exit_code = ExitCode.NO_REPOSITORY
    code = "repository.missing"


class RepositoryLocked(HastewardError):
    """Another restic process holds a lock that excludes us."""

    exit_code = ExitCode.REPOSITORY_LOCKED
    code = "repository.locked"
    retryable = True


class WrongPassword(HastewardError):
    """The password does not open the repository."""

    exit_code = ExitCode.WRONG_PASSWORD
    code = "repository.password"


class Refused(HastewardError):
    """A safety gate said no. The message names the evidence and the rule; nothing was touched."""

    exit_code = ExitCode.REFUSED
    code = "gate.refused"


class Unproven(HastewardError):
    """The bytes that arrived were not proven complete, so they were not kept."""

    exit_code = ExitCode.UNPROVEN
    code = "proof.failed"


class Interrupted(HastewardError):
    """The run was told to stop and has cleaned up after itself."""

    exit_code = ExitCode.INTERRUPTED
    code = "run.interrupted"
