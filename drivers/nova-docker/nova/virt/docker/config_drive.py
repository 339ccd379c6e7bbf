"""The files of an instance's config drive.

A container has no disk for them: they become a directory, in the layout that a config drive has.
"""

from nova.api.metadata import base


def files(instance, network_info, admin_password, injected_files):
    """What Nova tells the instance about itself: paths, relative to the drive, and contents."""
    metadata = base.InstanceMetadata(
        instance,
        content=injected_files,
        extra_md={'admin_pass': admin_password} if admin_password else {},
        network_info=network_info)
    return {
        path: content.encode() if isinstance(content, str) else content
        for path, content in metadata.metadata_for_config_drive()
    }
