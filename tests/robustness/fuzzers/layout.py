"""
The names of folders and files.
"""

from twisted_registry.domain.errors import InvalidModelId
from twisted_registry.domain.models import MAX_VERSION_NUMBER, check_model_id
from twisted_registry.storage.filesystem.layout import folder_of, is_hashed_name, model_id_of, version_files

SEEDS = [
    *(
        b"m",
        b"..",
        b"a/../b",
        b"%2E%2E",
        b"%6D",
        b"9abc",
        b"CON",
        b"m-v000001",
        b"x" * 200,
        b"." * 200,
        b"%%" + b"a" * 64,
    ),
    *("\u00e9".encode(), "\u2603".encode() * 66, b"a%", b"%4", b"\xff", b"m\n", b"A-_0", b"-", b"\xed\xa0\x80"),
    *(b"000001\n1000000\n0000002\n2147483648\n000000\n99999999999999999999", "00000\u0661".encode()),
]
_ALLOWED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-%")
_LONGEST_NAME_BYTES = 255


def _check_id(text: str) -> None:
    try:
        model_id = check_model_id(text)
    except InvalidModelId as error:
        assert str(error)
        return
    folder = folder_of(model_id)
    assert _ALLOWED.issuperset(folder) and len(folder) + len("-v2147483647.yaml") <= _LONGEST_NAME_BYTES
    assert any(character.isalpha() for character in folder) or "%" in folder
    # No other id has the same directory.
    assert is_hashed_name(folder) or model_id_of(folder) == model_id


def _check_folder(name: str) -> None:
    model_id = model_id_of(name)
    assert model_id is None or folder_of(check_model_id(model_id)) == name


def _check_files(texts: list[str]) -> None:
    names = [*{f"m-v{text}.{suffix}" for text in texts for suffix in ("yaml", "data")}.union(texts)]
    files = version_files("m", names)
    canonical = {number for number in range(1, 3) if f"{number:06d}" in texts}
    assert canonical <= set(files.numbers)
    for number in files.numbers:
        assert 1 <= number <= MAX_VERSION_NUMBER and f"m-v{number:06d}.yaml" in names
    assert files.numbers == sorted(set(files.numbers))
    alone = version_files("m", [name for name in names if not name.endswith(".yaml")])
    assert not alone.numbers and alone.uncommitted == files.numbers


def test_one_input(data: bytes) -> None:
    """
    Check that each id has a separate directory inside the archive, and that a name that is never written here is not a
    version.
    """
    text = data.decode("utf-8", "surrogateescape")
    _check_id(text)
    _check_folder(text)
    _check_files(text.split("\n")[:20])
