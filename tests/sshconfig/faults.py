"""System calls that fail: the kernel answers them with an error, by a seccomp filter of this process."""

import ctypes
import os
import platform

_NUMBERS = {
    "x86_64": {"flock": 73, "fsync": 74, "rename": 82, "setxattr": 188, "fsetxattr": 190, "fchown": 93},
    "aarch64": {"flock": 32, "fsync": 82, "rename": 38, "setxattr": 5, "fsetxattr": 7, "fchown": 55},
}
"""Linux's numbers; on aarch64 rename(3) is renameat."""

_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _SECCOMP_MODE_FILTER = 22, 38, 2
_LOAD, _EQUAL, _RETURN, _ERRNO, _ALLOW = 0x20, 0x15, 0x06, 0x0005_0000, 0x7FFF_0000


class _Instruction(ctypes.Structure):
    _fields_ = (("code", ctypes.c_ushort), ("jt", ctypes.c_ubyte), ("jf", ctypes.c_ubyte), ("k", ctypes.c_uint))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.POINTER(_Instruction)))


def make_fail(call: str, error: int) -> None:
    """Let each `call` of this process and its children fail with `error`, for good: to be used in a child."""
    number = _NUMBERS[platform.machine()][call]
    instructions = (_Instruction * 4)(
        _Instruction(_LOAD, 0, 0, 0), _Instruction(_EQUAL, 0, 1, number),
        _Instruction(_RETURN, 0, 0, _ERRNO | error), _Instruction(_RETURN, 0, 0, _ALLOW),
    )  # fmt: skip
    program = _Program(len(instructions), instructions)
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    for arguments in (
        (_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        (_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(program)),
    ):
        if prctl(*arguments) != 0:
            raise OSError(ctypes.get_errno(), f"no seccomp filter: {os.strerror(ctypes.get_errno())}")
