//! The adapters against the real things: dockerd, the kernel, MariaDB. They need root.

mod cloud;
mod docker;
mod mysql;
mod netlink;
mod scene;
