"""Archives of images, harmless and not."""

import io
import json
import tarfile
import unittest

from nova.virt.docker import archive

TAG = 'ours/image:1'
LAYER = 'a' * 64 + '/layer.tar'


def packed(entries):
    """A tar archive of pairs of a name, or a whole header, and bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode='w') as result:
        for entry, content in entries:
            member = (entry if isinstance(entry, tarfile.TarInfo)
                      else tarfile.TarInfo(entry))
            if member.isreg():
                member.size = len(content)
            result.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def manifest(*tags, images=1):
    return json.dumps([{'Config': 'config.json', 'RepoTags': list(tags),
                        'Layers': [LAYER], 'Extra': 'x'}] * images).encode()


def link(name, target, kind=tarfile.SYMTYPE):
    member = tarfile.TarInfo(name)
    member.type = kind
    member.linkname = target
    return member


class ArchiveTestCase(unittest.TestCase):

    def retagged(self, data, verify=lambda: None, size=7):
        chunks = (data[start:start + size]
                  for start in range(0, len(data), size))
        return b''.join(archive.retagged(
            archive.Stream(chunks, []), TAG, verify))

    def entries(self, data):
        result = {}
        with tarfile.open(fileobj=io.BytesIO(data)) as opened:
            for member in opened:
                content = opened.extractfile(member)
                result[member.name] = content.read() if content else None
        return result

    def test_names_of_others_are_replaced(self):
        result = self.entries(self.retagged(packed([
            ('manifest.json', manifest('octo/keystone:1', 'debian:13')),
            ('repositories', b'{"octo/keystone": {"1": "x"}}'),
            ('index.json', b'{}'), ('oci-layout', b'{}'),
            ('config.json', b'{}'), (LAYER, b'content')])))
        self.assertEqual(
            [{'Config': 'config.json', 'RepoTags': [TAG], 'Layers': [LAYER]}],
            json.loads(result.pop('manifest.json')))
        self.assertEqual({'config.json': b'{}', LAYER: b'content'}, result)

    def test_manifest_comes_last_and_after_the_digest(self):
        data = packed([('manifest.json', manifest()), (LAYER, b'content')])

        def verify():
            raise archive.UnacceptableArchive('wrong digest')

        pieces = []
        with self.assertRaisesRegex(archive.UnacceptableArchive, 'wrong'):
            for piece in archive.retagged(
                    archive.Stream([data], []), TAG, verify):
                pieces.append(piece)
        self.assertNotIn(b'manifest.json', b''.join(pieces))
        self.assertIn(b'content', b''.join(pieces))

    def test_digest_covers_what_follows_the_archive(self):
        import hashlib
        data = packed([('manifest.json', manifest())]) + b'more' * 10000
        digest = hashlib.sha256()
        list(archive.retagged(
            archive.Stream([data], [digest]), TAG, lambda: None))
        self.assertEqual(hashlib.sha256(data).hexdigest(), digest.hexdigest())

    def test_links_between_layers_are_kept(self):
        name = 'b' * 64 + '/layer.tar'
        for target in ('../' + LAYER, '../blobs/sha256/' + 'a' * 64,
                       '../' + 'a' * 64 + '.tar'):
            result = self.retagged(packed([
                ('manifest.json', manifest()), (link(name, target), b'')]))
            with tarfile.open(fileobj=io.BytesIO(result)) as opened:
                self.assertEqual(target, opened.getmember(name).linkname)

    def assert_refused(self, entries, pattern):
        with self.assertRaisesRegex(archive.UnacceptableArchive, pattern):
            self.retagged(packed(entries))

    def test_refused(self):
        good = ('manifest.json', manifest())
        other = ('./manifest.json', manifest('octo/keystone:1'))
        for entries, pattern in (
                ([good, other], 'over another'),
                ([good, ('x/../../etc/passwd', b'')], 'named'),
                ([good, ('/manifest.json', b'')], 'named'),
                ([good, (link('d', '.'), b'')], 'kind'),
                ([good, (link('repositories', 'x'), b'')], 'kind'),
                ([good, (link('m', 'manifest.json', tarfile.LNKTYPE), b'')],
                 'kind'),
                ([good, (link('null', '', tarfile.CHRTYPE), b'')], 'kind'),
                ([good, (LAYER, b''), (LAYER + '/x', b'')], 'over another'),
                ([(LAYER, b'')], 'no manifest'),
                ([('manifest.json', manifest(images=2))], '2 images'),
                ([('manifest.json', b'{')], 'malformed'),
                ([('manifest.json', b'[1]')], 'malformed')):
            with self.subTest(pattern=pattern, entries=str(entries)):
                self.assert_refused(entries, pattern)

    def test_not_an_archive(self):
        with self.assertRaisesRegex(archive.UnacceptableArchive, 'not a tar'):
            self.retagged(b'QFI\xfb' * 1000)

    def test_cut_short(self):
        data = packed([('manifest.json', manifest()),
                       (LAYER, b'content' * 1000)])
        with self.assertRaises(archive.UnacceptableArchive):
            self.retagged(data[:4000])
