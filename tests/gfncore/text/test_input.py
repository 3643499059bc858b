"""Files of users: unpacked up to a limit, damage told in one line."""

import bz2
import gzip
import io
import lzma
import random
import zipfile

import pytest

from gfncore.errors import UserError
from gfncore.text.input import compression, expand, read_bytes, read_input

TEXT = b">a\nACGT\n" * 50


def zipped(members: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return packed.getvalue()


PACKED = {
    "gzip": gzip.compress(TEXT),
    "bzip2": bz2.compress(TEXT),
    "xz": lzma.compress(TEXT),
    "zip": zipped({"a": TEXT}),
}


@pytest.mark.parametrize("program", PACKED)
def test_compressed_data_are_unpacked(program):
    assert compression(PACKED[program]) == program
    assert expand(PACKED[program], "file") == TEXT


def test_what_is_not_compressed_stays_as_it_is():
    assert expand(TEXT, "file") is TEXT
    assert expand(b"", "file") == b""


def test_gzip_members_are_joined_as_gunzip_does():
    assert expand(gzip.compress(b"a") + gzip.compress(b"b"), "file") == b"ab"


@pytest.mark.parametrize("program", PACKED)
def test_damaged_data_are_refused_in_one_line(program):
    """Bits flipped, ends cut off: the text, or one line; never another exception."""
    chance = random.Random(1)
    refused = 0
    for _ in range(300):
        data = bytearray(PACKED[program])
        for _ in range(chance.randint(1, 3)):
            data[chance.randrange(2, len(data))] ^= 1 << chance.randrange(8)
        if chance.random() < 0.3:
            del data[chance.randrange(6, len(data)) :]
        try:
            expand(bytes(data), "file")
        except UserError as problem:
            refused += 1
            assert str(problem).startswith("file: ")
            assert "\n" not in str(problem)
    assert refused > 150


@pytest.mark.parametrize(
    "pack", [gzip.compress, bz2.compress, lzma.compress, lambda d: zipped({"a": d})]
)
def test_a_small_file_that_expands_to_much_is_refused(pack):
    bomb = pack(bytes(5_000_000))
    assert len(bomb) < 10_000
    with pytest.raises(UserError, match="expands to more than 4 MiB; unpack it first"):
        expand(bomb, "bomb", limit=4 * 2**20)
    assert len(expand(bomb, "bomb", limit=5_000_000)) == 5_000_000


def test_a_zip_archive_of_several_files_is_refused():
    with pytest.raises(UserError, match="holds 2 files; unpack it, and name one"):
        expand(zipped({"a": TEXT, "b": TEXT}), "file")
    with pytest.raises(UserError, match="holds 0 files"):
        expand(zipped({}), "file")
    assert expand(zipped({"a": TEXT, "__MACOSX/._a": b"x"}), "file") == TEXT


def test_other_programs_are_named():
    with pytest.raises(UserError, match="is compressed by zstd; unpack it first"):
        expand(b"\x28\xb5\x2f\xfd....", "file")


def test_files_that_cannot_be_read_are_refused(tmp_path):
    for path, match in ((tmp_path / "no", "no such file"), (tmp_path, "is a folder")):
        with pytest.raises(UserError, match=match):
            read_bytes(path)
    with pytest.raises(UserError, match="cannot be read"):
        read_bytes("a\0b")
    with pytest.raises(UserError, match="cannot be read \\(File name too long"):
        read_bytes("n" * 5000)


def test_a_file_is_read_up_to_its_limit(tmp_path):
    path = tmp_path / "f.gz"
    path.write_bytes(PACKED["gzip"])
    assert read_input(path) == TEXT
    with pytest.raises(UserError, match="is larger than 16 bytes"):
        read_input(path, plain_limit=16)
    with pytest.raises(UserError, match="is larger than 1 KiB"):
        read_input("/dev/zero", plain_limit=1024)
