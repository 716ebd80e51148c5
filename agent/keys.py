"""Where keys of models come from, and that they go nowhere else.

A key is taken from the environment (NAME), from the file that NAME_FILE names, or from the platform's keyring, where
the package `keyring` is installed (`keyring set autocomp-mcp NAME`). What is written down passes through `hidden`.
"""

from __future__ import annotations

import os
import re
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from .errors import ModelUsageError

SERVICE = "autocomp-mcp"
KEYRING_VARIABLE = "AUTOCOMP_KEYRING"  # 0: it is not asked, e.g. where it would ask for a password
MAX_KEY_BYTES = 16 << 10
SHORTEST = 8  # characters; what is shorter would blot out ordinary words
MARK = "[secret]"
_SECRET_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|AUTH)S?(_?ID)?$")
_known: set[str] = set()


class Key(NamedTuple):
    """`origin`: where it was found, in words."""

    value: str
    origin: str

    def __repr__(self) -> str:
        return f"Key({MARK}, {self.origin!r})"


def find_key(name: str, *, in_keyring: bool = True) -> Key | None:
    """The key by this name of an environment variable. Raises ModelUsageError for a file that cannot be read."""
    if value := os.environ.get(name, "").strip():
        return _remembered(Key(value, f"{name} in the environment"))
    if file := os.environ.get(f"{name}_FILE"):
        return _remembered(Key(_read(f"{name}_FILE", Path(file).expanduser()), f"the file that {name}_FILE names"))
    if in_keyring and (value := _from_keyring(name)):
        return _remembered(Key(value, f"the keyring ({SERVICE}, {name})"))
    return None


def keep_secret(value: str) -> None:
    """From now on it is blotted out of what this process tells and writes down."""
    _known.add(value)


def _remembered(key: Key) -> Key:
    keep_secret(key.value)
    return key


def _read(variable: str, path: Path) -> str:
    try:
        with path.open("rb") as stream:
            text = stream.read(MAX_KEY_BYTES).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ModelUsageError(f"{variable}: {str(path)!r} cannot be read: {why}") from None
    if not text or len(text.split()) != 1:
        raise ModelUsageError(f"{variable}: {str(path)!r} should hold one key and nothing else")
    return text


def _from_keyring(name: str) -> str | None:
    if os.environ.get(KEYRING_VARIABLE) == "0" or find_spec("keyring") is None:
        return None
    import keyring
    from keyring.errors import KeyringError

    try:
        return keyring.get_password(SERVICE, name)
    except (KeyringError, RuntimeError, OSError):  # none on this machine, or locked
        return None


def hidden(text: str) -> str:
    """Without any secret that this process knows: keys that it found, and values of variables that are named so."""
    secrets = {value for name, value in os.environ.items() if _SECRET_NAME.search(name.upper())} | _known
    for secret in sorted((secret for secret in secrets if len(secret) >= SHORTEST), key=len, reverse=True):
        text = text.replace(secret, MARK)
    return text
