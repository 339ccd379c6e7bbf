"""Nova instances as containers of a Docker engine."""

from nova.virt.docker.driver import DockerDriver

__all__ = ['DockerDriver']
