"""Image archives from Glance, made safe for the engine.

An archive as ``docker save`` writes it names the tags that the engine gives
to the images in it. One from a tenant could so replace any image on the node.
The archive is taken apart while it streams and put together anew from
entries known to be harmless, with one image under a tag of the driver's own.
"""

import json
import posixpath
import re
import tarfile

MANIFEST = 'manifest.json'
#: Other places of an archive where names are given to images.
_NAMING_FILES = frozenset(['repositories', 'index.json', 'oci-layout'])
_MANIFEST_LIMIT_BYTES = 4 * 1024 * 1024
_CHUNK_BYTES = 1024 * 1024
#: Layers that occur twice, or under a name for older engines, are links to
#: where the layer is. Engines and Podman differ in where that is.
_LAYER_LINK = re.compile(r'[0-9a-f]{64}/layer\.tar')
_LAYER_LINK_TARGET = re.compile(
    r'\.\./([0-9a-f]{64}(/layer)?\.tar|blobs/sha256/[0-9a-f]{64})')


class UnacceptableArchive(Exception):
    """The archive is not one image as ``docker save`` writes it."""


class Stream:
    """A file made of an iterator of bytes, that digests what it reads."""

    def __init__(self, chunks, digests):
        self._chunks = iter(chunks)
        self._digests = digests
        self._rest = b''

    def read(self, size=_CHUNK_BYTES):
        parts = []
        wanted = size
        while wanted > 0:
            if not self._rest:
                self._rest = next(self._chunks, b'')
                if not self._rest:
                    break
                for digest in self._digests:
                    digest.update(self._rest)
            part = self._rest[:wanted]
            self._rest = self._rest[len(part):]
            wanted -= len(part)
            parts.append(part)
        return b''.join(parts)

    def drain(self):
        """Read to the end, so that the digests cover everything."""
        while self.read():
            pass


def retagged(stream, tag, verify):
    """The archive as pieces of bytes, with its one image under ``tag``.

    The manifest, without which the engine takes nothing, comes last and only
    after ``verify`` has been called on the whole archive without an error.
    """
    manifest = None
    seen = set()
    try:
        with tarfile.open(fileobj=stream, mode='r|*') as archive:
            for member in archive:
                name = _safe_name(member, seen)
                if name == MANIFEST:
                    manifest = _read_manifest(archive, member, tag)
                elif name and name not in _NAMING_FILES:
                    yield from _entry(archive, member, name)
    except tarfile.TarError as error:
        raise UnacceptableArchive(
            'it is not a tar archive: %s' % error) from error
    stream.drain()
    verify()
    if manifest is None:
        raise UnacceptableArchive('it has no %s' % MANIFEST)
    yield from _file(MANIFEST, manifest)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _safe_name(member, seen):
    """The name under which an entry is kept, empty for the top directory."""
    name = posixpath.normpath(member.name)
    if name == '.':
        return ''
    parts = name.split('/')
    if name.startswith('/') or '..' in parts:
        raise UnacceptableArchive('it has an entry named %r' % member.name)
    if not (member.isreg() or member.isdir() or _is_layer_link(member, name)):
        raise UnacceptableArchive('its entry %r is of a kind that images do '
                                  'not have' % member.name)
    # Nothing may be written twice, and nothing beneath a file or a link.
    above = {'/'.join(parts[:length]) for length in range(1, len(parts))}
    if name in seen and not member.isdir() or above & seen:
        raise UnacceptableArchive('its entry %r lies over another one'
                                  % member.name)
    if not member.isdir():
        seen.add(name)
    return name


def _is_layer_link(member, name):
    return (member.issym() and _LAYER_LINK.fullmatch(name)
            and _LAYER_LINK_TARGET.fullmatch(member.linkname))


def _read_manifest(archive, member, tag):
    if not member.isreg() or member.size > _MANIFEST_LIMIT_BYTES:
        raise UnacceptableArchive('its %s is not a small file' % MANIFEST)
    try:
        images = json.loads(archive.extractfile(member).read())
        if len(images) != 1:
            raise UnacceptableArchive('it holds %d images, not one'
                                      % len(images))
        image = images[0]
        kept = {'Config': str(image['Config']), 'RepoTags': [tag],
                'Layers': [str(layer) for layer in image['Layers']]}
    except (ValueError, KeyError, TypeError) as error:
        raise UnacceptableArchive(
            'its %s is malformed: %s' % (MANIFEST, error)) from error
    return json.dumps([kept]).encode()


def _entry(archive, member, name):
    """One entry under a header of our own, so that all agree on its name."""
    header = tarfile.TarInfo(name)
    header.mode = 0o755 if member.isdir() else 0o644
    header.type = member.type if not member.isreg() else tarfile.REGTYPE
    header.linkname = member.linkname if member.issym() else ''
    header.size = member.size if member.isreg() else 0
    yield header.tobuf(tarfile.PAX_FORMAT)
    if not member.isreg():
        return
    content = archive.extractfile(member)
    left = member.size
    while left:
        chunk = content.read(min(left, _CHUNK_BYTES))
        if not chunk:
            raise UnacceptableArchive('it ends within %r' % name)
        left -= len(chunk)
        yield chunk
    yield _padding(member.size)


def _file(name, content):
    header = tarfile.TarInfo(name)
    header.mode = 0o644
    header.size = len(content)
    yield header.tobuf(tarfile.PAX_FORMAT)
    yield content
    yield _padding(len(content))


def _padding(size):
    return bytes(-size % tarfile.BLOCKSIZE)
