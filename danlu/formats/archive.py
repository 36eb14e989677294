"""L6. Zip archives as PyTorch and NumPy write them: members by name, each length held against the file, each checksum tested."""

from __future__ import annotations

import struct
import zipfile
import zlib
from io import BytesIO

from danlu.errors import DataError

_RATIO = 1032  # the most bytes that one byte of a deflate stream can stand for (zlib's technical notes)
_LOCAL = struct.Struct("<4s22xHH")  # a member's own header: signature, lengths of its name and of the extra field


class Archive:
    """The members of a zip file; content of those that are stored plainly is a view of the file, not a copy."""

    def __init__(self, data: bytes, name: str) -> None:
        self.data, self.name = data, name
        try:
            with zipfile.ZipFile(BytesIO(data)) as file:
                found = file.infolist()
        except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError, OSError, OverflowError, struct.error) as error:
            raise DataError("{name}: a damaged zip archive: {problem}", name=name, problem=error) from error
        self.members = {info.filename: info for info in found}
        if len(self.members) != len(found):
            raise DataError("{name}: a damaged zip archive: a name stands in it twice", name=name)

    def read(self, member: str) -> memoryview:
        """The content of one member."""
        if member not in self.members:
            raise DataError("{name}: the archive holds no {member!r}; the file is damaged", name=self.name, member=member)
        info = self.members[member]
        if info.flag_bits & 1:
            raise DataError("{name}: {member!r} is encrypted; danlu reads plain archives", name=self.name, member=member)
        content = self._content(info)
        if zlib.crc32(content) != info.CRC:
            raise DataError("{name}: the checksum of {member!r} does not fit; the file is damaged", name=self.name, member=member)
        return content

    def _content(self, info: zipfile.ZipInfo) -> memoryview:
        start, packed = info.header_offset, info.compress_size
        fits = 0 <= start <= len(self.data) - _LOCAL.size
        signature, name, extra = _LOCAL.unpack_from(self.data, start) if fits else (b"", 0, 0)
        start += _LOCAL.size + name + extra
        size = info.file_size
        ratio = {zipfile.ZIP_STORED: 1, zipfile.ZIP_DEFLATED: _RATIO}.get(info.compress_type)
        if ratio is None:
            raise DataError(
                "{name}: {member!r} is compressed by method {method}; danlu reads plain and deflated members",
                name=self.name,
                member=info.filename,
                method=info.compress_type,
            )
        if (
            signature != b"PK\x03\x04"
            or start + packed > len(self.data)
            or size > packed * ratio
            or (ratio == 1 and size != packed)
        ):
            raise DataError("{name}: the lengths of {member!r} do not fit the file", name=self.name, member=info.filename)
        content = memoryview(self.data)[start : start + packed]
        return content if ratio == 1 else self._inflated(content, info)

    def _inflated(self, content: memoryview, info: zipfile.ZipInfo) -> memoryview:
        try:
            data = zlib.decompressobj(-15).decompress(content, info.file_size + 1)
        except zlib.error as error:
            raise DataError(
                "{name}: {member!r} is damaged: {problem}", name=self.name, member=info.filename, problem=error
            ) from error
        if len(data) != info.file_size:
            raise DataError("{name}: the lengths of {member!r} do not fit the file", name=self.name, member=info.filename)
        return memoryview(data)


__all__ = ["Archive"]
